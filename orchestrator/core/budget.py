"""What a job will probably cost. Always labelled an estimate: the vendor states no tariff."""

from __future__ import annotations

import math

from orchestrator.model import AudioKind, JobSpec, Mode

SECONDS_PER_CREDIT = 30.0
CHARACTERS_PER_CREDIT = 400
AVATAR2_CREDITS = 4.0


def estimate_credits(spec: JobSpec, audio_s: float | None) -> float:
    """Estimated credits for one job (>= 1).

    avatar1: one per started 30 s of audio or 400 characters of text; avatar2: four. Source: a
    third-party front end of the vendor (``docs/vendor.md``); unknown audio length counts as 30 s.
    """
    if spec.mode is Mode.AVATAR2:
        return AVATAR2_CREDITS
    if spec.audio_kind is AudioKind.TEXT:
        return max(1.0, math.ceil(len(spec.audio) / CHARACTERS_PER_CREDIT))
    return max(1.0, math.ceil((audio_s or 0.0) / SECONDS_PER_CREDIT))
