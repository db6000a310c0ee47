"""Packed specs are the specs that were packed, also by way of JSON."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from orchestrator.manifest import packed as module
from orchestrator.manifest.packed import Packed, packed
from orchestrator.model import AudioKind, AvatarKind, JobId, JobSpec, Mode, Place


def spec(job_id: str, **values: Any) -> JobSpec:
    usual: dict[str, Any] = {
        "avatar_kind": AvatarKind.PUBLIC,
        "avatar": "3327",
        "audio_kind": AudioKind.TEXT,
        "audio": f"Words of {job_id}.",
        "output": Path(f"/videos/out/{job_id}.mp4"),
    }
    return JobSpec(job_id=JobId(job_id), **{**usual, **values})


SPECS = (
    spec("a"),
    spec("b", output=Path("/b/b/b.mp4"), places={"": Place(file="m.yaml", line=3, column=5)}),
    spec("c", output=Path("/elsewhere.mp4"), tags=("x", 'ä"\n'), priority=-7, mode=Mode.AVATAR2),
    spec("d", avatar_kind=AvatarKind.VIDEO, avatar="/m/anna.mp4", save_avatar=True),
    spec("e", audio_kind=AudioKind.FILE, audio="/m/d.wav", caption="cap"),
    spec("f", audio="3327", voice="v", speed=0.8),
    spec("g", avatar_kind=AvatarKind.IMAGE, avatar="/m/d.wav"),
)


def by_json(jobs: Packed) -> Packed:
    names = list(dict.fromkeys([*jobs.avatars, *jobs.all_files()]))
    numbers = {name: number for number, name in enumerate(names)}
    made = Packed.begun(json.loads(json.dumps(jobs.shared())))
    for start in range(0, len(jobs), 3):
        stop = min(start + 3, len(jobs))
        made.extend(json.loads(json.dumps(jobs.part(start, stop, numbers))), names)
    return made


@pytest.mark.parametrize("frames", [1, 4096])
def test_packed_specs_are_those_that_were_packed(
    monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:
    monkeypatch.setattr(module, "MAX_FRAMES", frames)
    jobs = Packed(SPECS)
    assert tuple(jobs) == SPECS
    assert tuple(by_json(jobs)) == SPECS
    assert [jobs.output(n) for n in range(len(jobs))] == [str(job.output) for job in SPECS]
    assert [jobs.files(n) for n in range(len(jobs))] == [job.files for job in SPECS]
    assert [type(a) for a in by_json(jobs).alike(4)] == [type(a) for a in jobs.alike(4)]


def test_packed_specs_are_a_sequence() -> None:
    jobs = Packed(SPECS)
    assert (jobs[-1], jobs[1:3], len(jobs)) == (SPECS[-1], SPECS[1:3], 7)
    assert SPECS[2] in jobs
    assert packed(jobs) is jobs
    with pytest.raises(IndexError):
        jobs[7]


def test_places_are_kept_where_there_are_any() -> None:
    jobs = Packed(SPECS)
    assert dict(jobs[1].places) == {"": Place(file="m.yaml", line=3, column=5)}
    assert dict(by_json(jobs)[1].places) == {}


def test_the_files_of_all_jobs_come_once_each() -> None:
    assert Packed(SPECS).all_files() == ["/m/anna.mp4", "/m/d.wav"]
    assert Packed(SPECS[:3]).all_files() == []
    assert not Packed(SPECS[:3]).need_files()


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": ["a"]},
        {"ids": ["a", 2]},
        {"alike": [0, 9]},
        {"outputs": [0, 9]},
        {"avatars": [0, 9]},
        {"audios": [0, None]},
    ],
)
def test_columns_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    jobs = Packed(SPECS[:2])
    part = {**jobs.part(0, 2, {"3327": 0}), **wrong}
    with pytest.raises((IndexError, TypeError, ValueError)):
        Packed.begun(jobs.shared()).extend(part, ["3327"])


def test_little_is_held_of_each_job() -> None:
    """Besides its id, its words and its places, which are made before."""
    specs = [spec(f"job-{n:06d}") for n in range(4_000)]
    for job in specs:
        str(job.output)  # a path keeps its text once it was asked for
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    jobs = Packed(specs)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held / len(jobs) < 60
