"""What the user wrote to jobs with every default filled in and every path absolute.

Nothing here holds more than one job at a time. ``merged`` lays a job over the defaults;
``finish`` makes the finished :class:`JobSpec`, packed; both are called job by job.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.manifest.fill import Names
from orchestrator.manifest.nodes import Plain, Spot
from orchestrator.manifest.packed import Alike, Packed
from orchestrator.manifest.places import Packer
from orchestrator.manifest.schema import DEFAULT_OUTPUT, Audio, Avatar, Job
from orchestrator.model import FILE_AVATARS, AudioKind, AvatarKind, JobId, Mode

SOURCES = {
    "avatar": frozenset({"video", "public", "private", "image"}),
    "audio": frozenset({"file", "text", "text_file"}),
}
"""Keys of which a job needs exactly one; one in the job replaces the default's."""
AXES = {"avatar": "avatars", "audio": "audios"}
"""The two things that a matrix combines, and the keys that list them."""
_NONE: frozenset[str] = frozenset()
_NO_SOURCES = frozenset({"audio.voice", "audio.speed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every job of a manifest shares. ``batch`` is "" if its name could not be read.

    ``folder`` is the absolute folder of the manifest; ``output`` the template of all jobs that
    have none of their own, written at ``output_spot`` (None: nowhere, it is the program's).
    ``vars`` are the usable ones, ``var_spots`` the places of their values.
    """

    file: str
    folder: str
    batch: str
    output: str = DEFAULT_OUTPUT
    output_spot: Spot | None = None
    output_spoiled: bool = False
    defaults: Plain
    vars: Mapping[str, str] = field(default_factory=dict)
    var_spots: Mapping[str, Spot] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """A job that was read and merged but may still be wrong.

    ``spots`` has places by dotted key, defaults included; ``own`` only those the job wrote
    itself; ``spoiled`` the keys that were refused already; ``names`` fills in its output.
    """

    job: Job
    spots: dict[str, Spot]
    own: Mapping[str, Spot]
    spoiled: set[str]
    names: Names

    def spot(self, *keys: str) -> Spot:
        """Where the first of ``keys`` that the job wrote itself stands, else that came with the
        defaults, else the job."""
        for spots in (self.own, self.spots):
            for key in keys:
                if key in spots:
                    return spots[key]
        return self.spots[""]

    def may_lack_source(self, section: str) -> bool:
        """Whether something was refused that may have been the source of ``section``."""
        return any(
            key == section or (key.startswith(f"{section}.") and key not in _NO_SOURCES)
            for key in self.spoiled
        )

    def is_spoiled(self, *keys: str) -> bool:
        """Whether any of ``keys``, or the mapping around it, was refused."""
        return bool(self.spoiled) and any(
            key in self.spoiled or key.partition(".")[0] in self.spoiled for key in keys
        )


def without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    """``values`` without keys that are null, at every depth; itself, if none is."""
    if not _has_null(values):
        return values
    return {
        key: without_nulls(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def _has_null(values: dict[str, Any]) -> bool:
    for value in values.values():
        if value is None or (type(value) is dict and _has_null(value)):
            return True
    return False


def section_of(plain: Plain, name: str) -> Plain:
    """The part of ``plain`` under the key ``name``, with keys relative to it."""
    prefix = name + "."
    values = plain.values.get(name)
    return Plain(
        values=values if isinstance(values, dict) else {},
        spots={k.removeprefix(prefix): v for k, v in plain.spots.items() if k.startswith(prefix)},
        spoiled={k.removeprefix(prefix) for k in plain.spoiled if k.startswith(prefix)},
    )


def dropped(values: dict[str, Any], dotted: str) -> None:
    """Take the dotted key out of ``values``, if it is there; keys may have dots of their own."""
    if dotted in values:
        del values[dotted]
        return
    for name, inner in values.items():
        if isinstance(inner, dict) and dotted.startswith(f"{name}."):
            dropped(inner, dotted[len(name) + 1 :])


def overlaid(base: Plain, job: Plain) -> Plain:
    """``job`` laid over ``base``: mappings merge, a source replaces the source, null stays."""
    values = {**base.values, **job.values}
    spots = {**base.spots, **job.spots}
    for name, under in base.values.items():
        over = job.values.get(name)
        if not isinstance(over, dict) or not isinstance(under, dict):
            continue
        sources = SOURCES.get(name, _NONE)
        if any(over.get(key) is not None for key in sources):
            for key in sources & under.keys() - over.keys():
                spots.pop(f"{name}.{key}", None)
            under = {key: value for key, value in under.items() if key not in sources}
        values[name] = {**under, **over}
    inherited = {key for key in base.spoiled if key not in job.spots}
    spoiled = job.spoiled | inherited if inherited else job.spoiled
    return Plain(values=values, spots=spots, spoiled=spoiled)


def merged(defaults: Plain, job: Plain) -> Plain:
    """``job`` laid over ``defaults``, and what is null then left out."""
    whole = overlaid(defaults, job)
    whole.values = without_nulls(whole.values)
    return whole


@lru_cache(maxsize=4096)
def absolute(folder: str, path: str) -> str:
    """``path`` relative to ``folder``; "~" and symbolic links are left alone."""
    return str(Path(folder, path))


def output_of(draft: Draft, context: Context) -> str:
    """The absolute, normalised path of the job's video.

    The template must have been found right, the id and the batch's name as well.

    Raises:
        Unfillable: a placeholder of the template is not known in this job.
    """
    template = context.output if draft.job.output is None else draft.job.output
    name = draft.names.fill("output", template)
    return os.path.normpath(os.path.join(context.folder, name))  # noqa: PTH118  (a hot path)


def finish(
    draft: Draft, context: Context, output: str, text: str | None, packer: Packer, specs: Packed
) -> None:
    """Add the finished job, from a draft that was found right, to ``specs``.

    ``output`` is what :func:`output_of` gave; ``text`` the content of ``audio.text_file``, where
    the job has one.
    """
    job = draft.job
    avatar_kind, avatar = _avatar(job.avatar or _NO_AVATAR, context.folder)
    audio_kind, audio = _audio(job.audio or _NO_AUDIO, text, context.folder)
    speaks = job.audio if audio_kind is AudioKind.TEXT else None
    alike = Alike(
        avatar_kind=avatar_kind,
        audio_kind=audio_kind,
        mode=job.mode or Mode.AVATAR1,
        voice=speaks.voice if speaks else None,
        speed=1.0 if speaks is None or speaks.speed is None else speaks.speed,
        caption=job.caption,
        save_avatar=bool(job.save_avatar),
        priority=job.priority or 0,
        tags=tuple(job.tags or ()),
    )
    places = packer.places(_final_spots(draft, context))
    specs.add(JobId(job.id), avatar, audio, output, alike, places)


_NO_AVATAR, _NO_AUDIO = Avatar(), Audio()


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
