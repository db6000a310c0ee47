"""What the vendor takes together (``docs/vendor.md``), checked before anything is sent.

``job_complaints`` looks at one job as it was written, ``media_complaints`` at what was seen of
the files that the jobs name. Both are pure: they read no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath

from orchestrator.errors import MediaError
from orchestrator.manifest.expand import Draft, local_files
from orchestrator.manifest.findings import Page, shown
from orchestrator.manifest.nodes import Spot
from orchestrator.manifest.packed import Packed, packed
from orchestrator.manifest.schema import Audio, Avatar
from orchestrator.model import (
    FILE_AVATARS,
    AudioKind,
    Complaint,
    JobSpec,
    MediaFacts,
    Mode,
    Place,
)

FORMATS = {
    "avatar.video": ("mp4", "mov", "avi"),
    "avatar.image": ("png", "jpg", "jpeg", "bmp", "webp"),
    "audio.file": ("mp3", "wav", "m4a"),
}
"""Extensions that the vendor takes, by the key that names the file."""
MAX_TEXT = 8000
"""Characters; longer texts have been refused elsewhere, the vendor states no limit."""
MAX_AVATAR2_AUDIO_S = 28.0
"""The vendor's limit for avatar2 in sibling products; not stated for this one."""
MAX_FILE_BYTES = 200 * 1000 * 1000
"""The vendor's limit in sibling products; not stated for this one."""

_NEEDS = {
    "avatar": "give it one of video, public, private and image, under avatar",
    "audio": "give it one of file, text and text_file, under audio",
}


def job_complaints(draft: Draft, page: Page) -> list[Complaint]:
    """Everything that does not go together in one job. Keys refused before are left alone."""
    if page.cut:
        return []
    avatar, audio = draft.job.avatar or _NO_AVATAR, draft.job.audio or _NO_AUDIO
    found: list[Complaint] = []
    faces, voices = _given(avatar, _FACES), _given(audio, _VOICES)
    if len(faces) != 1:
        found.extend(_source(draft, page, "avatar", faces))
    if len(voices) != 1:
        found.extend(_source(draft, page, "audio", voices))
    found.extend(_image_mode(draft, page, avatar))
    found.extend(_voice(draft, page, avatar, audio))
    if draft.job.caption is not None:
        found.extend(_caption(draft, page, avatar))
    if draft.job.save_avatar:
        found.extend(_save_avatar(draft, page, avatar))
    found.extend(_ids(draft, page, avatar, audio))
    found.extend(_extensions(draft, page))
    if audio.text is not None:
        found.extend(text_complaints(page, draft.spot("audio.text"), audio.text))
    return found


_NO_AVATAR, _NO_AUDIO = Avatar(), Audio()
_FACES = ("video", "public", "private", "image")
_VOICES = ("file", "text", "text_file")


def _given(section: Avatar | Audio, names: Iterable[str]) -> list[str]:
    return [name for name in names if getattr(section, name) is not None]


def _source(draft: Draft, page: Page, name: str, given: list[str]) -> Iterator[Complaint]:
    """Exactly one source of the avatar, exactly one of the audio; ``given`` is none or many."""
    if draft.may_lack_source(name):
        return
    if not given:
        spot = draft.own.get(name) or draft.own[""]
        yield page.complaint(spot, f"the job has no {name} source", _NEEDS[name])
        return
    given = sorted(given, key=lambda key: draft.spot(f"{name}.{key}"))
    spot = draft.spot(f"{name}.{given[1]}")
    problem = f"{name} has {len(given)} sources: {' and '.join(given)}"
    yield page.complaint(spot, problem, f"keep one of them in {name}")


def _image_mode(draft: Draft, page: Page, avatar: Avatar) -> Iterator[Complaint]:
    if avatar.image is None or draft.is_spoiled("mode") or draft.job.mode is Mode.AVATAR2:
        return
    yield page.complaint(
        draft.spot("avatar.image", "mode"),
        "mode avatar1 cannot animate an image",
        'write "mode: avatar2" for this job, or use a video',
    )


def _voice(draft: Draft, page: Page, avatar: Avatar, audio: Audio) -> Iterator[Complaint]:
    """Text to speech needs a voice, unless a public avatar has one; a file needs none."""
    if audio.file is not None:
        for key in ("voice", "speed"):
            if f"audio.{key}" in draft.own and getattr(audio, key) is not None:
                problem = f"audio.{key} means nothing for a sound file"
                remedy = "remove it, or give audio.text instead of audio.file"
                yield page.complaint(draft.own[f"audio.{key}"], problem, remedy, warning=True)
        return
    kinds = _given(avatar, ("video", "private", "image"))
    speaks = audio.text is not None or audio.text_file is not None
    if not speaks or not kinds or audio.voice is not None or draft.is_spoiled("audio.voice"):
        return
    yield page.complaint(
        draft.spot("audio.text", "audio.text_file"),
        f"text to speech with {_AVATAR_WORDS[kinds[0]]} needs a voice",
        'add "voice: VOICE_ID" under audio; only public avatars have a voice of their own',
    )


_AVATAR_WORDS = {
    "video": "an uploaded video",
    "private": "a private avatar",
    "image": "an uploaded image",
}


def _caption(draft: Draft, page: Page, avatar: Avatar) -> Iterator[Complaint]:
    kinds = _given(avatar, ("video", "private", "image"))
    if draft.job.caption is None or not kinds:
        return
    yield page.complaint(
        draft.spot("caption", "avatar"),
        f"a caption cannot go with {_AVATAR_WORDS[kinds[0]]}",
        'remove it (or write "caption: null"); the vendor puts captions on public avatars only',
    )


def _save_avatar(draft: Draft, page: Page, avatar: Avatar) -> Iterator[Complaint]:
    kinds = _given(avatar, ("public", "private"))
    if not draft.job.save_avatar or not kinds:
        return
    yield page.complaint(
        draft.spot("save_avatar", "avatar"),
        f"a {kinds[0]} avatar cannot be saved",
        'remove save_avatar (or write "false"); only an uploaded video or image can be saved',
    )


def _ids(draft: Draft, page: Page, avatar: Avatar, audio: Audio) -> Iterator[Complaint]:
    """Ids of the vendor are opaque, but not empty and without spaces around or inside."""
    values = (
        ("avatar.public", avatar.public),
        ("avatar.private", avatar.private),
        ("audio.voice", audio.voice),
        ("caption", draft.job.caption),
    )
    for key, value in values:
        if value is not None and (not value.isprintable() or not value or " " in value):
            problem = f"{key} is {shown(value)}"
            yield page.complaint(draft.spot(key), problem, "write the id as the vendor lists it")


def _extensions(draft: Draft, page: Page) -> Iterator[Complaint]:
    for key, value in local_files(draft.job):
        spot, suffix = draft.spot(key), _suffix(value)
        if not value.isprintable() or not value.strip():
            yield page.complaint(spot, f"{key} is {shown(value)}", "write the path of a file")
        elif key in FORMATS and suffix not in FORMATS[key]:
            what = f"no {suffix} file" if suffix else "no file without an extension"
            yield page.complaint(
                spot,
                f"{key} is {shown(value)}: the vendor takes {what} there",
                f"use one of {', '.join(FORMATS[key])}",
            )
        elif suffix == "avi":
            problem = f"{key} is an avi file, which only a part of the vendor's papers allows"
            yield page.complaint(spot, problem, "convert it to mp4 to be sure", warning=True)


def files_to_look_at(draft: Draft) -> Iterator[tuple[str, str]]:
    """Key and path, as written, of the media of a job, wrong or not, that nothing has been said
    against: the only source of their section, with an extension that the vendor takes."""
    avatar, audio = draft.job.avatar or _NO_AVATAR, draft.job.audio or _NO_AUDIO
    sources = {"avatar": _given(avatar, _FACES), "audio": _given(audio, _VOICES)}
    for key, value in local_files(draft.job):
        sole = len(sources[key.partition(".")[0]]) == 1
        if sole and value.isprintable() and _suffix(value) in FORMATS.get(key, ()):
            yield key, value


@lru_cache(maxsize=4096)
def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix[1:].lower()


def text_complaints(page: Page, spot: Spot, text: str) -> Iterator[Complaint]:
    """What is wrong with words to speak."""
    if not text.strip():
        yield page.complaint(spot, "the text to speak is empty", "write what is to be said")
    elif len(text) > MAX_TEXT:
        problem = f"the text to speak has {len(text)} characters, more than {MAX_TEXT}"
        remedy = "the vendor may refuse it; split it into several jobs to be sure"
        yield page.complaint(spot, problem, remedy, warning=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUse:
    """A media file (its absolute path) under a key of a job that is wrong for another reason."""

    key: str
    path: str
    mode: Mode


@dataclass(slots=True, kw_only=True)
class FileUses:
    """The media of wrong jobs, which have no specs: where each use stands first, and how often."""

    found: dict[FileUse, tuple[Place, int]] = field(default_factory=dict)

    def add(self, use: FileUse, place: Place) -> None:
        """One more job uses the file so; the first comes first."""
        first, count = self.found.get(use, (place, 0))
        self.found[use] = (first, count + 1)

    def paths(self) -> Iterator[str]:
        """The files, some of them several times."""
        return (use.path for use in self.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What is wrong with one use of one file; equal findings of many jobs become one complaint."""

    path: str
    key: str
    problem: str
    remedy: str
    warning: bool = False


def media_complaints(
    jobs: Sequence[JobSpec],
    facts: Mapping[str, MediaFacts | MediaError],
    others: FileUses | None = None,
) -> list[Complaint]:
    """What is wrong with the files that ``jobs`` name, each at the key that names it first.

    ``facts`` has, by path, what was seen of a file or why it cannot be used; files that it does
    not know are passed over. A finding that is the same for many jobs is one complaint that
    counts the others. ``others`` are the files of jobs that have no spec.
    """
    found: dict[_Finding, tuple[Place, int]] = {}
    every = packed(jobs)
    seen: dict[tuple[str, str, Mode], list[_Finding]] = {}
    for number, use in _uses(every):
        if (findings := seen.get(use)) is None:
            findings = seen[use] = [*_findings(*use, facts)]
        for finding in findings:
            place, more = found.get(finding) or (_place(every, number, finding.key), -1)
            found[finding] = (place, more + 1)
    for other, (place, count) in others.found.items() if others else ():
        for finding in _findings(other.key, other.path, other.mode, facts):
            known, more = found.get(finding, (place, -1))
            found[finding] = (_earlier(known, place), more + count)
    return [_told(finding, place, more) for finding, (place, more) in found.items()]


def _earlier(one: Place, other: Place) -> Place:
    """The first of two places in one file; of places in two files the first that was given."""
    sooner = (other.line, other.column) < (one.line, one.column)
    return other if one.file == other.file and sooner else one


def _told(finding: _Finding, place: Place, others: int) -> Complaint:
    more = f" (and {others} more {'job' if others == 1 else 'jobs'})" if others else ""
    return Complaint(
        place=place,
        problem=finding.problem + more,
        remedy=finding.remedy,
        warning=finding.warning,
    )


def _place(jobs: Packed, number: int, key: str) -> Place:
    places = jobs.places(number)
    place = places.get(key) or places.get("")
    return place or Place(file=f"job {jobs.ids[number]}", line=1, column=1)


def _uses(jobs: Packed) -> Iterator[tuple[int, tuple[str, str, Mode]]]:
    """Every use of a file: the job's number; and the key, the path and the job's mode."""
    for number in range(len(jobs)) if jobs.need_files() else ():
        alike = jobs.alike(number)
        if alike.avatar_kind in FILE_AVATARS:
            yield number, (f"avatar.{alike.avatar_kind.value}", jobs.avatars[number], alike.mode)
        if alike.audio_kind is AudioKind.FILE:
            yield number, ("audio.file", jobs.audios[number], alike.mode)


def _findings(
    key: str, path: str, mode: Mode, facts: Mapping[str, MediaFacts | MediaError]
) -> Iterator[_Finding]:
    """What is wrong with one use of one file."""
    seen = facts.get(path)
    if isinstance(seen, MediaError):
        problem = f"{key}: {path}: {seen.problem}"
        remedy = _home_hint(path, seen) or seen.remedy
        yield _Finding(path=path, key=key, problem=problem, remedy=remedy)
    elif seen is not None:
        yield from _fitness(key, seen, mode)


def _home_hint(path: str, seen: MediaError) -> str:
    """What to do about a missing file in "~", where a home folder was meant; else ""."""
    homes = [folder for folder in path.split("/")[:-1] if folder.startswith("~")]
    if not homes or seen.problem != "there is no such file":
        return ""
    return f'"{homes[0]}" is not expanded here: write the path of the folder out'


def _fitness(key: str, seen: MediaFacts, mode: Mode) -> Iterator[_Finding]:
    """Whether a usable file is of use under this key."""

    def finding(problem: str, remedy: str, *, warning: bool = False) -> _Finding:
        words = f"{key}: {seen.path}: {problem}"
        return _Finding(path=seen.path, key=key, problem=words, remedy=remedy, warning=warning)

    if key == "avatar.video" and not seen.has_video:
        yield finding("there is no picture in this file", "name a video that shows a face")
    if key == "audio.file" and not seen.has_audio:
        yield finding("there is no sound in this file", "name a file in which somebody speaks")
    if seen.size_bytes > MAX_FILE_BYTES:
        size_mb = seen.size_bytes / 1e6
        remedy = "the vendor may refuse it; make it smaller to be sure"
        yield finding(f"the file has {size_mb:.0f} MB, more than 200", remedy, warning=True)
    too_long = (seen.duration_s or 0.0) > MAX_AVATAR2_AUDIO_S
    if key == "audio.file" and mode is Mode.AVATAR2 and too_long:
        problem = f"the sound lasts {seen.duration_s:.1f} s, more than 28 s, with mode avatar2"
        remedy = "the vendor may refuse it; cut it, or use mode avatar1"
        yield finding(problem, remedy, warning=True)
