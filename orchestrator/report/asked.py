"""What a job asked for, in a few words for its card: face, voice, and what is said. Pure."""

from __future__ import annotations

from pathlib import PurePath
from typing import assert_never

from orchestrator.model import AudioKind, AvatarKind, JobSpec, Mode
from orchestrator.report.results import plain

LONGEST_TEXT = 160
"""So many characters of a text are shown."""


def asked(spec: JobSpec) -> tuple[tuple[str, str], ...]:
    """Pairs of name and value, not yet escaped: files by their names, ids as they are."""
    heard = [("Says", _beginning(spec.audio)), ("Voice", spec.voice or "the avatar's own")]
    if spec.audio_kind is AudioKind.FILE:
        heard = [("Audio", PurePath(spec.audio).name)]
    mode = [] if spec.mode is Mode.AVATAR1 else [("Mode", spec.mode.value)]
    caption = [] if spec.caption is None else [("Caption", spec.caption)]
    return tuple((name, plain(value)) for name, value in [_face(spec), *heard, *mode, *caption])


def _face(spec: JobSpec) -> tuple[str, str]:
    match spec.avatar_kind:
        case AvatarKind.VIDEO | AvatarKind.IMAGE:
            return "Avatar", PurePath(spec.avatar).name
        case AvatarKind.PUBLIC:
            return "Avatar", f"public {spec.avatar}"
        case AvatarKind.PRIVATE:
            return "Avatar", f"private {spec.avatar}"
        case _:
            assert_never(spec.avatar_kind)


def _beginning(text: str) -> str:
    """Whole words of the text, and an ellipsis where there is more."""
    line = " ".join(text.split())
    if len(line) <= LONGEST_TEXT:
        return line
    whole = line[: LONGEST_TEXT + 1].rpartition(" ")[0] or line[:LONGEST_TEXT]
    return f"{whole} …"
