"""What the engine and the application need of a state store, as Protocols.

``store.sqlite`` satisfies them with SQLite; a later version may do so with PostgreSQL. Promises
that every implementation keeps:

* A write returns only when it is on disk. If it cannot be written, :class:`StoreFull` is raised
  and nothing was changed.
* Every change of a job goes through :func:`orchestrator.core.state.next_state`, is guarded by
  the job's version, stores one event, and moves job, event and attempt in one transaction.
* Counts of slots come from rows, never from a counter.
* Times are Unix seconds, given by the caller; the store reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from orchestrator.core.limits import Turns
from orchestrator.model import (
    AccountKey,
    Attempt,
    AttemptKey,
    BatchKey,
    ContentHash,
    Event,
    FileId,
    Job,
    JobId,
    JobKey,
    JobSpec,
    MediaFacts,
    Rate,
    Revision,
    RunKey,
    State,
    TaskId,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A batch as the store knows it."""

    key: BatchKey
    name: str
    account: AccountKey
    manifest: Path
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What planning needs of a stored job: a light record, a batch may have 100,000.

    ``wire`` is the JSON text of the values the revision was taken over (to name what changed);
    ``waiting_revision`` the newer revision that waits for this one to rest; ``doubt_open`` that
    nobody knows whether its last submit made a task (the job may have been given up since).
    """

    key: JobKey
    job_id: JobId
    state: State
    version: int
    revision: Revision
    waiting_revision: Revision | None
    wire: str
    output: str
    output_bytes: int | None
    accepted_at: float | None
    task_id: TaskId | None
    task_ended_badly: bool
    orphan: bool
    doubt_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A manifest's job, ready to be stored: its spec, revision, wire values and assets."""

    spec: JobSpec
    revision: Revision
    wire: str
    avatar: MediaFacts | None
    audio: MediaFacts | None
    audio_s: float | None


class ChangeKind(StrEnum):
    """What planning does to one stored job."""

    NEW = "new"  # insert it
    UPDATE = "update"  # same revision: output, priority, tags, position, orphan mark
    REVISE = "revise"  # another revision, now (the job rests or has nothing paid)
    REVISE_LATER = "revise_later"  # another revision, once the old one has come to rest
    MOVE = "move"  # apply `event` to it (retry, file gone, moved), after updating like UPDATE
    ORPHAN = "orphan"  # it left the manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change that planning makes. ``wanted`` is None for ORPHAN, ``known`` for NEW.

    ``position`` is the job's place in the manifest's order, from 0. ``selected``: this run may
    start it. ``output_bytes``: set with a MOVED event when the file at the new path was verified.
    """

    kind: ChangeKind
    wanted: Wanted | None = None
    known: Known | None = None
    position: int = 0
    selected: bool = True
    event: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A content hash of an account and the file id it has at the vendor, None before upload."""

    content_hash: ContentHash
    format: str
    size_bytes: int
    file_id: FileId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStamp:
    """Identity of a local file's bytes without reading them."""

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int
    ctime_ns: int


class ClaimRefusal(StrEnum):
    """Why a submit may not begin now."""

    SLOTS = "slots"  # the account's slots are taken
    BUDGET = "budget"  # the batch's or the run's budget does not cover it
    FILES = "files"  # a file id was taken back meanwhile; the job is `pending` again
    MOVED = "moved"  # the job is no longer `ready` at that version


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to send one submit (``refusal`` is None), or why not.

    ``job`` is the job after the change (None when it MOVED). ``held``: slots of the account that
    were held just before (0 when it was not asked).
    """

    refusal: ClaimRefusal | None
    job: Job | None = None
    attempt: Attempt | None = None
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRule:
    """How slots are counted.

    ``in_flight``: at most so many (>= 1). A slot is held by an attempt without a verdict, an
    accepted one whose task has not ended and is not overdue, and one of unknown fate (or found
    interrupted) for ``doubt_hold_s`` after it began.
    """

    in_flight: int
    doubt_hold_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """What a submit may cost, checked in the same transaction as its claim. Credits.

    ``expected``: of this submit. ``batch_limit`` covers the batch for ever, ``run_limit`` the
    attempts of run ``run``; None is no limit. What was spent is counted from rows: of each
    attempt its charge from the credit log, else, unless it was refused, never sent, or its task
    failed, what was expected of it. Attempts in doubt count.
    """

    run: RunKey
    expected: float
    batch_limit: float | None = None
    run_limit: float | None = None
    clock_offset_s: float = 0.0

    @property
    def limited(self) -> bool:
        """Whether there is a limit, for which the sum over all attempts has to be taken."""
        return self.batch_limit is not None or self.run_limit is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """An attempt whose fate is unknown and that owns no task, of any batch of the account.

    ``job`` is set while its job is `in_doubt` because of it; None where an operator gave the job
    up: such an attempt is still a possible owner of a task. ``clock_offset_s``: the vendor's
    clock minus ours when it began. ``notice``: a task id that a webhook named with its token.
    """

    attempt: Attempt
    batch: BatchKey
    job: Job | None
    clock_offset_s: float
    notice: TaskId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A line of the account's credit log. ``charged_at`` is Unix seconds on the vendor's clock."""

    task_id: TaskId
    credits: float
    charged_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A charged task that no attempt owns, and the file ids that a query showed of it."""

    task_id: TaskId
    charged_at: float
    video_file_id: FileId | None
    audio_file_id: FileId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What charged jobs of one kind cost: ``credits`` for ``units`` (30 s or 400 characters)."""

    mode: str
    audio_kind: str
    units: float
    credits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as the store keeps it, with the state before and after."""

    job_id: JobId
    before: State
    after: State
    event: Event
    attempt: AttemptKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process that holds a batch."""

    pid: int
    host: str
    boot_id: str
    started_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One process's work on a batch, from lock to summary."""

    key: RunKey
    batch: BatchKey
    owner: Owner
    ended_at: float | None
    exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job as reports show it. ``reason`` and ``message`` are of the last event that set them.

    ``output`` is the final path, also while no file is there yet.
    """

    key: JobKey
    job_id: JobId
    state: State
    task_id: TaskId | None
    output: str
    output_bytes: int | None
    attempts: int
    credits: float | None
    reason: str
    message: str
    overdue: bool
    orphan: bool
    selected: bool
    tags: tuple[str, ...] = ()
    priority: int = 0
    updated_at: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)


class EngineStore(Protocol):
    """What the running engine asks of the store. Every method is a coroutine, none blocks."""

    async def pending(self, batch: BatchKey, limit: int) -> list[Job]:
        """Up to ``limit`` selected, not orphaned `pending` jobs: by priority, then position."""

    async def ready(self, batch: BatchKey, limit: int) -> list[Job]:
        """The same for `ready` jobs."""

    async def rendered(self, batch: BatchKey, limit: int) -> list[Job]:
        """Up to ``limit`` `rendered` jobs, oldest first, orphans and unselected included."""

    async def submitted(self, batch: BatchKey) -> list[Job]:
        """All jobs whose task is still watched, by the time of acceptance: `submitted` ones, and
        `cancelled` ones whose current attempt still holds a slot or is overdue and not ended;
        orphans and unselected included."""

    async def strays(self, account: AccountKey, batch: BatchKey) -> list[tuple[BatchKey, Job]]:
        """Jobs of the account's other batches whose tasks hold a slot, with their batches."""

    async def assets(self, account: AccountKey, hashes: Sequence[ContentHash]) -> list[Asset]:
        """The known assets among ``hashes``."""

    async def counts(self, batch: BatchKey) -> dict[State, int]:
        """Jobs by state, all of the batch; states with none are left out."""

    async def startable(self, batch: BatchKey) -> dict[State, int]:
        """The same, of selected jobs that are no orphans."""

    async def slots_used(self, account: AccountKey, rule: SlotRule, now: float) -> int:
        """Slots of the account that are held at ``now``, over all its batches."""

    async def move(self, job: Job, event: Event) -> Job:
        """Apply ``event`` to the job and its current attempt; return the job as it is then.

        ASSETS_LIVE, DOWNLOADED (``data["bytes"]`` becomes ``output_bytes``) and all the others.
        An event with a ``task_id`` gives it to the attempt. Leaving to a terminal state with a
        revision waiting applies REVISED in the same transaction.

        Raises:
            StaleJob: the job's version is not ``job.version``. If the event carries a task id,
                the attempt has received it all the same (a paid task is never disowned).
            IllegalTransition: the table has no such pair.
            StoreFull: it could not be written.
        """

    async def claim(
        self,
        account: AccountKey,
        job: Job,
        rule: SlotRule,
        token: str,
        now: float,
        purse: Purse | None = None,
    ) -> Claim:
        """Count the slots, check the budget, read the file ids, begin an attempt and commit
        `submitting`, all in one transaction."""

    async def unsettled(self, account: AccountKey) -> list[Unsettled]:
        """Every attempt of the account whose fate is unknown, oldest first."""

    async def uncharged_since(self, batch: BatchKey, after: float) -> float | None:
        """When the oldest attempt that began ``after``, was rendered and whose cost is not known
        began (both on the vendor's clock); None if there is none."""

    async def in_doubt_since(self, batch: BatchKey) -> float | None:
        """When the oldest attempt of a job `in_doubt` began; None if no job is."""

    async def owned(self, account: AccountKey, tasks: Sequence[TaskId]) -> set[TaskId]:
        """Those of ``tasks`` that an attempt of the account owns."""

    async def remember_charges(self, account: AccountKey, charges: Sequence[Charge]) -> None:
        """Keep lines of the credit log, and give each owned task's cost to its attempt and job.
        Idempotent; a later line for the same task replaces an earlier one."""

    async def unclaimed(self, account: AccountKey, since: float) -> list[Charge]:
        """Charges from ``since`` (vendor's clock) on whose task no attempt owns and of which no
        :class:`Stranger` is kept yet, oldest first."""

    async def remember_stranger(self, account: AccountKey, stranger: Stranger) -> None:
        """Keep what a query showed of an unclaimed task."""

    async def strangers(self, account: AccountKey, since: float) -> list[Stranger]:
        """Kept strangers charged from ``since`` on that still no attempt owns."""

    async def log_read(self, account: AccountKey, now: float) -> None:
        """Remember that the credit log was read whole, up to ``now`` (our clock)."""

    async def log_read_at(self, account: AccountKey) -> float | None:
        """When the credit log was last read whole (our clock); None if never."""

    async def fact(self, account: AccountKey, key: str) -> Any:
        """What is remembered of the account under this name, as JSON values; None if nothing."""

    async def set_fact(self, account: AccountKey, key: str, value: Any) -> None:
        """Remember JSON values of the account under this name, in place of what was there."""

    async def swap_fact(self, account: AccountKey, key: str, value: Any, was: Any) -> bool:
        """Remember JSON values in place of ``was`` (None: of nothing). False, and nothing is
        changed, if something else stands there."""

    async def notice(self, account: AccountKey, token: str, task_id: TaskId, now: float) -> bool:
        """Keep a webhook's hint that the attempt with this token made ``task_id``. False, and
        nothing is kept, if no attempt of the account has that token."""

    async def spent(self, batch: BatchKey, run: RunKey | None) -> float:
        """Credits counted as :class:`Purse` says, of the batch (or only of one run's attempts)."""

    async def costs(self, account: AccountKey) -> list[Cost]:
        """Sums over charged attempts by mode and kind of audio, to learn what jobs cost."""

    async def asset_uploaded(self, account: AccountKey, asset: Asset, now: float) -> None:
        """Remember the file id of a content hash."""

    async def forget_files(self, account: AccountKey, hashes: Sequence[ContentHash]) -> None:
        """Take back the file ids of these assets: the vendor does not know them any more."""

    async def events(self, batch: BatchKey, job_id: JobId) -> list[StoredEvent]:
        """The history of one job, oldest first."""

    async def reserve(
        self, account: AccountKey, kind: str, rate: Rate, count: int, now: float
    ) -> Turns:
        """Reserve ``count`` (>= 1) evenly spaced sending times >= ``now`` of one kind of call.

        Shared by every process that uses this store and account; survives restarts. Times are
        on the same clock as ``now``. A stored time further ahead than 10 minutes (a clock that
        jumped) is treated as ``now``. ``kind`` may end in ``@`` and the machine's boot, where that
        begins the clock anew: the first time of a later boot is a whole interval after ``now``.
        """


class AppStore(EngineStore, Protocol):
    """What the application needs beyond the engine: batches, planning, runs, reading."""

    async def close(self) -> None:
        """Write what is queued, close all connections, fold the WAL back if nobody reads it."""

    async def account(self, identity: str) -> AccountKey:
        """The row of an account; ``identity`` (base URL + uid) is kept as a salted hash only."""

    async def find_account(self, identity: str) -> AccountKey | None:
        """The row of an account that is known already."""

    async def find_batches(self, name: str) -> list[BatchRow]:
        """Every batch of this name, one per account at the most."""

    async def batches(self) -> list[BatchRow]:
        """All batches, oldest first."""

    async def open_batch(
        self, name: str, account: AccountKey, manifest: Path, now: float
    ) -> BatchRow:
        """The batch of this name and account, made if need be; ``manifest`` is remembered."""

    async def known(
        self, batch: BatchKey, ids: Sequence[JobId] | None = None
    ) -> dict[JobId, Known]:
        """The stored jobs of the batch by id; with ``ids`` only those among them."""

    async def known_besides(self, batch: BatchKey, ids: Set[JobId]) -> list[Known]:
        """The stored jobs of the batch that are not among ``ids``."""

    async def apply_plan(self, batch: BatchKey, changes: Iterable[Change], now: float) -> None:
        """Make all changes, in one transaction per few thousand; unmentioned jobs of the batch
        are unselected. Idempotent: a plan cut off by a crash is simply made again."""

    async def file_facts(self, stamps: Sequence[FileStamp]) -> dict[str, MediaFacts]:
        """Cached facts by path, for stamps that match exactly."""

    async def remember_files(self, facts: Sequence[tuple[FileStamp, MediaFacts]]) -> None:
        """Cache facts of local files."""

    async def recover(self, batch: BatchKey, now: float) -> int:
        """Put every job found in `submitting` into `in_doubt`; returns how many."""

    async def begin_run(self, batch: BatchKey, owner: Owner) -> RunKey:
        """Record that this process works on the batch."""

    async def end_run(
        self, run: RunKey, now: float, exit_code: int, summary: Mapping[str, Any]
    ) -> None:
        """Record how it ended."""

    async def last_run(self, batch: BatchKey) -> RunRow | None:
        """The newest run of the batch."""

    async def job_rows(
        self, batch: BatchKey, *, states: Sequence[State] = (), pattern: str = "*"
    ) -> list[JobRow]:
        """Jobs in manifest order; ``states`` empty means all; ``pattern`` is a GLOB on the id."""

    async def find_jobs(self, pattern: str) -> list[tuple[BatchRow, Job]]:
        """Jobs by ``BATCH/ID`` or ``ID``, both GLOBs, over all batches, in manifest order."""

    async def attempts(self, job: JobKey) -> list[Attempt]:
        """Every attempt of a job, oldest first."""

    async def find_task(self, account: AccountKey, task_id: TaskId) -> JobKey | None:
        """The job whose attempt owns this task, whatever its batch."""
