"""The hash of what is paid for. The golden hashes below never change.

A changed hash would make every job that users have finished run, and be paid for, again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.manifest.revision import differences, revision_of, wire_text, wire_values
from orchestrator.model import AudioKind, AvatarKind, ContentHash, JobId, JobSpec, Mode

HASHES = {
    "/m/anna.mp4": ContentHash("a" * 64),
    "/m/anna.png": ContentHash("b" * 64),
    "/m/hello.wav": ContentHash("c" * 64),
    "/copy/anna.mp4": ContentHash("a" * 64),
}
SPOKEN = JobSpec(
    job_id=JobId("a"),
    avatar_kind=AvatarKind.PUBLIC,
    avatar="3327",
    audio_kind=AudioKind.TEXT,
    audio="Grüß dich.",
    output=Path("/o/a.mp4"),
)
RECORDED = replace(
    SPOKEN,
    avatar_kind=AvatarKind.VIDEO,
    avatar="/m/anna.mp4",
    audio_kind=AudioKind.FILE,
    audio="/m/hello.wav",
)
FULL = replace(
    SPOKEN,
    avatar_kind=AvatarKind.IMAGE,
    avatar="/m/anna.png",
    mode=Mode.AVATAR2,
    voice="v",
    speed=0.9,
    caption="c",
    save_avatar=True,
)


def _wire(spec: JobSpec) -> str:
    return wire_text(wire_values(spec, HASHES))


@pytest.mark.parametrize(
    ("spec", "wire", "revision"),
    [
        (
            SPOKEN,
            r'{"audio.text":"Gr\u00fc\u00df dich.","avatar.public":"3327"}',
            "1aded4700924fbad7442111e2f964786b71271e988c2e0cb6780fd4db622064f",
        ),
        (
            RECORDED,
            '{"audio.file":"' + "c" * 64 + '","avatar.video":"' + "a" * 64 + '"}',
            "a3e4528ed747923db4cea263e5d4d0363ae80796a316bc7db72f9f646e7f9e73",
        ),
        (
            FULL,
            r'{"audio.speed":0.9,"audio.text":"Gr\u00fc\u00df dich.","audio.voice":"v",'
            '"avatar.image":"' + "b" * 64 + '","caption":"c","mode":"avatar2","save_avatar":true}',
            "b6ac712f7996dc327da1933633894afc4c38b6a8d4f8653f46a5f5b0aac3171f",
        ),
        (
            replace(SPOKEN, avatar_kind=AvatarKind.PRIVATE, avatar="9002", voice="v"),
            r'{"audio.text":"Gr\u00fc\u00df dich.","audio.voice":"v","avatar.private":"9002"}',
            "ab4427fc46450066a234edd50fe509ffad2a023e07c081d25aecc860336d3f8f",
        ),
    ],
)
def test_golden_revisions_never_change(spec: JobSpec, wire: str, revision: str) -> None:
    assert _wire(spec) == wire
    assert revision_of(wire) == revision


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": JobId("b")},
        {"output": Path("/elsewhere/b.mp4")},
        {"priority": 9},
        {"tags": ("vip",)},
        {"voice": "v"},
        {"speed": 1.2},
        {"avatar": "/copy/anna.mp4"},
    ],
)
def test_what_is_not_paid_for_changes_no_revision(changes: dict[str, Any]) -> None:
    assert _wire(replace(RECORDED, **changes)) == _wire(RECORDED)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"audio": "Hello."}, [("audio.text", "Grüß dich.", "Hello.")]),
        ({"voice": "w"}, [("audio.voice", "v", "w")]),
        ({"voice": None}, [("audio.voice", "v", None)]),
        ({"speed": 1.0}, [("audio.speed", "0.9", "1.0")]),
        ({"mode": Mode.AVATAR1}, [("mode", "avatar2", "avatar1")]),
        ({"caption": None}, [("caption", "c", None)]),
        ({"save_avatar": False}, [("save_avatar", "true", "false")]),
        (
            {"avatar_kind": AvatarKind.VIDEO, "avatar": "/m/anna.mp4"},
            [
                ("avatar.image", f"sha256:{'b' * 12}", None),
                ("avatar.video", None, f"sha256:{'a' * 12}"),
            ],
        ),
        ({}, []),
    ],
)
def test_what_is_paid_for_changes_the_revision_and_is_named(
    changes: dict[str, Any], expected: list[tuple[str, str | None, str | None]]
) -> None:
    old, new = _wire(FULL), _wire(replace(FULL, **changes))

    assert differences(old, new) == expected
    assert (revision_of(old) == revision_of(new)) == (not expected)


def test_a_whole_number_as_speed_is_the_same_speed() -> None:
    assert _wire(replace(SPOKEN, speed=1)) == _wire(SPOKEN)


def test_a_file_without_a_hash_is_an_error() -> None:
    with pytest.raises(KeyError):
        wire_values(replace(RECORDED, avatar="/m/unknown.mp4"), HASHES)
