"""What the user wrote to jobs with every default filled in and every path absolute.

Nothing here holds more than one job at a time. ``merged`` lays a job over the defaults;
``spec_of`` makes the finished :class:`JobSpec`; both are called job by job.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.manifest.nodes import Places, Plain, Spot
from orchestrator.manifest.schema import DEFAULT_OUTPUT, Audio, Avatar, Job
from orchestrator.model import FILE_AVATARS, AudioKind, AvatarKind, JobId, JobSpec, Mode

SOURCES = {
    "avatar": frozenset({"video", "public", "private", "image"}),
    "audio": frozenset({"file", "text", "text_file"}),
}
"""Keys of which a job needs exactly one; one in the job replaces the default's."""
_MARKS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every job of a manifest shares. ``batch`` is "" if its name could not be read.

    ``folder`` is the absolute folder of the manifest; ``output`` the template of all jobs that
    have none of their own, written at ``output_spot`` (None: nowhere, it is the program's).
    """

    file: str
    folder: str
    batch: str
    output: str = DEFAULT_OUTPUT
    output_spot: Spot | None = None
    output_spoiled: bool = False
    defaults: Plain


@dataclass(slots=True)
class Draft:
    """A job that was read and merged but may still be wrong.

    ``spots`` has places by dotted key, defaults included; ``own`` only those the job wrote
    itself; ``spoiled`` the keys that were refused already.
    """

    job: Job
    spots: dict[str, Spot]
    own: dict[str, Spot]
    spoiled: set[str]

    def spot(self, *keys: str) -> Spot:
        """Where the first of ``keys`` that the job wrote itself stands, else that came with the
        defaults, else the job."""
        for spots in (self.own, self.spots):
            for key in keys:
                if key in spots:
                    return spots[key]
        return self.spots[""]

    def is_spoiled(self, *keys: str) -> bool:
        """Whether any of ``keys``, or the mapping around it, was refused."""
        return bool(self.spoiled) and any(
            key in self.spoiled or key.partition(".")[0] in self.spoiled for key in keys
        )


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` without keys that are null, at every depth."""
    return {
        key: without_nulls(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def section_of(plain: Plain, name: str) -> Plain:
    """The part of ``plain`` under the key ``name``, with keys relative to it."""
    prefix = name + "."
    values = plain.values.get(name)
    return Plain(
        values=values if isinstance(values, dict) else {},
        spots={k.removeprefix(prefix): v for k, v in plain.spots.items() if k.startswith(prefix)},
        spoiled={k.removeprefix(prefix) for k in plain.spoiled if k.startswith(prefix)},
    )


def merged(defaults: Plain, job: Plain) -> Plain:
    """``job`` laid over ``defaults``: mappings merge, a source replaces the source, null unsets."""
    values = {**defaults.values, **job.values}
    replaced: list[str] = []
    for name, sources in SOURCES.items():
        own, base = job.values.get(name), defaults.values.get(name)
        if isinstance(own, dict) and isinstance(base, dict):
            if any(own.get(key) is not None for key in sources):
                replaced.extend(f"{name}.{key}" for key in base if key in sources)
                base = {key: value for key, value in base.items() if key not in sources}
            values[name] = {**base, **own}
    inherited = {key for key in defaults.spoiled if key not in job.spots}
    spots = {**defaults.spots, **job.spots}
    for key in replaced:
        if key not in job.spots:
            spots.pop(key, None)
    return Plain(
        values=without_nulls(values),
        spots=spots,
        spoiled=job.spoiled | inherited if inherited else job.spoiled,
    )


@lru_cache(maxsize=4096)
def absolute(folder: str, path: str) -> str:
    """``path`` relative to ``folder``; "~" and symbolic links are left alone."""
    return str(Path(folder, path))


def placeholders(template: str) -> list[str]:
    """The names in braces in an output template; a brace without its partner counts as itself."""
    found = (m for m in _MARKS.finditer(template) if m[0] not in ("{{", "}}"))
    return [m[0] if m[1] is None else m[1] for m in found]


def filled(template: str, values: Mapping[str, str]) -> str:
    """``template`` with every placeholder filled in and doubled braces made single."""

    def fill(match: re.Match[str]) -> str:
        return match[0][0] if match[0] in ("{{", "}}") else values[match[1]]

    return _MARKS.sub(fill, template)


def output_of(draft: Draft, context: Context) -> str:
    """The absolute, normalised path of the job's video.

    The template must have been found right, the id and the batch's name as well.
    """
    template = context.output if draft.job.output is None else draft.job.output
    name = filled(template, {"batch": context.batch, "id": draft.job.id})
    return os.path.normpath(os.path.join(context.folder, name))  # noqa: PTH118  (a hot path)


def spec_of(draft: Draft, context: Context, output: str, text: str | None) -> JobSpec:
    """The finished job, from a draft that was found right.

    ``output`` is what :func:`output_of` gave; ``text`` the content of ``audio.text_file``, where
    the job has one.
    """
    job = draft.job
    avatar_kind, avatar = _avatar(job.avatar or Avatar(), context.folder)
    audio_kind, audio = _audio(job.audio or Audio(), text, context.folder)
    speaks = job.audio if audio_kind is AudioKind.TEXT else None
    return JobSpec(
        job_id=JobId(job.id),
        avatar_kind=avatar_kind,
        avatar=avatar,
        audio_kind=audio_kind,
        audio=audio,
        output=Path(output),
        mode=job.mode or Mode.AVATAR1,
        voice=speaks.voice if speaks else None,
        speed=1.0 if speaks is None or speaks.speed is None else speaks.speed,
        caption=job.caption,
        save_avatar=bool(job.save_avatar),
        priority=job.priority or 0,
        tags=tuple(job.tags or ()),
        places=Places(context.file, _final_spots(draft, context)),
    )


def local_files(job: Job) -> list[tuple[str, str]]:
    """Dotted key and path, as written, of every file on this machine that the job reads."""
    avatar, audio = job.avatar, job.audio
    named = [
        ("avatar.video", avatar.video if avatar else None),
        ("avatar.image", avatar.image if avatar else None),
        ("audio.file", audio.file if audio else None),
        ("audio.text_file", audio.text_file if audio else None),
    ]
    return [(key, path) for key, path in named if path is not None]


def _avatar(avatar: Avatar, folder: str) -> tuple[AvatarKind, str]:
    for kind in AvatarKind:
        if (value := getattr(avatar, kind.value)) is not None:
            return kind, absolute(folder, value) if kind in FILE_AVATARS else value
    raise ValueError("a job without an avatar has no spec")


def _audio(audio: Audio, text: str | None, folder: str) -> tuple[AudioKind, str]:
    if audio.file is not None:
        return AudioKind.FILE, absolute(folder, audio.file)
    spoken = text if audio.text is None else audio.text
    if spoken is None:
        raise ValueError("a job without a voice has no spec")
    return AudioKind.TEXT, spoken


def _final_spots(draft: Draft, context: Context) -> dict[str, Spot]:
    """Places as later checks ask for them: a text file's text and an inherited output included."""
    spots = draft.spots
    if "audio.text_file" in spots:
        spots.setdefault("audio.text", spots["audio.text_file"])
    if context.output_spot is not None:
        spots.setdefault("output", context.output_spot)
    return spots
