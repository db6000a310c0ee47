"""What a job will probably cost: the estimate, and what the account's log has taught."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.budget import Tariff, units_of
from orchestrator.model import AudioKind, AvatarKind, JobId, JobSpec, Mode


def spec(mode: Mode, text: str | None = None) -> JobSpec:
    return JobSpec(
        job_id=JobId("a"),
        avatar_kind=AvatarKind.PUBLIC,
        avatar="3327",
        audio_kind=AudioKind.FILE if text is None else AudioKind.TEXT,
        audio="/media/a.wav" if text is None else text,
        output=Path("/out/a.mp4"),
        mode=mode,
    )


@pytest.mark.parametrize(
    ("audio_s", "credits"),
    [(None, 1), (0.0, 1), (0.4, 1), (30.0, 1), (30.01, 2), (60.0, 2), (61.0, 3), (3600.0, 120)],
)
def test_avatar1_costs_one_credit_for_each_started_thirty_seconds(
    audio_s: float | None, credits: float
) -> None:
    assert Tariff().expected(spec(Mode.AVATAR1), audio_s) == credits


@pytest.mark.parametrize(
    ("characters", "credits"), [(1, 1), (399, 1), (400, 1), (401, 2), (800, 2), (8000, 20)]
)
def test_avatar1_costs_one_credit_for_each_started_four_hundred_characters(
    characters: int, credits: float
) -> None:
    assert Tariff().expected(spec(Mode.AVATAR1, "ä" * characters), None) == credits


@pytest.mark.parametrize("audio_s", [None, 1.0, 300.0])
def test_avatar2_costs_four_whatever_its_length(audio_s: float | None) -> None:
    assert Tariff().expected(spec(Mode.AVATAR2), audio_s) == 4
    assert Tariff().expected(spec(Mode.AVATAR2, "x" * 2000), audio_s) == 4


@pytest.mark.parametrize(("audio_s", "units"), [(None, 1), (29.0, 1), (31.0, 2), (900.0, 30)])
def test_units_are_counted_of_sound_and_never_of_avatar2(
    audio_s: float | None, units: float
) -> None:
    assert units_of(spec(Mode.AVATAR1), audio_s) == units
    assert units_of(spec(Mode.AVATAR2), audio_s) == 1


def test_a_learned_cost_replaces_the_estimate_for_its_own_kind_only() -> None:
    tariff = Tariff(learned={(Mode.AVATAR1, AudioKind.FILE): 0.5})
    assert tariff.expected(spec(Mode.AVATAR1), 61.0) == 1.5
    assert tariff.expected(spec(Mode.AVATAR1, "Hi."), None) == 1
    assert tariff.expected(spec(Mode.AVATAR2), 61.0) == 4
    assert [tariff.knows(s) for s in (spec(Mode.AVATAR1), spec(Mode.AVATAR2))] == [True, False]


def test_a_kind_that_was_learned_to_be_free_is_free() -> None:
    tariff = Tariff(learned={(Mode.AVATAR2, AudioKind.FILE): 0.0})
    assert tariff.expected(spec(Mode.AVATAR2), None) == 0
