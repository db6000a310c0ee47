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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

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
    ``waiting_revision`` the newer revision that waits for this one to rest.
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
    FILES = "files"  # a file id was taken back meanwhile; the job is `pending` again
    MOVED = "moved"  # the job is no longer `ready` at that version


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to send one submit (``refusal`` is None), or why not.

    ``job`` is the job after the change (None when it MOVED).
    """

    refusal: ClaimRefusal | None
    job: Job | None = None
    attempt: Attempt | None = None


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
        """All `submitted` jobs, orphans and unselected included, by the time of acceptance."""

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
        self, account: AccountKey, job: Job, rule: SlotRule, token: str, now: float
    ) -> Claim:
        """Count the slots, read the file ids, begin an attempt and commit `submitting`."""

    async def asset_uploaded(self, account: AccountKey, asset: Asset, now: float) -> None:
        """Remember the file id of a content hash."""

    async def forget_files(self, account: AccountKey, hashes: Sequence[ContentHash]) -> None:
        """Take back the file ids of these assets: the vendor does not know them any more."""

    async def events(self, batch: BatchKey, job_id: JobId) -> list[StoredEvent]:
        """The history of one job, oldest first."""

    async def made(self, job: Job) -> tuple[Revision, str] | None:
        """Revision and output path of the last video of this job that reached `done`."""

    async def reserve(
        self, account: AccountKey, kind: str, rate: Rate, count: int, now: float
    ) -> tuple[float, ...]:
        """Reserve ``count`` evenly spaced sending times >= ``now`` of one kind of call.

        Shared by every process that uses this store and account; survives restarts. Times are
        on the same clock as ``now`` (wall clock). A stored time further ahead than 10 minutes
        (a clock that jumped) is treated as ``now``.
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

    async def known(self, batch: BatchKey) -> dict[JobId, Known]:
        """Every stored job of the batch by id."""

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

    async def find_task(self, account: AccountKey, task_id: TaskId) -> JobKey | None:
        """The job whose attempt owns this task, whatever its batch."""
