"""A first manifest from what lies in a folder: faces and voices, or a file of rows.

Files that share a name but for the extension become one job each; where no two do, every face is
put together with every voice. Nothing is written here, and no media file is opened.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import UsageError

VIDEOS = frozenset({".mp4", ".mov", ".avi"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
VOICES = frozenset({".mp3", ".wav", ".m4a"})
ROWS = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})
STRANGERS = frozenset({".aac", ".flac", ".gif", ".heic", ".mkv", ".ogg", ".opus", ".webm", ".wma"})
"""Media that the vendor does not take; worth a word, unlike other files."""

OUR_FOLDERS = frozenset({"out", "state", "rehearsal"})
"""Folders that a run makes beside a manifest: what lies there was made, not given."""
MAX_LISTED = 20
MAX_NAME = 60
"""Characters of a name made from a file's; two of them make an id."""

_COLUMNS = (
    "begin it with a line such as id,avatar.video,audio.text,audio.voice (or, in JSONL, write such"
    " keys in every line)"
)
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_LOOKS_LIKE_MORE = re.compile(r"[0-9._+-]+|null|true|false|yes|no|on|off|y|n", re.IGNORECASE)
_UNUSABLE = re.compile(r"[*?\\]")
_SPELT = str.maketrans(
    dict(zip("øØłŁđĐðÐıħĦ", "oOlLdDdDihH", strict=True))
    | {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th"}
)
"""Latin letters that are no plain letter with a mark."""


@dataclass(slots=True)
class Found:
    """What lies in a folder, as paths relative to it with slashes, sorted."""

    videos: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    voices: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def faces(self) -> list[str]:
        """Everything that can be an avatar."""
        return sorted([*self.videos, *self.pictures])


def starter_manifest(folder: Path, batch: str | None = None) -> str:
    """The text of a commented manifest for what lies in ``folder`` and the folders below it.

    It belongs into ``folder``, where its paths start. CSV and JSONL files with a column for the
    ids are lists of jobs and go before everything else; ``folder`` may also be such a file, and
    the manifest then belongs beside it. Their rows are not checked here. ``batch`` None: named
    after the folder.

    Raises:
        UsageError: there is no such folder, nothing in it fits together, or the name of the batch
            cannot be used.
    """
    found, home = _look(folder)
    head = _head(_batch_name(home, batch))
    pairs = _pairs(found)
    if found.rows:
        body = _from_rows(found.rows)
    elif pairs:
        body = _jobs(pairs, found)
    elif found.faces and found.voices:
        body = _matrices(found)
    else:
        raise UsageError(_nothing_fits(folder, found))
    return "\n".join([*head, *body, *_left_out(found)]) + "\n"


def _look(folder: Path) -> tuple[Found, Path]:
    """What there is, and the folder that the manifest belongs into."""
    if folder.suffix.lower() in ROWS and folder.is_file():
        if not _lists_jobs(folder):
            raise UsageError(f"{folder} has no column for the ids of jobs: {_COLUMNS}")
        return Found(rows=[folder.name]), folder.absolute().parent
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "not there"
        raise UsageError(
            f"{folder} is {what}: name a folder with faces and voices, or a CSV or JSONL file"
        )
    found = Found()
    for path in _files(folder):
        _sort_in(path, found)
    found.rows = [path for path in found.rows if _lists_jobs(folder / path)]
    return found, folder.absolute()


def _lists_jobs(path: Path) -> bool:
    """Whether a file of rows has a column for the ids of jobs."""
    from orchestrator.manifest.rows import first_keys  # not before it is needed: pydantic is heavy

    try:
        return "id" in first_keys(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; check it") from error


def _files(folder: Path) -> Iterator[str]:
    """Paths of all files below ``folder``, hidden ones and our own results left out."""
    for here, folders, names in os.walk(folder):
        at_top = Path(here) == folder
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not (at_top and name in OUR_FOLDERS)
        )
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(here, name).relative_to(folder).as_posix()


def _sort_in(path: str, found: Found) -> None:
    suffix = Path(path).suffix.lower()
    lists = (
        (VIDEOS, found.videos),
        (PICTURES, found.pictures),
        (VOICES, found.voices),
        (ROWS, found.rows),
        (STRANGERS, found.left_out),
    )
    for suffixes, paths in lists:
        if suffix in suffixes:
            usable = path.isprintable() and not _UNUSABLE.search(path)
            (paths if usable else found.left_out).append(path)


def _batch_name(home: Path, batch: str | None) -> str:
    if batch is None:
        return _slug(home.name).lower()[:64].rstrip("-") or "batch"
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", batch):
        raise UsageError(
            f"the batch cannot be named {batch!r}: use a-z, 0-9, '.', '_' and '-', at most 64 of"
            " them; begin with a letter or a digit"
        )
    return batch


def _pairs(found: Found) -> list[tuple[str, str]]:
    """Faces and voices whose files have the same name but for folder, case and extension."""
    voices: dict[str, list[str]] = {}
    for path in found.voices:
        voices.setdefault(_stem(path).casefold(), []).append(path)
    return [
        (face, voice) for face in found.faces for voice in voices.get(_stem(face).casefold(), [])
    ]


def _stem(path: str) -> str:
    return Path(path).stem


def plain(text: str) -> str:
    """``text`` with its Latin letters spelt in a-z, without their marks: ``Özgür`` is ``Ozgur``."""
    apart = unicodedata.normalize("NFKD", text.translate(_SPELT))
    return "".join(c for c in apart if not unicodedata.combining(c))


def _slug(text: str) -> str:
    """``text`` with nothing but letters, digits, "_", "-" and dots inside."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain(text)).strip("-._")


def _names(paths: Sequence[str]) -> list[str]:
    """A name for each path, all different (upper and lower case alike), made from their stems."""
    taken: set[str] = set()
    names = []
    for path in paths:
        base = _slug(_stem(path))[:MAX_NAME].rstrip("-._") or "file"
        name, number = base, 2
        while name.lower() in taken:
            name, number = f"{base}-{number}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _head(batch: str) -> list[str]:
    return [
        "# A manifest to start from. Every key is explained in docs/manifest.md.",
        "#",
        "#     orchestrator validate FILE          check it",
        "#     orchestrator run FILE --emulator    rehearse it: no account, no cost",
        "#     orchestrator plan FILE              see what a run would do and cost",
        "#     orchestrator run FILE",
        "",
        "version: 1",
        f"batch: {_scalar(batch)}    # the name under which progress is remembered",
        "output: out/{batch}/{id}.mp4    # where the videos go, relative to this file",
        "",
        "# limits: {in_flight: 4}    # unfinished videos at the vendor; default auto: it finds out",
        "# budget: {credits: 100}    # stop before more than this is spent",
        "",
    ]


def _jobs(pairs: Sequence[tuple[str, str]], found: Found) -> list[str]:
    lines = ["jobs:    # faces and voices whose files have the same name"]
    for name, (face, voice) in zip(_names([face for face, _ in pairs]), pairs, strict=True):
        mode = ", mode: avatar2" if face in found.pictures else ""
        lines.append(
            f"  - {{id: {_scalar(name)}, avatar: {_source(face, found)},"
            f" audio: {{file: {_path(voice)}}}{mode}}}"
        )
    paired = {path for pair in pairs for path in pair}
    alone = [path for path in (*found.faces, *found.voices) if path not in paired]
    return [*lines, *_comment("Without a partner of the same name, and not used:", alone)]


def _source(face: str, found: Found) -> str:
    key = "image" if face in found.pictures else "video"
    return f"{{{key}: {_path(face)}}}"


def _matrices(found: Found) -> list[str]:
    faces, voices = _named(found.faces), _named(found.voices)
    ids = {f"{face}-{voice}".lower() for face in faces.values() for voice in voices.values()}
    between = "-" if len(ids) == len(faces) * len(voices) else "--"
    lines = ["matrix:    # every face with every voice"]
    for some, mode in ((found.videos, None), (found.pictures, "avatar2")):
        if some:
            lines.append(f'  - id: "{{avatar}}{between}{{audio}}"')
            lines += _axes({path: faces[path] for path in some}, voices, found, mode)
    return lines


def _named(paths: Sequence[str]) -> dict[str, str]:
    return dict(zip(paths, _names(paths), strict=True))


def _axes(
    faces: Mapping[str, str], voices: Mapping[str, str], found: Found, mode: str | None
) -> list[str]:
    return [
        *([f"    mode: {mode}    # a picture needs it"] if mode else []),
        "    avatars:",
        *(f"      {_scalar(name)}: {_source(path, found)}" for path, name in faces.items()),
        "    audios:",
        *(f"      {_scalar(name)}: {{file: {_path(path)}}}" for path, name in voices.items()),
        "    # exclude: [{avatar: NAME, audio: NAME}]    # pairs that are not wanted",
    ]


def _from_rows(rows: Sequence[str]) -> list[str]:
    return [
        "# One job a row. The columns are id, avatar.video (or public, private, image), audio.file",
        "# (or text with audio.voice), mode, output, tags and so on; see docs/manifest.md.",
        "from:",
        *(f"  - {_scalar(path)}" for path in rows),
        "",
        "# What holds for every row that does not say otherwise:",
        "# defaults: {audio: {voice: VOICE_ID}, mode: avatar1}",
    ]


def _left_out(found: Found) -> list[str]:
    return _comment("The vendor does not take these files, or their names:", found.left_out)


def _comment(title: str, paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    shown = [f"#   {json.dumps(path)}" for path in paths[:MAX_LISTED]]
    more = len(paths) - len(shown)
    return ["", f"# {title}", *shown, *([f"#   and {more} more"] if more else [])]


def _path(path: str) -> str:
    """A path for YAML, its braces doubled because single ones are placeholders."""
    return _scalar(path.replace("{", "{{").replace("}", "}}"))


def _scalar(text: str) -> str:
    """``text`` for YAML: bare where that is plain to see, else in quotes."""
    if _PLAIN.fullmatch(text) and not _LOOKS_LIKE_MORE.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False)


def _nothing_fits(folder: Path, found: Found) -> str:
    def kinds(suffixes: Iterable[str]) -> str:
        return ", ".join(sorted(suffix[1:] for suffix in suffixes))

    faces = f"faces ({kinds(VIDEOS | PICTURES)})"
    voices = f"voices ({kinds(VOICES)})"
    if found.faces:
        return f"{folder} has {len(found.faces)} faces but no {voices}: put some there"
    if found.voices:
        return f"{folder} has {len(found.voices)} voices but no {faces}: put some there"
    left = f"; {len(found.left_out)} files there are of kinds that the vendor does not take"
    return (
        f"{folder} has neither {faces} nor {voices}, nor a CSV or JSONL file"
        f"{left if found.left_out else ''}: put some there"
    )
