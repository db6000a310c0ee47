"""A manifest file to a :class:`Manifest`, or to everything that is wrong with it.

The jobs are handled one by one while the file is being read: of each only its finished
:class:`JobSpec` (and its names, to find doubles) stays. Where ``defaults``, ``output`` or
``batch`` stand below the jobs, the text is read a second time, now with them known.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import ManifestError
from orchestrator.manifest.expand import (
    Context,
    Draft,
    absolute,
    local_files,
    merged,
    output_of,
    spec_of,
)
from orchestrator.manifest.findings import Page, checked
from orchestrator.manifest.head import Front, front_of, jobs_complaint
from orchestrator.manifest.load import HOW_TO_BEGIN, Document, JobNode
from orchestrator.manifest.names import Register, output_complaints, template_finding
from orchestrator.manifest.nodes import Spoiled, Table, plain_of
from orchestrator.manifest.rules import job_complaints, text_complaints
from orchestrator.manifest.schema import Job
from orchestrator.manifest.source import Unreadable, decode, read_bytes
from orchestrator.model import Complaint, JobSpec, Manifest, Place

MAX_TEXT_FILE_BYTES = 1024 * 1024


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
    """The manifest at ``path`` (None if anything is wrong) and all complaints, sorted by place."""
    file = str(path)
    findings: list[tuple[tuple[int, int], str, str]] = []
    try:
        text = decode(read_bytes(path, "manifest"), findings)
    except Unreadable as error:
        place = Place(file=file, line=1, column=1)
        complaint = Complaint(place=place, problem=error.problem, remedy=error.remedy)
        return None, (complaint,)
    reading = _read(text, file, Path(os.path.abspath(path)))  # noqa: PTH100  (keeps symlinks)
    for (line, column), problem, remedy in findings:
        place = Place(file=file, line=line, column=column)
        mark_only = problem.endswith("byte order mark")
        reading.complain(Complaint(place=place, problem=problem, remedy=remedy, warning=mark_only))
    return reading.result()


@dataclass(slots=True)
class _Jobs:
    """The jobs read so far under one context."""

    context: Context
    manifest: Path
    texts: dict[str, str | Unreadable] = field(default_factory=dict)
    register: Register = field(default_factory=Register)
    specs: list[JobSpec] = field(default_factory=list)
    complaints: dict[Complaint, None] = field(default_factory=dict)
    failed: bool = False
    count: int = 0

    def add(self, item: JobNode) -> None:
        """Check one job; keep its spec if nothing was wrong with any job so far."""
        self.count += 1
        node = item.node
        if not isinstance(node, Table):
            self._refuse(node.spot, item)
            return
        page = Page(file=self.context.file, table=node, cut=item.cut)
        found: list[Complaint] = []
        plain = plain_of(node)
        own = plain.spots
        whole = merged(self.context.defaults, plain)
        job = checked(Job, whole, page, found)
        draft = Draft(job, whole.spots, own, whole.spoiled)
        found.extend(job_complaints(draft, page))
        found.extend(self.register.add_id(draft, page))
        text = self._text(draft, page, found)
        output = self._output(draft, page, found)
        self._note_inputs(draft)
        self._keep(found)
        if not self.failed and output is not None and not draft.spoiled:
            self.specs.append(spec_of(draft, self.context, output, text))

    def finish(self, page: Page) -> None:
        """After the last job: what only all jobs together show."""
        self.register.add_input(str(self.manifest), page.table.spot)
        self._keep(list(self.register.overlaps(page, self.context)))

    def _refuse(self, spot: tuple[int, int], item: JobNode) -> None:
        self.failed = True
        if isinstance(item.node, Spoiled):
            return
        page = Page(file=self.context.file, table=Table({}, spot), cut=item.cut)
        remedy = 'write it like "- {id: hello, avatar: {public: "3327"}, audio: {text: Hi.}}"'
        self._keep([page.complaint(spot, "this job is not a mapping", remedy)])

    def _keep(self, found: list[Complaint]) -> None:
        for complaint in found:
            self.complaints.setdefault(complaint)
            self.failed = self.failed or not complaint.warning

    def _output(self, draft: Draft, page: Page, found: list[Complaint]) -> str | None:
        """The job's output, registered; None if it cannot be known."""
        own, context = draft.job.output, self.context
        if page.cut:
            return None
        if "output" in draft.own and own is not None:
            found.extend(output_complaints(own, draft.own["output"], page))
        template = context.output if own is None else own
        unsure = context.output_spoiled and own is None
        if unsure or template_finding(template) or not context.batch:
            return None
        if draft.is_spoiled("id", "output"):
            return None
        output = output_of(draft, context)
        found.extend(self.register.add_output(draft, output, page, context))
        return output

    def _text(self, draft: Draft, page: Page, found: list[Complaint]) -> str | None:
        """The content of the job's text file, if it names one."""
        audio = draft.job.audio
        if audio is None or audio.text_file is None or page.cut:
            return None
        path = absolute(self.context.folder, audio.text_file)
        if path not in self.texts:
            self.texts[path] = _text_of(path)
        text, spot = self.texts[path], draft.spot("audio.text_file")
        if isinstance(text, Unreadable):
            problem = f"audio.text_file: {path}: {text.problem}"
            found.append(page.complaint(spot, problem, text.remedy))
            return None
        found.extend(text_complaints(page, spot, text))
        return text

    def _note_inputs(self, draft: Draft) -> None:
        for key, path in local_files(draft.job):
            self.register.add_input(absolute(self.context.folder, path), draft.spot(key))


def _text_of(path: str) -> str | Unreadable:
    """The words in a text file, without white space at the ends; or what is wrong with it."""
    findings: list[tuple[tuple[int, int], str, str]] = []
    try:
        text = decode(read_bytes(Path(path), "text file", MAX_TEXT_FILE_BYTES), findings)
    except Unreadable as error:
        return error
    for (line, _), problem, remedy in findings:
        if not problem.endswith("byte order mark"):
            return Unreadable(f"line {line}: {problem}", remedy)
    return text.strip()


@dataclass(slots=True)
class _Reading:
    """Everything that came out of one file."""

    path: Path
    front: Front | None
    jobs: _Jobs | None
    complaints: dict[Complaint, None]

    def complain(self, complaint: Complaint) -> None:
        """Add one more."""
        self.complaints.setdefault(complaint)

    def result(self) -> tuple[Manifest | None, tuple[Complaint, ...]]:
        """The manifest, unless a complaint is more than a warning."""
        complaints = tuple(
            sorted(self.complaints, key=lambda c: (c.place.line, c.place.column, c.problem))
        )
        if self.front is None or self.jobs is None or not all(c.warning for c in complaints):
            return None, complaints
        manifest = Manifest(
            path=self.path,
            batch=self.front.context.batch,
            settings=self.front.settings,
            jobs=tuple(self.jobs.specs),
            warnings=complaints,
        )
        return manifest, complaints


def _read(text: str, file: str, path: Path) -> _Reading:
    document = Document(text, file)
    jobs = _read_jobs(document, None, path)
    reading = _Reading(path, None, jobs, dict.fromkeys(document.complaints))
    top = document.top
    if top is None:
        if not reading.complaints:
            place = Place(file=file, line=1, column=1)
            problem = "the manifest is empty"
            reading.complain(Complaint(place=place, problem=problem, remedy=HOW_TO_BEGIN))
        return reading
    front = front_of(top, file=file, folder=str(path.parent), cut=document.cut)
    if jobs is not None and jobs.context != front.context:
        jobs = _read_jobs(Document(text, file), front.context, path)
    page = Page(file=file, table=top, cut=document.cut)
    about_jobs = jobs_complaint(top, jobs.count if jobs else 0, page)
    found = [*front.complaints, *([about_jobs] if about_jobs else [])]
    if jobs is not None:
        jobs.finish(page)
        found.extend(jobs.complaints)
    reading.front, reading.jobs = front, jobs
    reading.complaints.update(dict.fromkeys(found))
    return reading


def _read_jobs(document: Document, context: Context | None, path: Path) -> _Jobs | None:
    """All jobs under ``context``, or under what stands above the first of them.

    None if there are no jobs.
    """
    jobs: _Jobs | None = None
    for item in document.jobs():
        if jobs is None:
            assert document.top is not None
            folder = str(path.parent)
            seen = context or (
                front_of(document.top, file=document.file, folder=folder, cut=True).context
            )
            jobs = _Jobs(seen, path)
        jobs.add(item)
    return jobs
