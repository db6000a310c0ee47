"""How long a plan would take: learned from the account's runs where they have learned it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.hazard import Learner, Sample, kinds_of
from orchestrator.core.slots import AutoSlots, Surplus
from orchestrator.engine.flow import DURATIONS, SLOTS
from orchestrator.model import (
    AudioKind,
    AvatarKind,
    ContentHash,
    JobId,
    JobSpec,
    Limits,
    MediaFacts,
    Mode,
    Rate,
)
from orchestrator.outlook import (
    RENDER_S,
    Memory,
    expected_pace,
    expected_renders,
    least_s,
    memory_of,
)
from orchestrator.report.views import Pace
from orchestrator.store.sqlite import open_store
from orchestrator.wishes import Submits, Wishes

AUTO = Limits()
CAP_8 = AutoSlots(limit=9, cap=8, surplus=Surplus.QUEUED)


def submits(count: int, mode: Mode = Mode.AVATAR1) -> Submits:
    specs = [
        JobSpec(
            job_id=JobId(f"job-{i}"),
            avatar_kind=AvatarKind.PUBLIC,
            avatar="3327",
            audio_kind=AudioKind.TEXT,
            audio=f"Text {i}.",
            output=Path(f"/out/{i}.mp4"),
            mode=mode,
        )
        for i in range(count)
    ]
    made = Submits(Wishes(specs, {}))
    for position in range(count):
        made.add(position)
    return made


def taught(*middles_s: float, mode: Mode = Mode.AVATAR1) -> Learner:
    """A learner that saw tasks of these durations."""
    learner = Learner()
    for middle_s in middles_s:
        learner.seen(kinds_of(mode, None), Sample(low_s=middle_s - 1, high_s=middle_s + 1))
    return learner


def pace(count: int, limits: Limits, memory: Memory, time_scale: float = 1.0) -> Pace:
    return expected_pace(submits(count), limits, memory, time_scale)


def test_before_anything_is_learned_the_usual_figures_are_assumed() -> None:
    found = pace(10, AUTO, Memory())
    assert (found.learned, found.render_s, found.in_flight) == (False, RENDER_S, 2)


def test_in_a_rehearsal_assumed_figures_are_scaled() -> None:
    assert pace(1, AUTO, Memory(), time_scale=20.0).render_s == RENDER_S / 20


def test_learned_durations_and_slots_are_used() -> None:
    memory = Memory(slots=CAP_8, learner=taught(98.0, 100.0, 102.0, 100.0))
    found = pace(17, AUTO, memory)
    assert (found.learned, found.in_flight, round(found.render_s)) == (True, 8, 100)
    assert found.time_s is not None and round(found.time_s) == 300


def test_learned_durations_of_a_rehearsal_are_in_its_own_seconds() -> None:
    memory = Memory(learner=taught(8.0, 8.0, 8.0))
    assert round(pace(1, AUTO, memory, time_scale=20.0).render_s) == 8


@pytest.mark.parametrize(
    ("submits", "uploads", "upload_bytes", "limits", "least"),
    [
        (10, 0, 0, {"submit_rate": Rate(count=1, per_s=1.0)}, 10.0),
        (10, 0, 0, {"request_rate": Rate(count=1, per_s=1.0)}, 20.0),
        (10, 5, 0, {"request_rate": Rate(count=1, per_s=1.0)}, 30.0),
        (10, 5, 4_000_000, {"upload_bytes_per_s": 1_000.0}, 4_000.0),
        (0, 0, 0, {}, 0.0),
    ],
    ids=["submit_rate", "request_rate", "request_rate with uploads", "bandwidth", "nothing"],
)
def test_limits_alone_take_their_time(
    submits: int, uploads: int, upload_bytes: int, limits: dict[str, Any], least: float
) -> None:
    assert least_s(submits, uploads, upload_bytes, replace(AUTO, **limits)) == least


def test_no_plan_is_quicker_than_its_limits() -> None:
    found = expected_pace(submits(2), AUTO, Memory(), 1.0, 5_000.0)
    assert found.time_s == 5_000.0


def test_a_number_in_the_manifest_is_taken_as_it_is() -> None:
    assert pace(5, replace(AUTO, in_flight=3), Memory(slots=CAP_8)).in_flight == 3


def test_while_the_cap_is_being_found_out_the_limit_so_far_counts() -> None:
    assert pace(5, AUTO, Memory(slots=AutoSlots(limit=5))).in_flight == 5


def test_the_number_of_videos_that_it_was_learned_from_is_told() -> None:
    assert expected_renders(submits(2), taught(60.0, 61.0, 62.0, 63.0), 160.0).videos == 4


def test_too_few_videos_teach_nothing() -> None:
    found = expected_renders(submits(2), taught(60.0), 160.0)
    assert (found.mean_s, found.videos) == (160.0, 0)


def spoken(*lengths_s: float) -> Submits:
    """Jobs with sound files of these lengths."""
    specs, facts = [], {}
    for number, length_s in enumerate(lengths_s):
        path = f"/m/{number}.wav"
        specs.append(
            JobSpec(
                job_id=JobId(f"job-{number}"),
                avatar_kind=AvatarKind.PUBLIC,
                avatar="3327",
                audio_kind=AudioKind.FILE,
                audio=path,
                output=Path(f"/out/{number}.mp4"),
            )
        )
        facts[path] = MediaFacts(
            path=path,
            size_bytes=9,
            content_hash=ContentHash(f"{number:064}"),
            format="wav",
            has_audio=True,
            duration_s=length_s,
        )
    made = Submits(Wishes(specs, facts))
    for position in range(len(specs)):
        made.add(position)
    return made


def taught_by_length(**counts: int) -> Learner:
    """A learner that saw so many videos with sounds of so many seconds ("s5": 5 s)."""
    learner = Learner()
    for name, count in counts.items():
        for _ in range(count):
            kinds = kinds_of(Mode.AVATAR1, float(name[1:]))
            learner.seen(kinds, Sample(low_s=49.0, high_s=51.0))
    return learner


@pytest.mark.parametrize(
    ("seen", "asked", "videos"),
    [
        ({"s5": 1, "s9": 11}, (5.0,), 12),
        ({"s5": 1, "s9": 11}, (5.0, 9.0, 20.0), 12),
        ({"s5": 20, "s9": 30}, (5.0,), 20),
        ({"s5": 20, "s9": 30}, (5.0, 9.0), 50),
        ({"s5": 20, "s9": 2}, (5.0, 9.0), 22),
        ({"s5": 4}, (100.0,), 4),
        ({"s5": 1}, (5.0,), 0),
    ],
    ids=[
        "a few of its length are helped by all of its mode",
        "jobs that are all helped by the same count it once",
        "enough of its length need no help",
        "two lengths with enough of each count both",
        "one length is helped by a mode that holds the other",
        "a length never seen is told by its mode",
        "too few in all",
    ],
)
def test_all_videos_that_taught_something_are_counted_and_each_once(
    seen: dict[str, int], asked: tuple[float, ...], videos: int
) -> None:
    assert expected_renders(spoken(*asked), taught_by_length(**seen), 160.0).videos == videos


async def test_what_runs_left_in_the_store_is_found(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db")
    account = await store.account("one account")
    assert (await memory_of(store, account, AUTO)).slots == AutoSlots()
    await store.set_fact(account, SLOTS, CAP_8.to_json())
    kinds = {"avatar1": [[49.0, 51.0]] * 3}
    await store.set_fact(account, DURATIONS, {"version": 1, "kinds": kinds})
    memory = await memory_of(store, account, replace(AUTO, in_flight=2))
    await store.close()
    assert memory.slots.cap == 8
    assert round(expected_renders(submits(1), memory.learner, 160.0).mean_s) == 50
