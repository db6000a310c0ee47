"""What a job will probably cost. An estimate is labelled one: the vendor states no tariff."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.model import AudioKind, JobSpec, Mode

SECONDS_PER_UNIT = 30.0
CHARACTERS_PER_UNIT = 400
CREDITS_PER_UNIT: Mapping[Mode, float] = MappingProxyType({Mode.AVATAR1: 1.0, Mode.AVATAR2: 4.0})
"""Before anything is learned: avatar1 per started unit, avatar2 flat."""


def units_of(spec: JobSpec, audio_s: float | None) -> float:
    """Started 30 s of sound or 400 characters of text (>= 1); avatar2 is always 1.

    Source: a third-party front end of the vendor (``docs/vendor.md``). A sound of unknown length
    counts as one unit.
    """
    if spec.mode is Mode.AVATAR2:
        return 1.0
    if spec.audio_kind is AudioKind.TEXT:
        return max(1.0, math.ceil(len(spec.audio) / CHARACTERS_PER_UNIT))
    return max(1.0, math.ceil((audio_s or 0.0) / SECONDS_PER_UNIT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Credits per unit by mode and kind of audio, as far as the account's own log tells.

    ``learned`` holds what charged jobs cost on average; kinds without a charge use the estimate.
    """

    learned: Mapping[tuple[Mode, AudioKind], float] = field(default_factory=dict)

    def expected(self, spec: JobSpec, audio_s: float | None) -> float:
        """Credits that the job will probably cost."""
        per_unit = self.learned.get((spec.mode, spec.audio_kind), CREDITS_PER_UNIT[spec.mode])
        return per_unit * units_of(spec, audio_s)

    def knows(self, spec: JobSpec) -> bool:
        """Whether the expectation is learned from the account's log, not merely estimated."""
        return (spec.mode, spec.audio_kind) in self.learned
