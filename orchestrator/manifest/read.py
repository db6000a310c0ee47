"""A manifest file to a :class:`Manifest`, or to everything that is wrong with it.

The jobs are handled one by one while the file is being read: of each only its finished
:class:`JobSpec` (and its names, to find doubles) stays. Where ``defaults``, ``output``, ``vars``
or ``batch`` stand below the jobs, the text is read a second time, now with them known. Matrices
and files of rows come after the list of jobs.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.errors import ManifestError
from orchestrator.manifest.complaints import in_order
from orchestrator.manifest.expand import Context
from orchestrator.manifest.findings import Page
from orchestrator.manifest.head import Front, front_of, jobs_complaint
from orchestrator.manifest.inputs import Inputs
from orchestrator.manifest.jobs import Jobs
from orchestrator.manifest.load import HOW_TO_BEGIN, Document
from orchestrator.manifest.nodes import Node, Rows, Spoiled, Spot, Table, Text, place_of
from orchestrator.manifest.rows import READERS, row_files
from orchestrator.manifest.rules import FileUses
from orchestrator.manifest.source import Unreadable, decode
from orchestrator.model import Complaint, JobSpec, Manifest, Place

_VERSION = re.compile(r"""^[\s{"']*version["']?\s*:""", re.MULTILINE)
"""The first key of every manifest, whatever its file is called."""


def load_manifest(path: Path) -> Manifest:
    """Read, expand and check the manifest at ``path``.

    Relative paths in it are taken from its folder. Media files are not looked at here.

    Raises:
        ManifestError: something is wrong; it holds every complaint, warnings included, by place.
    """
    manifest, complaints = check_manifest(path)
    if manifest is None:
        raise ManifestError(complaints)
    return manifest


def check_manifest(path: Path) -> tuple[Manifest | None, tuple[Complaint, ...]]:
    """The manifest at ``path`` (None if anything is wrong) and all complaints, sorted by place.

    Complaints about the manifest itself come first, then those about files of rows.
    """
    examined = examine_manifest(path)
    manifest = examined.manifest
    if manifest is not None:
        manifest = replace(manifest, jobs=tuple(manifest.jobs))
    return manifest, examined.complaints


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What there is to say of a manifest; ``file`` is its name in complaints.

    ``manifest``: None if anything is wrong; its jobs are packed. ``complaints``: all, sorted by
    place. ``jobs``: those that are right, also of a manifest that is wrong, and ``files`` the media
    of the others: so that all files can be looked at whatever else there is to complain about.
    ``inputs``: what was read to say so.
    """

    file: str
    manifest: Manifest | None
    complaints: tuple[Complaint, ...]
    jobs: Sequence[JobSpec] = ()
    files: FileUses = field(default_factory=FileUses)
    inputs: Inputs = field(default_factory=Inputs)


def examine_manifest(path: Path) -> Examined:
    """Read the manifest at ``path`` and as much of its jobs as can be read."""
    file = str(path)
    findings: list[tuple[Spot, str, str]] = []
    inputs = Inputs()
    try:
        text = decode(inputs.read(path, "manifest"), findings)
        if path.suffix.lower() in READERS and not _VERSION.search(text):
            raise Unreadable("this is a file of rows, not a manifest", _how_to_wrap(path))
    except Unreadable as error:
        place = Place(file=file, line=1, column=1)
        complaint = Complaint(place=place, problem=error.problem, remedy=error.remedy)
        return Examined(file=file, manifest=None, complaints=(complaint,))
    reading = _read(text, path, inputs)
    for spot, problem, remedy in findings:
        mark_only = problem.endswith("byte order mark")
        reading.complain(
            Complaint(place=place_of(spot, file), problem=problem, remedy=remedy, warning=mark_only)
        )
    manifest, complaints = reading.result()
    if reading.jobs is None:
        return Examined(file=file, manifest=manifest, complaints=complaints)
    return Examined(
        file=file,
        manifest=manifest,
        complaints=complaints,
        jobs=reading.jobs.specs,
        files=reading.jobs.files,
        inputs=inputs,
    )


def _how_to_wrap(path: Path) -> str:
    """What to type for a file of rows."""
    near = os.path.relpath(path)
    typed = shlex.quote(str(path) if near.startswith("..") else near)
    return f"to write a manifest for it: orchestrator init {typed}"


def check_text(text: str, path: Path) -> tuple[Manifest | None, tuple[Complaint, ...]]:
    """The same for a manifest that is not (yet) a file; ``path`` is where it would be."""
    return _read(text, path, Inputs()).result()


@dataclass(slots=True)
class _Reading:
    """Everything that came out of one file."""

    file: str
    path: Path
    front: Front | None
    jobs: Jobs | None
    complaints: dict[Complaint, None]

    def complain(self, complaint: Complaint) -> None:
        """Add one more."""
        self.complaints.setdefault(complaint)

    def result(self) -> tuple[Manifest | None, tuple[Complaint, ...]]:
        """The manifest, unless a complaint is more than a warning."""
        complaints = in_order(self.complaints, self.file)
        if self.front is None or self.jobs is None or not all(c.warning for c in complaints):
            return None, complaints
        manifest = Manifest(
            path=self.path,
            batch=self.front.context.batch,
            settings=self.front.settings,
            jobs=self.jobs.specs,
            warnings=complaints,
        )
        return manifest, complaints


def _read(text: str, given: Path, inputs: Inputs) -> _Reading:
    file, path = str(given), Path(os.path.abspath(given))  # noqa: PTH100  (keeps symlinks)
    document = Document(text, file)
    jobs = _read_jobs(document, None, path, inputs)
    reading = _Reading(file, path, None, jobs, dict.fromkeys(document.complaints))
    top = document.top
    if top is None:
        if not reading.complaints:
            place = Place(file=file, line=1, column=1)
            problem = "the manifest is empty"
            reading.complain(Complaint(place=place, problem=problem, remedy=HOW_TO_BEGIN))
        return reading
    front = front_of(top, file=file, folder=str(path.parent), cut=document.cut)
    if jobs is not None and jobs.context != front.context:
        jobs = _read_jobs(Document(text, file), front.context, path, inputs)
    reading.front, reading.jobs = front, jobs or Jobs(front.context, path, inputs)
    reading.complaints.update(dict.fromkeys(front.complaints))
    page = Page(file=file, table=top, cut=document.cut)
    del document, text  # the rows that follow may be many
    _finish(reading, top, reading.jobs, page)
    return reading


def _finish(reading: _Reading, top: Table, jobs: Jobs, page: Page) -> None:
    """The matrices, the files of rows, and what only everything together shows."""
    for node in _items(top, "matrix", page, jobs):
        jobs.add_matrix(node, cut=page.cut)
    row_files(_items(top, "from", page, jobs), page, jobs)
    if about_jobs := jobs_complaint(top, jobs.count, page):
        reading.complain(about_jobs)
    jobs.finish(page)
    reading.complaints.update(jobs.complaints)


def _items(top: Table, name: str, page: Page, jobs: Jobs) -> Iterator[Node]:
    """The items of the list under a key of the top; of ``from``, also a single name."""
    entry = top.entries.get(name)
    if entry is None or isinstance(entry.value, Spoiled):
        return
    value = entry.value
    if isinstance(value, Rows):
        yield from value.items
        if not value.items and not page.cut:
            problem = f"{name} is an empty list"
            jobs.keep([page.complaint(value.spot, problem, "add something to it, or remove it")])
    elif isinstance(value, Text) and (value.value is None or name == "from"):
        if value.value is not None:
            yield value
    else:
        what = "a text" if isinstance(value, Text) else "a mapping"
        example = "from: [rows.csv]" if name == "from" else 'matrix: and below it "- id: ..."'
        problem = f"{name} is {what}, not a list"
        jobs.keep([page.complaint(value.spot, problem, f"write it like {example}")])


def _read_jobs(
    document: Document, context: Context | None, path: Path, inputs: Inputs
) -> Jobs | None:
    """All jobs under ``context``, or under what stands above the first of them.

    None if there are no jobs.
    """
    jobs: Jobs | None = None
    for item in document.jobs():
        if jobs is None:
            assert document.top is not None
            folder = str(path.parent)
            seen = context or (
                front_of(document.top, file=document.file, folder=folder, cut=True).context
            )
            jobs = Jobs(seen, path, inputs)
        jobs.add(item)
    return jobs
