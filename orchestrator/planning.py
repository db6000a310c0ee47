"""From a manifest and what the store knows to a plan: what a run would do with each job, and why.

Looking at files (hashing, probing, the outputs' sizes) happens in threads; the judgement itself
is ``core.diff``.
"""

from __future__ import annotations

import asyncio
import os
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.choice import Choice
from orchestrator.core.budget import Tariff
from orchestrator.core.diff import (
    Case,
    Look,
    Past,
    Ruling,
    changed_fields,
    rule_by_state,
    rule_known,
    rule_new,
)
from orchestrator.core.retry import how_to_revive
from orchestrator.core.sample import sample
from orchestrator.errors import ManifestError, MediaError
from orchestrator.manifest.complaints import in_order
from orchestrator.manifest.doubles import double_warnings
from orchestrator.manifest.packed import Packed
from orchestrator.manifest.revision import differences
from orchestrator.manifest.rules import FileUses, media_complaints
from orchestrator.media.assets import Stamp, inspect, stamp, trustworthy
from orchestrator.model import (
    Complaint,
    ContentHash,
    Event,
    EventKind,
    JobId,
    JobSpec,
    Manifest,
    MediaFacts,
    State,
)
from orchestrator.report.views import PlanLine, Why
from orchestrator.store.base import AppStore, BatchRow, ChangeKind, FileStamp, Known
from orchestrator.wishes import Changes, Submits, Wishes

HASHERS = 4
"""Files hashed and probed at once."""
AT_ONCE = 2_000
"""Jobs judged in one go: what is remembered of so many is in memory at once."""


@dataclass(slots=True)
class Lines:
    """The lines of a plan: one a job of the manifest in its order, then the orphans.

    Few different things are said of many jobs, so each saying is held once. The id and the
    revision (of a job that would be submitted) are put in when somebody reads the line.
    """

    submits: Submits
    _sayings: dict[tuple[Why, str], int] = field(default_factory=dict)
    _said: array[int] = field(default_factory=lambda: array("L"))
    _orphans: list[PlanLine] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._said) + len(self._orphans)

    def __iter__(self) -> Iterator[PlanLine]:
        sayings, wishes = list(self._sayings), self.submits.wishes
        paid = self.submits.positions()
        following = next(paid, None)
        for position, number in enumerate(self._said):
            what, reason = sayings[number]
            revision = None
            if position == following:
                revision, following = wishes.revision(position), next(paid, None)
            yield PlanLine(id=wishes.id(position), what=what, reason=reason, revision=revision)
        yield from self._orphans

    def add(self, what: Why, reason: str) -> None:
        """What is said of the manifest's next job."""
        self._said.append(self._sayings.setdefault((what, reason), len(self._sayings)))

    def orphan(self, job_id: JobId) -> None:
        """One more job that left the manifest."""
        reason = "left the manifest; kept, never deleted"
        self._orphans.append(PlanLine(id=job_id, what=Why.ORPHAN, reason=reason))


@dataclass(slots=True, kw_only=True)
class Draft:
    """What a run would do.

    ``copies`` are (from, to) of done videos whose output path changed. ``left_for_later``: jobs
    that would have been submitted without ``--limit`` and ``--sample``.
    """

    changes: Changes
    submits: Submits
    lines: Lines
    left_for_later: int = 0
    conflicts: list[tuple[JobSpec, Ruling]] = field(default_factory=list)
    copies: list[tuple[Path, Path]] = field(default_factory=list)
    lost: list[JobId] = field(default_factory=list)

    def credits_expected(self, tariff: Tariff) -> float:
        """What all submits will probably cost."""
        return sum(tariff.expected(w.spec, w.audio_s) for w in self.submits)

    def assets(self) -> dict[ContentHash, MediaFacts]:
        """The files that the submits need, by content."""
        every = (facts for w in self.submits for facts in (w.avatar, w.audio) if facts)
        return {facts.content_hash: facts for facts in every}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of local files, by path; ``fresh`` is what a cache should remember."""

    facts: Mapping[str, MediaFacts | MediaError]
    fresh: Sequence[tuple[FileStamp, MediaFacts]] = ()


@dataclass(slots=True, kw_only=True)
class Prepared:
    """A manifest with its jobs ready to be compared with the store.

    ``manifest`` holds no jobs any more, and ``wanted`` is emptied once it is planned: thousands
    of jobs wait in the store, not in memory. ``keep`` writes down what the reading came to, for the
    next run; None: there is nothing new to say. It blocks and never fails.
    """

    manifest: Manifest
    wanted: Wishes
    fresh: Sequence[tuple[FileStamp, MediaFacts]]
    warnings: tuple[Complaint, ...]
    keep: Callable[[], None] | None = None


async def prepare(manifest: Manifest, store: AppStore | None) -> Prepared:
    """Look at the media of a manifest; ``store``, if any, knows files from before.

    Raises:
        ManifestError: a media file cannot be used; all such complaints at once.
    """
    seen = await look_at_media(files_of_jobs(manifest.jobs), store)
    wanted, warnings = wanted_jobs(manifest, seen.facts)
    return Prepared(
        manifest=replace(manifest, jobs=()),
        wanted=wanted,
        fresh=seen.fresh,
        warnings=(*manifest.warnings, *warnings),
    )


def files_of_jobs(jobs: Iterable[JobSpec]) -> Iterator[str]:
    """The paths of all local files that the jobs need, some of them several times."""
    if isinstance(jobs, Packed):
        return iter(jobs.all_files())
    return (path for job in jobs for path in job.files)


async def look_at_media(files: Iterable[str], store: AppStore | None) -> Seen:
    """Facts of every local file in ``files``, each looked at once; or why it cannot be used.

    Facts of a file that has not changed since are taken from the store's cache.
    """
    paths = list(dict.fromkeys(files))
    stamps = await asyncio.to_thread(_stamps, paths)
    known = [_as_file_stamp(s) for s in stamps.values() if isinstance(s, Stamp)]
    cached = {} if store is None else await store.file_facts(known)
    facts: dict[str, MediaFacts | MediaError] = dict(cached)
    new = iter([path for path in paths if path not in facts])

    async def worker() -> None:
        for path in new:
            facts[path] = await asyncio.to_thread(_inspect, path)

    async with asyncio.TaskGroup() as group:
        for _ in range(HASHERS):
            group.create_task(worker())
    return Seen(facts=facts, fresh=_fresh(stamps, facts, cached))


def _stamps(paths: Iterable[str]) -> dict[str, Stamp | MediaError]:
    found: dict[str, Stamp | MediaError] = {}
    for path in paths:
        try:
            found[path] = stamp(path)
        except MediaError as error:
            found[path] = error
    return found


def _inspect(path: str) -> MediaFacts | MediaError:
    try:
        return inspect(path)
    except MediaError as error:
        return error


def _as_file_stamp(s: Stamp) -> FileStamp:
    return FileStamp(
        path=s.path,
        size_bytes=s.size_bytes,
        mtime_ns=s.mtime_ns,
        inode=s.inode,
        ctime_ns=s.ctime_ns,
    )


def _fresh(
    stamps: Mapping[str, Stamp | MediaError],
    facts: Mapping[str, MediaFacts | MediaError],
    cached: Mapping[str, MediaFacts],
) -> list[tuple[FileStamp, MediaFacts]]:
    """New facts worth remembering: the stamp was taken before the reading and can be trusted."""
    now = time.time()
    fresh = []
    for path, found in facts.items():
        mark = stamps.get(path)
        if path in cached or not isinstance(found, MediaFacts) or not isinstance(mark, Stamp):
            continue
        if trustworthy(mark, now) and mark.size_bytes == found.size_bytes:
            fresh.append((_as_file_stamp(mark), found))
    return fresh


def complaints_by_files(
    jobs: Sequence[JobSpec],
    facts: Mapping[str, MediaFacts | MediaError],
    others: FileUses | None = None,
) -> list[Complaint]:
    """What only the files show: media that cannot be used, and jobs that ask for the same video.

    ``others``: the media of jobs that are wrong for another reason.
    """
    hashes = {path: f.content_hash for path, f in facts.items() if isinstance(f, MediaFacts)}
    return [*media_complaints(jobs, facts, others), *double_warnings(jobs, hashes)]


def wanted_jobs(
    manifest: Manifest, facts: Mapping[str, MediaFacts | MediaError]
) -> tuple[Wishes, tuple[Complaint, ...]]:
    """Every job of the manifest, and warnings that its files give reason for.

    Raises:
        ManifestError: a media file cannot be used; all such complaints at once, and all warnings.
    """
    found, file = complaints_by_files(manifest.jobs, facts), str(manifest.path)
    if not all(complaint.warning for complaint in found):
        raise ManifestError(in_order((*manifest.warnings, *found), file))
    warnings = in_order(found, file)
    usable = {path: found for path, found in facts.items() if isinstance(found, MediaFacts)}
    return Wishes(manifest.jobs, usable), warnings


WHY: dict[Case, Why] = {
    Case.NEW: Why.NEW,
    Case.KEEP: Why.KEEP,
    Case.GOING: Why.GOING,
    Case.CHANGED: Why.CHANGED,
    Case.CHANGED_LATER: Why.CHANGED,
    Case.ADOPT: Why.ADOPT,
    Case.RETRY: Why.RETRY,
    Case.RESTING: Why.RESTING,
    Case.LOST_FILE: Why.RESTING,
    Case.IN_DOUBT: Why.IN_DOUBT,
    Case.MOVE: Why.MOVE,
    Case.SKIPPED: Why.UNSELECTED,
    Case.CONFLICT: Why.CONFLICT,
}
BEYOND_LIMIT = "beyond --limit"
BESIDE_SAMPLE = "not in --sample"
PAYS = frozenset({Case.NEW, Case.CHANGED, Case.CHANGED_LATER, Case.RETRY})
"""Cases that lead (or may lead) to a submit."""


async def draft_plan(
    wanted: Wishes,
    store: AppStore | None,
    batch: BatchRow | None,
    live: frozenset[ContentHash],
    choice: Choice,
) -> Draft:
    """Judge every job, a few thousand at a time. Looks at the sizes of output files; changes
    nothing. ``batch`` None: the store knows none of the jobs."""
    submits = Submits(wanted)
    draft = Draft(changes=Changes(wanted), submits=submits, lines=Lines(submits))
    now = time.time()
    for start in range(0, len(wanted), AT_ONCE):
        part = range(start, min(start + AT_ONCE, len(wanted)))
        known: Mapping[JobId, Known] = {}
        if store is not None and batch is not None:
            known = await store.known(batch.key, wanted.ids(part))
        await asyncio.to_thread(_judge, draft, wanted, part, known, live, choice, now)
    if store is not None and batch is not None:
        everyone = frozenset(wanted.ids(range(len(wanted))))
        _orphans(draft, await store.known_besides(batch.key, everyone))
    return draft


def _judge(
    draft: Draft,
    wanted: Wishes,
    part: range,
    known: Mapping[JobId, Known],
    live: frozenset[ContentHash],
    choice: Choice,
    now: float,
) -> None:
    """Judge the jobs at these positions. Blocking."""
    for position in part:
        job_id = wanted.id(position)
        if not choice.names(job_id):
            draft.lines.add(Why.UNSELECTED, "not in --only")
            continue
        past = known.get(job_id)
        ruling = _rule(wanted, position, past, live, choice, now)
        later = _later(draft, job_id, choice) if _will_submit(ruling, past) else None
        if later is not None:
            draft.lines.add(Why.UNSELECTED, later)
            draft.left_for_later += 1
            continue
        _enter(draft, wanted, past, ruling, position, now)


def _later(draft: Draft, job_id: JobId, choice: Choice) -> str | None:
    """Why a job that would be submitted is left for another run; None if it is not."""
    if choice.picked is not None and job_id not in choice.picked:
        return BESIDE_SAMPLE
    if choice.limit is not None and len(draft.submits) >= choice.limit:
        return BEYOND_LIMIT
    return None


def sampled(draft: Draft, choice: Choice) -> Choice | None:
    """The choice with the sample picked from the jobs that would be submitted; None: no sample."""
    if choice.sample is None or choice.picked is not None:
        return None
    specs = (w.spec for w in draft.submits)
    kinds = ((s.job_id, (s.avatar_kind, s.audio_kind, s.mode)) for s in specs)
    return replace(choice, picked=sample(kinds, choice.sample))


def _rule(
    wanted: Wishes,
    position: int,
    past: Known | None,
    live: frozenset[ContentHash],
    choice: Choice,
    now: float,
) -> Ruling:
    output = wanted.output(position)
    if past is None:
        look = Look(wanted=_size(output))
        return rule_new(look, overwrite=choice.overwrite, skip_existing=choice.skip_existing)
    same = past.revision == wanted.revision(position)
    if same and (ruling := rule_by_state(past.state)) is not None:
        return ruling
    same_output = past.output == output
    look = Look(wanted=None)
    if same and past.state is State.DONE:
        size = _size(output)
        look = Look(wanted=size, stored=size if same_output else _size(past.output))
    return rule_known(
        _past(wanted, position, past, same, same_output, live, now),
        look,
        retry_failed=choice.retry_failed,
        overwrite=choice.overwrite,
    )


def _past(
    wanted: Wishes,
    position: int,
    known: Known,
    same: bool,
    same_output: bool,
    live: frozenset[ContentHash],
    now: float,
) -> Past:
    may_deliver = known.task_id is not None and not known.task_ended_badly
    files_live = known.state is State.FAILED and wanted.hashes(position) <= live
    changes = [] if same else differences(known.wire, wanted.wire(position))
    return Past(
        state=known.state,
        same_revision=same,
        changes=changed_fields(changes),
        same_output=same_output,
        output_bytes=known.output_bytes,
        task_age_s=None if known.accepted_at is None else now - known.accepted_at,
        task_may_deliver=may_deliver,
        doubt_open=known.doubt_open,
        revival=how_to_revive(task_may_deliver=may_deliver, files_live=files_live),
    )


def _size(path: str) -> int | None:
    """Bytes of the file at ``path``; None if nothing is there."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a Path for each of 100,000 costs a second
    except (FileNotFoundError, NotADirectoryError):
        return None


CHANGE: dict[Case, ChangeKind] = {
    Case.NEW: ChangeKind.NEW,
    Case.CHANGED: ChangeKind.REVISE,
    Case.CHANGED_LATER: ChangeKind.REVISE_LATER,
}


def _enter(
    draft: Draft, wanted: Wishes, known: Known | None, ruling: Ruling, position: int, now: float
) -> None:
    """Write one ruling into the draft."""
    draft.lines.add(WHY[ruling.case], ruling.reason)
    if ruling.case is Case.CONFLICT:
        draft.conflicts.append((wanted.spec(position), ruling))
    if ruling.case in (Case.CONFLICT, Case.SKIPPED):
        return
    if ruling.case is Case.MOVE and known is not None and _size(wanted.output(position)) is None:
        draft.copies.append((Path(known.output), Path(wanted.output(position))))
    if ruling.case is Case.LOST_FILE:
        draft.lost.append(wanted.id(position))
    if _will_submit(ruling, known):
        draft.submits.add(position)
    draft.changes.add(position, *_change(known, ruling, now))


def _will_submit(ruling: Ruling, known: Known | None) -> bool:
    """Whether the job is one to be made: that is what ``--limit`` counts and credits pay for."""
    if ruling.case is Case.RETRY:
        return ruling.event is not None and ruling.event is not EventKind.RETRY_POLL
    waiting = known is not None and known.state in (State.PENDING, State.READY)
    return ruling.case in PAYS or (ruling.case is Case.GOING and waiting)


def _change(
    known: Known | None, ruling: Ruling, now: float
) -> tuple[ChangeKind, Known | None, Event | None]:
    event = None
    kind = CHANGE.get(ruling.case, ChangeKind.UPDATE)
    if ruling.event is not None:
        event = Event(kind=ruling.event, at=now, message=ruling.reason)
    if event is not None and kind is ChangeKind.UPDATE:
        kind = ChangeKind.MOVE
    return kind, known, event


def _orphans(draft: Draft, found: Iterable[Known]) -> None:
    for past in found:
        draft.lines.orphan(past.job_id)
        if not past.orphan:
            draft.changes.orphan(past)
