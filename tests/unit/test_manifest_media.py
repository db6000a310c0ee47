"""Complaints about files, made from what somebody else saw of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator.errors import MediaError
from orchestrator.manifest.places import Packer
from orchestrator.manifest.rules import FileUse, FileUses, media_complaints
from orchestrator.model import (
    AudioKind,
    AvatarKind,
    ContentHash,
    JobId,
    JobSpec,
    MediaFacts,
    Mode,
    Place,
)

HASH = ContentHash("0" * 64)


def _job(number: int, *, mode: Mode = Mode.AVATAR1, kind: AvatarKind = AvatarKind.VIDEO) -> JobSpec:
    key = f"avatar.{kind.value}"
    return JobSpec(
        job_id=JobId(f"job-{number}"),
        avatar_kind=kind,
        avatar="/m/anna.mp4",
        audio_kind=AudioKind.FILE,
        audio="/m/hello.wav",
        output=Path(f"/o/{number}.mp4"),
        mode=mode,
        places=Packer("jobs.yaml").places(
            {"": (number, 1), key: (number, 20), "audio.file": (number, 40)}
        ),
    )


VIDEO = MediaFacts(
    path="/m/anna.mp4", size_bytes=9, content_hash=HASH, format="mp4", has_video=True
)
SOUND = MediaFacts(
    path="/m/hello.wav",
    size_bytes=9,
    content_hash=HASH,
    format="wav",
    has_audio=True,
    duration_s=2.0,
)


def _told(jobs: list[JobSpec], *seen: MediaFacts | MediaError) -> list[str]:
    return [str(c) for c in media_complaints(iter(jobs), {facts.path: facts for facts in seen})]


def test_good_files_and_unknown_ones_give_no_complaint() -> None:
    assert _told([_job(1)], VIDEO, SOUND) == []
    assert _told([_job(1)]) == []


def test_a_file_that_cannot_be_used_is_one_complaint_at_the_first_job_that_names_it() -> None:
    error = MediaError("/m/anna.mp4", "the file is empty", "export it again")

    assert _told([_job(n) for n in range(1, 4)], error, SOUND) == [
        "jobs.yaml:1:20: avatar.video: /m/anna.mp4: the file is empty (and 2 more jobs);"
        " export it again"
    ]
    assert _told([_job(7)], error) == [
        "jobs.yaml:7:20: avatar.video: /m/anna.mp4: the file is empty; export it again"
    ]


def test_a_missing_file_in_a_home_folder_is_complained_about_with_its_reason() -> None:
    missing, empty = "there is no such file", "the file is empty"
    [told] = _told([_job(1)], MediaError("/m/anna.mp4", missing, "check the path"))
    assert told.endswith("; check the path")
    for path, problem, remedy in (
        ("/m/~/anna.mp4", missing, '"~" is not expanded here: write the path of the folder out'),
        ("/m/~ben/anna.mp4", missing, '"~ben" is not expanded here: write the path'),
        ("/m/~/anna.mp4", empty, "export it again"),
        ("/m/~anna.mp4", missing, "export it again"),
    ):
        job = replace(_job(1), avatar=path)
        [told] = _told([job], MediaError(path, problem, "export it again"))
        assert f"{problem}; {remedy}" in told


def test_files_without_the_stream_that_is_needed_are_complaints() -> None:
    assert _told(
        [_job(1), _job(2)], replace(VIDEO, has_video=False), replace(SOUND, has_audio=False)
    ) == [
        "jobs.yaml:1:20: avatar.video: /m/anna.mp4: there is no picture in this file"
        " (and 1 more job); name a video that shows a face",
        "jobs.yaml:1:40: audio.file: /m/hello.wav: there is no sound in this file"
        " (and 1 more job); name a file in which somebody speaks",
    ]


def test_an_image_needs_no_video_stream() -> None:
    job = _job(1, kind=AvatarKind.IMAGE, mode=Mode.AVATAR2)

    assert _told([job], replace(VIDEO, has_video=False), SOUND) == []


def test_long_sound_is_a_warning_with_avatar2_only() -> None:
    long = replace(SOUND, duration_s=28.04)

    assert _told([_job(1), _job(2, mode=Mode.AVATAR2)], VIDEO, long) == [
        "jobs.yaml:2:40: warning: audio.file: /m/hello.wav: the sound lasts 28.0 s, more than 28 s,"
        " with mode avatar2; the vendor may refuse it; cut it, or use mode avatar1"
    ]
    assert _told([_job(2, mode=Mode.AVATAR2)], VIDEO, replace(SOUND, duration_s=28.0)) == []
    assert _told([_job(2, mode=Mode.AVATAR2)], VIDEO, replace(SOUND, duration_s=None)) == []


def test_a_very_large_file_is_a_warning() -> None:
    assert _told(
        [_job(1)], replace(VIDEO, size_bytes=200_000_001), replace(SOUND, size_bytes=200_000_000)
    ) == [
        "jobs.yaml:1:20: warning: avatar.video: /m/anna.mp4: the file has 200 MB, more than 200;"
        " the vendor may refuse it; make it smaller to be sure"
    ]


def test_the_files_of_wrong_jobs_are_complained_about_with_those_of_right_ones() -> None:
    error = MediaError("/m/anna.mp4", "the file is empty", "export it again")
    uses = FileUses()
    for line in (2, 9):
        use = FileUse(key="avatar.video", path="/m/anna.mp4", mode=Mode.AVATAR1)
        uses.add(use, Place(file="jobs.yaml", line=line, column=7))
    assert sorted(uses.paths()) == ["/m/anna.mp4"]

    facts = {"/m/anna.mp4": error}
    [alone] = media_complaints([], facts, uses)
    [together] = media_complaints([_job(4), _job(5)], facts, uses)

    words = "avatar.video: /m/anna.mp4: the file is empty"
    assert str(alone) == f"jobs.yaml:2:7: {words} (and 1 more job); export it again"
    assert str(together) == f"jobs.yaml:2:7: {words} (and 3 more jobs); export it again"


def test_a_job_without_places_is_named() -> None:
    job = JobSpec(
        job_id=JobId("a"),
        avatar_kind=AvatarKind.VIDEO,
        avatar="/m/anna.mp4",
        audio_kind=AudioKind.TEXT,
        audio="Hi.",
        output=Path("/o/a.mp4"),
    )

    assert _told([job], replace(VIDEO, has_video=False)) == [
        "job a:1:1: avatar.video: /m/anna.mp4: there is no picture in this file;"
        " name a video that shows a face"
    ]
