"""What the reading of a large manifest came to, kept for the next run.

Reading, expanding and checking 100,000 jobs takes some seconds, and comes to the same as long as
the same is read. The memory of it is a file in the state folder, believed only if the program, the
bytes of every file that was read and the names that every pattern came to are what they were; and
what was said about the media only if all of them are what they were. Else, and if the file is
damaged or foreign, the manifest is simply read: that is also how complaints find their places,
which are not kept.

The file holds nothing that the state store does not hold as well. Of a webhook's address, which
may be a secret, only its place in the manifest is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator.manifest.inputs import Inputs
from orchestrator.manifest.packed import Packed
from orchestrator.model import (
    Complaint,
    Limits,
    Manifest,
    MediaFacts,
    OnDoubt,
    Place,
    Rate,
    Settings,
    Verify,
)
from orchestrator.planning import Prepared, look_at_media, prepare
from orchestrator.store.base import AppStore
from orchestrator.wishes import REVISION_BYTES, Wishes

FORMAT = 1
FOLDER = "readings"
"""Inside a state folder."""
WORTH_JOBS = 5_000
"""Manifests of fewer jobs are read in half a second."""
KEPT = 8
"""So many readings are kept in a state folder: those that were written last."""
PART = 2_000
"""Jobs in one line of a file."""
HASH_BYTES = 64

_DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError)
"""What a file that is not ours, or not whole, may lead to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where the reading of one manifest is kept.

    ``time_scale``: that of a rehearsal, which changes what is read; None: it is none.
    """

    folder: Path
    manifest: Path
    time_scale: float | None

    @property
    def file(self) -> Path:
        """One for each manifest."""
        seed = json.dumps([str(self.manifest), self.time_scale])
        return self.folder / FOLDER / f"{hashlib.sha256(seed.encode()).hexdigest()[:32]}.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A manifest that was read just now, from ``inputs``; ``jobs`` are its jobs."""

    slot: Slot
    manifest: Manifest
    jobs: Packed
    inputs: Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A manifest that was not read again. Its warnings include those about its media, if ``facts``
    is still the :func:`mark` of what is known of them."""

    slot: Slot
    manifest: Manifest
    jobs: Packed
    revisions: bytearray
    facts: str


def recall_reading(slot: Slot) -> Recalled | None:
    """What reading the manifest would come to; None if that is not certain. Blocking."""
    try:
        with slot.file.open("rb") as file:
            length = _whole(file)
            return _recalled(slot, map(json.loads, _lines(file, length)))
    except _DAMAGE:
        return None


async def prepare_recalled(recalled: Recalled, store: AppStore | None) -> Prepared | None:
    """The manifest's jobs, ready to be planned; None if any of its media is not what it was."""
    seen = await look_at_media(recalled.jobs.all_files(), store)
    usable = {path: found for path, found in seen.facts.items() if isinstance(found, MediaFacts)}
    if len(usable) != len(seen.facts) or mark(usable) != recalled.facts:
        return None
    return Prepared(
        manifest=replace(recalled.manifest, jobs=()),
        wanted=Wishes(recalled.jobs, usable, recalled.revisions),
        fresh=seen.fresh,
        warnings=recalled.manifest.warnings,
    )


async def prepare_read(read: Read, store: AppStore | None) -> Prepared:
    """The same for a manifest that was read; a run of it may be remembered.

    Raises:
        ManifestError: a media file cannot be used; all such complaints at once.
    """
    prepared = await prepare(replace(read.manifest, jobs=read.jobs), store)
    prepared.keep = partial(remember, read.slot, prepared, read.inputs)
    return prepared


def remember(slot: Slot, prepared: Prepared, inputs: Inputs) -> None:
    """Keep what a reading came to, if it is worth that. Blocking; never fails."""
    if len(prepared.wanted) < WORTH_JOBS or not inputs.steady or not program():
        return
    part = slot.file.with_name(f".{slot.file.name}.{os.getpid()}.part")
    try:
        head = _head(slot, prepared, inputs)
        if head is None:
            return
        part.parent.mkdir(mode=0o700, exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            _write(part, head, prepared.wanted)
            part.replace(slot.file)
        finally:
            part.unlink(missing_ok=True)
        _drop_old(slot.file.parent)
    except (OSError, ValueError):  # ValueError: a file's name that is no text
        return


def mark(facts: Mapping[str, MediaFacts]) -> str:
    """Equal for equal files: their paths, contents, and what was seen of them."""
    seen = [list(asdict(facts[path]).values()) for path in sorted(facts)]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


@cache
def program() -> str:
    """All that reads a manifest: this program's own text, and the versions of what it uses.

    "": the text is not to be had, so nobody can tell whether it is the same.
    """
    import pydantic
    import yaml

    here = Path(__file__).parent
    sources = sorted([*here.glob("manifest/*.py"), *map(here.joinpath, _READERS)])
    try:
        digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources))
    except OSError:
        return ""
    using = (sys.version, sys.getfilesystemencoding(), pydantic.VERSION, yaml.__version__)
    digest.update(json.dumps([FORMAT, *using, hasattr(yaml, "CSafeLoader")]).encode())
    return digest.hexdigest()


_READERS = ("model.py", "planning.py", "readings.py", "rehearsal.py", "wishes.py")
"""What else, beside the package ``manifest``, makes the jobs and the warnings."""


def _whole(file: BinaryIO) -> int:
    """The bytes in front of the last 64, which are their hash.

    Raises:
        ValueError: something is missing or was changed.
    """
    left = length = os.fstat(file.fileno()).st_size - HASH_BYTES
    digest = hashlib.sha256()
    while left > 0 and (data := file.read(min(left, 1024 * 1024))):
        digest.update(data)
        left -= len(data)
    if left or file.read() != digest.hexdigest().encode():
        raise ValueError("not whole")
    file.seek(0)
    return length


def _lines(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0:
        line = file.readline()
        length -= len(line)
        yield line


def _recalled(slot: Slot, lines: Iterator[Any]) -> Recalled | None:
    head: Mapping[str, Any] = next(lines, {"about": None})
    about = [FORMAT, program(), str(slot.manifest), slot.time_scale]
    if head["about"] != about or not program():
        return None
    inputs = Inputs(
        files=dict(head["files"]),
        patterns={(folder, pattern): seen for folder, pattern, seen in head["patterns"]},
    )
    if str(slot.manifest) not in inputs.files or not inputs.unchanged():
        return None
    jobs, revisions = _jobs_from(head, lines)
    manifest = Manifest(
        path=slot.manifest,
        batch=head["batch"],
        settings=_settings_from(head["settings"], slot.manifest, inputs),
        jobs=jobs,
        warnings=tuple(_complaint_from(*values) for values in head["warnings"]),
    )
    return Recalled(
        slot=slot, manifest=manifest, jobs=jobs, revisions=revisions, facts=head["facts"]
    )


def _jobs_from(head: Mapping[str, Any], lines: Iterator[Any]) -> tuple[Packed, bytearray]:
    jobs, names, revisions = Packed.begun(head), head["names"], bytearray()
    if not all(type(name) is str for name in names):
        raise TypeError("not a text")
    names = [sys.intern(name) for name in names]
    for part in lines:
        jobs.extend(part, names)
        revisions += b64decode(part["revisions"])
    if len(jobs) != head["jobs"] or len(revisions) != REVISION_BYTES * len(jobs):
        raise ValueError("jobs are missing")
    return jobs, revisions


def _head(slot: Slot, prepared: Prepared, inputs: Inputs) -> dict[str, Any] | None:
    """All but the jobs; None if a secret would have to be kept."""
    manifest, (jobs, _) = prepared.manifest, prepared.wanted.packed()
    settings = asdict(manifest.settings)
    if manifest.settings.webhook_url is not None:
        settings["webhook_url"] = _span(manifest.settings.webhook_url, slot.manifest, inputs)
        if settings["webhook_url"] is None:
            return None
    head = {
        "about": [FORMAT, program(), str(slot.manifest), slot.time_scale],
        "files": list(inputs.files.items()),
        "patterns": [[*key, seen] for key, seen in inputs.patterns.items()],
        "batch": manifest.batch,
        "settings": settings,
        "warnings": [list(_values(complaint)) for complaint in prepared.warnings],
        "facts": mark(prepared.wanted.facts),
        "names": list(dict.fromkeys([*jobs.avatars, *jobs.all_files()])),
        "jobs": len(jobs),
        **jobs.shared(),
    }
    url = manifest.settings.webhook_url
    return None if url is not None and url in _json(head["warnings"]) else head


def _write(path: Path, head: Mapping[str, Any], wishes: Wishes) -> None:
    digest = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        for values in (head, *_parts(head, wishes)):
            line = _json(values).encode() + b"\n"
            digest.update(line)
            file.write(line)
        file.write(digest.hexdigest().encode())


def _parts(head: Mapping[str, Any], wishes: Wishes) -> Iterator[dict[str, Any]]:
    jobs, revisions = wishes.packed()
    numbers = {name: number for number, name in enumerate(head["names"])}
    for start in range(0, len(jobs), PART):
        stop = min(start + PART, len(jobs))
        theirs = revisions[REVISION_BYTES * start : REVISION_BYTES * stop]
        part = jobs.part(start, stop, numbers)
        yield {**part, "revisions": b64encode(theirs).decode()}


def _drop_old(folder: Path) -> None:
    """Keep the readings that were written last."""
    files = [path for path in folder.iterdir() if path.is_file()]
    files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in islice(files, KEPT, None):
        path.unlink(missing_ok=True)


def _json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _span(text: str, manifest: Path, inputs: Inputs) -> list[int] | None:
    """First byte and length of ``text`` in the manifest; None if it is not there as it is."""
    data, wanted = Inputs(), text.encode()
    start = data.read(manifest, "manifest").find(wanted)
    same = data.files[str(manifest)] == inputs.files[str(manifest)]
    return [start, len(wanted)] if start >= 0 and same else None


def _settings_from(values: dict[str, Any], manifest: Path, inputs: Inputs) -> Settings:
    limits = values.pop("limits")
    for key in ("submit_rate", "request_rate"):
        limits[key] = Rate(**limits[key])
    on_doubt, verify = OnDoubt(values.pop("on_doubt")), Verify(values.pop("verify"))
    span = values.pop("webhook_url")
    return Settings(
        limits=Limits(**limits),
        on_doubt=on_doubt,
        verify=verify,
        webhook_url=None if span is None else _text_at(span, manifest, inputs),
        **values,
    )


def _text_at(span: Sequence[int], manifest: Path, inputs: Inputs) -> str:
    data, (start, length) = Inputs(), span
    text = data.read(manifest, "manifest")[start : start + length].decode()
    if data.files[str(manifest)] != inputs.files[str(manifest)]:
        raise ValueError("the manifest has just been changed")
    return text


def _values(complaint: Complaint) -> tuple[str, int, int, str, str]:
    place = complaint.place
    return place.file, place.line, place.column, complaint.problem, complaint.remedy


def _complaint_from(file: str, line: int, column: int, problem: str, remedy: str) -> Complaint:
    place = Place(file=file, line=line, column=column)
    return Complaint(place=place, problem=problem, remedy=remedy, warning=True)
