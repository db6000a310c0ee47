"""Jobs that ask for the same video under two ids are warned of, and cost little to find."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.manifest.doubles import MOST_TOLD, double_warnings
from orchestrator.manifest.packed import Packed
from orchestrator.manifest.places import Packer
from orchestrator.model import AudioKind, AvatarKind, ContentHash, JobId, JobSpec, Mode

SAME = ContentHash("a" * 64)
OTHER = ContentHash("b" * 64)
PACKER = Packer("jobs.yaml")


def job(number: int, *, line: int | None = None, audio: str = "Hi.") -> JobSpec:
    spot = (number if line is None else line, 5)
    return JobSpec(
        job_id=JobId(f"job-{number}"),
        avatar_kind=AvatarKind.PUBLIC,
        avatar="3327",
        audio_kind=AudioKind.TEXT,
        audio=audio,
        voice="v",
        output=Path(f"/o/{number}.mp4"),
        places=PACKER.places({"": spot}),
    )


def spoken(number: int, path: str) -> JobSpec:
    return replace(job(number), audio_kind=AudioKind.FILE, audio=path, voice=None)


def told(jobs: Iterable[JobSpec], contents: dict[str, ContentHash] | None = None) -> list[str]:
    found = double_warnings(list(jobs), contents or {})
    assert all(complaint.warning for complaint in found)
    return [str(complaint) for complaint in found]


def test_the_second_of_two_jobs_for_one_video_is_warned_of() -> None:
    assert told([job(4), job(7), job(9, audio="Other.")]) == [
        'jobs.yaml:7:5: warning: jobs "job-4" and "job-7" ask for the same video (line 4);'
        " it is made and paid for twice: remove one, or leave it if that is meant"
    ]


def test_every_further_job_is_warned_of_once_and_against_the_first() -> None:
    found = told(job(n) for n in range(1, 5))
    assert [line.split(" ask")[0].split("jobs ")[1] for line in found] == [
        f'"job-1" and "job-{n}"' for n in (2, 3, 4)
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"audio": "Bye."},
        {"avatar": "3338"},
        {"avatar_kind": AvatarKind.PRIVATE},
        {"voice": None},
        {"speed": 1.1},
        {"mode": Mode.AVATAR2},
        {"caption": "c1"},
        {"save_avatar": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_is_paid_for_makes_another_video(changes: dict[str, object]) -> None:
    assert told([job(1), replace(job(2), **changes)]) == []  # type: ignore[arg-type]


def test_what_is_not_paid_for_makes_no_other_video() -> None:
    other = replace(job(2), priority=5, tags=("vip",))
    assert len(told([job(1), other])) == 1
    alike = {"/m/a.wav": SAME}
    assert len(told([spoken(1, "/m/a.wav"), replace(spoken(2, "/m/a.wav"), voice="v")], alike)) == 1


def test_files_count_by_their_content() -> None:
    jobs = [spoken(1, "/m/a.wav"), spoken(2, "/m/b.wav")]
    assert len(told(jobs, {"/m/a.wav": SAME, "/m/b.wav": SAME})) == 1
    assert told(jobs, {"/m/a.wav": SAME, "/m/b.wav": OTHER}) == []


def test_a_file_that_could_not_be_read_is_like_itself_only() -> None:
    assert told([spoken(1, "/m/a.wav"), spoken(2, "/m/b.wav")]) == []
    assert len(told([spoken(1, "/m/a.wav"), spoken(2, "/m/a.wav")])) == 1


def test_the_first_job_in_another_file_is_told_with_its_file() -> None:
    row = replace(job(2), places=PACKER.places({"": (17, 1, "rows.csv")}))
    [line] = told([job(4), row])
    assert line.startswith("rows.csv:17:1: warning: ")
    assert "same video (jobs.yaml:4); it is made" in line


def test_the_jobs_of_one_expansion_share_a_warning() -> None:
    jobs = [job(n, line=3, audio=f"Text {n % 2}.") for n in range(6)]
    assert told(jobs) == [
        'jobs.yaml:3:5: warning: jobs "job-0" and "job-2" ask for the same video, and here 3 more'
        " jobs ask for one that is asked for above; each is made and paid for by itself: remove"
        " some, or leave them if that is meant"
    ]


def test_beyond_twenty_the_rest_is_counted() -> None:
    found = told(job(n) for n in range(1, MOST_TOLD + 5))
    assert len(found) == MOST_TOLD + 1
    assert found[-1] == (
        f"jobs.yaml:{MOST_TOLD + 2}:5: warning: from here on 3 more jobs ask for a video that a"
        " job above asks for; each is made and paid for by itself: remove some, or leave them if"
        " that is meant"
    )


@pytest.mark.parametrize("alike", [False, True])
def test_looking_for_doubles_holds_little_of_each_job(alike: bool) -> None:
    jobs = Packed([job(n, audio="Hi." if alike else f"Text {n}.") for n in range(4_000)])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    found = double_warnings(jobs, {})
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bool(found) is alike
    assert (peak - before) / 4_000 < 100
    assert (kept - before) / 4_000 < 10
