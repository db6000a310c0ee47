"""Every job on its way from what was written to a finished :class:`JobSpec`, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.manifest.candidates import Candidate, candidate_of
from orchestrator.manifest.expand import (
    Context,
    Draft,
    absolute,
    finish,
    local_files,
    merged,
    output_of,
)
from orchestrator.manifest.fill import (
    MADE_NAMES,
    Names,
    Unfillable,
    filled_job,
    has_braces,
    placeholders,
    usable_vars,
)
from orchestrator.manifest.findings import Page, checked
from orchestrator.manifest.inputs import Inputs
from orchestrator.manifest.load import JobNode
from orchestrator.manifest.matrix import grid_of
from orchestrator.manifest.names import (
    Register,
    filled_finding,
    output_complaints,
    template_finding,
)
from orchestrator.manifest.nodes import Node, Plain, Spoiled, Spot, Table, place_of
from orchestrator.manifest.packed import Packed
from orchestrator.manifest.patterns import Patterns, each_file, patterns_in
from orchestrator.manifest.places import Packer
from orchestrator.manifest.rules import (
    FileUse,
    FileUses,
    files_to_look_at,
    job_complaints,
    text_complaints,
)
from orchestrator.manifest.schema import Job
from orchestrator.manifest.source import Unreadable, decode
from orchestrator.model import Complaint, Mode

MAX_TEXT_FILE_BYTES = 1024 * 1024
_LIKE_A_JOB = 'write it like "- {id: hello, avatar: {public: "3327"}, audio: {text: Hi.}}"'
_LIKE_A_MATRIX = 'write it like "- {id: "{avatar}-{audio}", avatars: {...}, audios: {...}}"'


@dataclass(slots=True)
class Jobs:
    """The jobs read so far under one context. ``inputs`` reads whatever they name.

    ``used`` are the names of all placeholders so far; ``given`` the vars that some job has of its
    own, each with its first place; ``output_used``: a job took the batch's output. ``count`` is of
    jobs, right or wrong. ``specs`` are the right ones, ``files`` the media of the others.
    """

    context: Context
    manifest: Path
    inputs: Inputs = field(default_factory=Inputs)
    register: Register = field(init=False)
    patterns: Patterns = field(init=False)
    packer: Packer = field(init=False)
    specs: Packed = field(default_factory=Packed)
    files: FileUses = field(default_factory=FileUses)
    complaints: dict[Complaint, None] = field(default_factory=dict)
    count: int = 0
    used: set[str] = field(default_factory=set)
    given: dict[str, Spot] = field(default_factory=dict)
    output_used: bool = False
    _texts: dict[str, str | Unreadable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.register = Register(self.context.folder)
        self.patterns = Patterns(self.context.folder, self.inputs)
        self.packer = Packer(self.context.file)

    def add(self, item: JobNode) -> None:
        """Take one item of the list of jobs."""
        if isinstance(item.node, Table):
            page = Page(file=self.context.file, table=item.node, cut=item.cut)
            self.take(candidate_of(item.node, page))
        else:
            self.count += 1
            self._refuse(item.node, "this job is not a mapping", _LIKE_A_JOB)

    def add_matrix(self, node: Node, *, cut: bool) -> None:
        """Take every pair of one matrix; ``cut``: a syntax error may have ended it."""
        if not isinstance(node, Table):
            self._refuse(node, "this matrix is not a mapping", _LIKE_A_MATRIX)
            return
        page = Page(file=self.context.file, table=node, cut=cut)
        found: list[Complaint] = []
        grid = grid_of(node, page, self._shared_names(), self.patterns, found)
        self.keep(found)
        for candidate in grid.candidates():
            self.take(candidate)

    def take(self, candidate: Candidate) -> None:
        """Check one candidate; keep its spec if nothing is wrong with it, else its files."""
        found: list[Complaint] = []
        job = merged(self.context.defaults, candidate.plain)
        names = self._names(candidate, job, found)
        if not patterns_in(job.values):
            self._one(candidate, job, names, found)
        else:
            for match in each_file(job, names, self.patterns, candidate.page, found):
                with_stem = Names({**names.values, "stem": match.stem}, self.used)
                self._one(candidate, match.job, with_stem, found)
        if found:
            self.keep(found)

    def keep(self, found: list[Complaint]) -> None:
        """Remember complaints, each once."""
        for complaint in found:
            self.complaints.setdefault(complaint)

    def finish(self, page: Page) -> None:
        """After the last job: what only all jobs together show."""
        self.register.add_input(str(self.manifest), page.table.spot)
        self.keep(list(self.register.overlaps(page, self.patterns)))
        if not page.cut and self.count:
            self.keep(list(self._unused_output(page)))
            self.keep(list(self._unused(page)))

    def _unused_output(self, page: Page) -> Iterator[Complaint]:
        """An unknown placeholder in the batch's output that no job has met."""
        spot, template = self.context.output_spot, self.context.output
        if spot is None or self.context.output_spoiled or self.output_used:
            return
        if template_finding(template) or MADE_NAMES & set(placeholders(template)):
            return
        names = self._shared_names()
        names.values.update(dict.fromkeys(("id", *self.given), "x"))
        try:
            names.fill("output", template)
        except Unfillable as error:
            yield page.complaint(spot, error.problem, error.remedy)

    def _unused(self, page: Page) -> Iterator[Complaint]:
        for name, spot in {**self.given, **self.context.var_spots}.items():
            if name not in self.used:
                problem = f'the var "{name}" is used nowhere'
                remedy = f"write {{{name}}} where its value belongs, or remove it"
                yield page.complaint(spot, problem, remedy, warning=True)

    def _shared_names(self) -> Names:
        values = {"batch": self.context.batch or "batch", **self.context.vars}
        return Names(values, self.used)

    def _names(self, candidate: Candidate, job: Plain, found: list[Complaint]) -> Names:
        names = self._shared_names()
        if "vars" in job.values:
            usable, about = usable_vars(job, candidate.page)
            found.extend(about)
            names.values.update(usable)
            for name in usable.keys() - self.given.keys():
                self.given[name] = job.spots[f"vars.{name}"]
        names.values.update(candidate.names)
        return names

    def _one(
        self, candidate: Candidate, written: Plain, names: Names, found: list[Complaint]
    ) -> None:
        self.count += 1
        page = candidate.page
        plain, about = filled_job(written, names, candidate.own, page)
        found.extend(about)
        job = checked(Job, plain, page, found)
        draft = Draft(job, plain.spots, candidate.own, plain.spoiled, names)
        found.extend(job_complaints(draft, page))
        found.extend(self.register.add_id(draft, page))
        text = self._text(draft, page, found)
        output = self._output(draft, page, found)
        for key, path in local_files(job):
            self.register.add_input(absolute(self.context.folder, path), draft.spot(key))
        wrong = draft.spoiled or (found and any(not c.warning for c in found))
        if output is not None and not wrong:
            finish(draft, self.context, output, text, self.packer, self.specs)
        elif not page.cut:
            self._keep_files(draft)

    def _keep_files(self, draft: Draft) -> None:
        """Remember the media of a wrong job, to be looked at all the same."""
        mode = draft.job.mode or Mode.AVATAR1
        for key, path in files_to_look_at(draft):
            use = FileUse(key=key, path=absolute(self.context.folder, path), mode=mode)
            self.files.add(use, place_of(draft.spot(key), self.context.file))

    def _refuse(self, node: Node, problem: str, remedy: str) -> None:
        if not isinstance(node, Spoiled):
            page = Page(file=self.context.file, table=Table({}, node.spot), cut=False)
            self.keep([page.complaint(node.spot, problem, remedy)])

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
        self.output_used = self.output_used or own is None
        spot = draft.spots.get("output") or context.output_spot or draft.spot("id")
        try:
            output = output_of(draft, context)
        except Unfillable as error:
            found.append(page.complaint(spot, error.problem, error.remedy))
            return None
        if finding := filled_finding(template, draft.names.values):
            found.append(page.complaint(spot, *finding))
            return None
        found.extend(self.register.add_output(draft, output, page))
        return output

    def _text(self, draft: Draft, page: Page, found: list[Complaint]) -> str | None:
        """The content of the job's text file, if it names one, with placeholders filled in."""
        audio = draft.job.audio
        if audio is None or audio.text_file is None or page.cut:
            return None
        path = absolute(self.context.folder, audio.text_file)
        if path not in self._texts:
            self._texts[path] = _text_of(path, self.inputs)
        text, spot = self._texts[path], draft.spot("audio.text_file")
        try:
            if isinstance(text, Unreadable):
                raise text
            text = draft.names.fill("text", text) if has_braces(text) else text
        except (Unreadable, Unfillable) as error:
            problem = f"audio.text_file: {path}: {error.problem}"
            found.append(page.complaint(spot, problem, error.remedy))
            return None
        found.extend(text_complaints(page, spot, text))
        return text


def _text_of(path: str, inputs: Inputs) -> str | Unreadable:
    """The words in a text file, without white space at the ends; or what is wrong with it."""
    findings: list[tuple[Spot, str, str]] = []
    try:
        text = decode(inputs.read(Path(path), "text file", MAX_TEXT_FILE_BYTES), findings)
    except Unreadable as error:
        return error
    for spot, problem, remedy in findings:
        if not problem.endswith("byte order mark"):
            return Unreadable(f"line {spot[0]}: {problem}", remedy)
    return text.strip()
