"""The state store in one SQLite file: ``store.base`` fulfilled.

Every method is short: it hands a function of the connection to the writer's thread or to a
reader's, and turns what comes back into the answer or the error that the Protocol promises.
``docs/state-store.md`` describes the file for people.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.core.limits import Turns, reserve
from orchestrator.core.state import next_state
from orchestrator.errors import OrchestratorError
from orchestrator.model import (
    AccountKey,
    Attempt,
    BatchKey,
    ContentHash,
    Event,
    EventKind,
    Job,
    JobId,
    JobKey,
    MediaFacts,
    Rate,
    RunKey,
    State,
    TaskId,
)
from orchestrator.store import claims, moves, planning, queries, rows
from orchestrator.store.access import Connection
from orchestrator.store.base import (
    Asset,
    BatchRow,
    Change,
    Claim,
    FileStamp,
    JobRow,
    Known,
    Owner,
    Purse,
    RunRow,
    SlotRule,
    StoredEvent,
)
from orchestrator.store.ledger import Ledger
from orchestrator.store.readers import Readers
from orchestrator.store.writer import Writer

if TYPE_CHECKING:
    from orchestrator.store.base import AppStore


async def open_store(path: Path, *, create: bool = True) -> SqliteStore:
    """Open the state store at ``path``; make it (and its folder, private to its owner) if need be.

    Raises:
        ForeignStore: the file is damaged, not ours, or of a newer version. It was not touched.
        StoreFull: the file cannot be written.
        StoreError: there is none and ``create`` is false, or the folder cannot be used.
    """
    writer = Writer(path, create=create)
    await writer.start()
    return SqliteStore(writer, Readers(path))


class SqliteStore(Ledger):
    """An open state store; see :class:`orchestrator.store.base.AppStore` for every promise.

    What is about money and evidence stands in :class:`orchestrator.store.ledger.Ledger`.
    """

    # What the engine asks.

    async def pending(self, batch: BatchKey, limit: int) -> list[Job]:
        """The next jobs whose files have to be seen to."""
        return await self._jobs(queries.WINDOW, batch, State.PENDING, limit)

    async def ready(self, batch: BatchKey, limit: int) -> list[Job]:
        """The next jobs to submit."""
        return await self._jobs(queries.WINDOW, batch, State.READY, limit)

    async def rendered(self, batch: BatchKey, limit: int) -> list[Job]:
        """The next jobs to download."""
        return await self._jobs(queries.RENDERED, batch, limit)

    async def submitted(self, batch: BatchKey) -> list[Job]:
        """Every job whose task is asked about."""
        return await self._jobs(queries.SUBMITTED, batch)

    async def strays(self, account: AccountKey, batch: BatchKey) -> list[tuple[BatchKey, Job]]:
        """Other batches' jobs whose tasks hold a slot."""
        found = await self._rows(queries.STRAYS, account, batch)
        return [(BatchKey(row[0]), rows.job(row[1:])) for row in found]

    async def assets(self, account: AccountKey, hashes: Sequence[ContentHash]) -> list[Asset]:
        """The known assets among ``hashes``, each once."""

        def look(conn: Connection) -> list[Asset]:
            found = (conn.execute(queries.ASSET, (account, h)).fetchone() for h in set(hashes))
            return [rows.asset(row) for row in found if row is not None]

        return await self._readers.run(look)

    async def counts(self, batch: BatchKey) -> dict[State, int]:
        """Jobs by state."""
        found = await self._rows(queries.COUNTS, batch)
        return {State(state): count for state, count in found}

    async def startable(self, batch: BatchKey) -> dict[State, int]:
        """Selected jobs that are no orphans, by state."""
        found = await self._rows(queries.STARTABLE, batch)
        return {State(state): count for state, count in found}

    async def slots_used(self, account: AccountKey, rule: SlotRule, now: float) -> int:
        """Slots of the account that are held at ``now``."""
        return await self._readers.glance(
            lambda conn: claims.slots_used(conn, account, rule, now),
        )

    async def move(self, job: Job, event: Event) -> Job:
        """Apply an event to a job."""
        next_state(job.state, event.kind, job=job.job_id)
        moved = await self._writer.run(lambda conn: moves.move(conn, job, event), brief=True)
        if isinstance(moved, OrchestratorError):
            raise moved
        return moved

    async def claim(
        self,
        account: AccountKey,
        job: Job,
        rule: SlotRule,
        token: str,
        now: float,
        purse: Purse | None = None,
    ) -> Claim:
        """Begin an attempt, if a slot, the credits and every file id are there.

        Without a purse no budget is asked, and the attempt counts at the untaught estimate.
        """
        return await self._writer.run(
            lambda conn: claims.claim(conn, account, job, rule, token, now, purse),
            brief=purse is None or not purse.limited,
        )

    async def asset_uploaded(self, account: AccountKey, asset: Asset, now: float) -> None:
        """Remember a file id."""
        uploaded_at = None if asset.file_id is None else now
        what = (account, asset.content_hash, asset.format, asset.size_bytes)
        await self._write(queries.ASSET_UPLOADED, *what, asset.file_id, uploaded_at)

    async def forget_files(self, account: AccountKey, hashes: Sequence[ContentHash]) -> None:
        """Take file ids back."""
        values = [(account, content_hash) for content_hash in hashes]
        await self._write_many(queries.FORGET_FILE, values)

    async def reserve(
        self, account: AccountKey, kind: str, rate: Rate, count: int, now: float
    ) -> Turns:
        """Reserve sending times."""

        def work(conn: Connection) -> Turns:
            row = conn.execute(queries.LIMIT, (account, kind)).fetchone()
            next_at = None if row is None else row[0]
            name, at, _ = kind.partition("@")
            if row is None and at and conn.execute(queries.ANY_BOOT, (account, name)).fetchone():
                next_at = now + rate.interval_s
            turns = reserve(next_at, now, rate.interval_s, count)
            conn.execute(queries.SET_LIMIT, (account, kind, turns.next_at))
            return turns

        return await self._writer.run(work, brief=True)

    # What the application asks.

    async def account(self, identity: str) -> AccountKey:
        """The row of an account."""

        def work(conn: Connection) -> AccountKey:
            salt = conn.execute(queries.SALT).fetchone()[0]
            digest = hashlib.sha256(f"{salt}\n{identity}".encode()).hexdigest()
            conn.execute(queries.ADD_ACCOUNT, (digest,))
            key: AccountKey = conn.execute(queries.ACCOUNT, (digest,)).fetchone()[0]
            return key

        return await self._writer.run(work)

    async def find_account(self, identity: str) -> AccountKey | None:
        """The row of an account that is known already."""
        salt = (await self._rows(queries.SALT))[0][0]
        digest = hashlib.sha256(f"{salt}\n{identity}".encode()).hexdigest()
        found = await self._rows(queries.ACCOUNT, digest)
        return AccountKey(found[0][0]) if found else None

    async def find_batches(self, name: str) -> list[BatchRow]:
        """Batches of this name."""
        return [rows.batch(row) for row in await self._rows(queries.BATCHES_NAMED, name)]

    async def batches(self) -> list[BatchRow]:
        """All batches."""
        return [rows.batch(row) for row in await self._rows(queries.ALL_BATCHES)]

    async def open_batch(
        self, name: str, account: AccountKey, manifest: Path, now: float
    ) -> BatchRow:
        """The batch of this name and account."""
        return rows.batch(
            await self._write_one(queries.OPEN_BATCH, name, account, str(manifest), now)
        )

    async def known(
        self, batch: BatchKey, ids: Sequence[JobId] | None = None
    ) -> dict[JobId, Known]:
        """Stored jobs of the batch."""
        return await self._readers.run(partial(planning.known, batch=batch, ids=ids))

    async def known_besides(self, batch: BatchKey, ids: Set[JobId]) -> list[Known]:
        """Stored jobs of the batch with other ids."""
        return await self._readers.run(partial(planning.known_besides, batch=batch, ids=ids))

    async def apply_plan(self, batch: BatchKey, changes: Iterable[Change], now: float) -> None:
        """Make all changes of a plan.

        Raises:
            StaleJob: a job was changed since planning looked at it; plan again. Chunks of
                changes that came before are made.
        """
        plan = await self._writer.run(lambda conn: planning.next_plan(conn, batch))
        source = iter(changes)
        while chunk := list(itertools.islice(source, planning.CHUNK)):
            work = partial(planning.apply_chunk, batch=batch, plan=plan, changes=chunk, now=now)
            await self._writer.run(work)
        await self._writer.run(lambda conn: planning.unselect_rest(conn, batch, plan))

    async def file_facts(self, stamps: Sequence[FileStamp]) -> dict[str, MediaFacts]:
        """Cached facts of files that are what they were."""

        def look(conn: Connection) -> dict[str, MediaFacts]:
            found = (conn.execute(queries.FILE, rows.stamp_values(s)).fetchone() for s in stamps)
            return {row[0]: rows.facts(row) for row in found if row is not None}

        return await self._readers.run(look)

    async def remember_files(self, facts: Sequence[tuple[FileStamp, MediaFacts]]) -> None:
        """Cache facts of files."""
        values = [rows.file_values(stamp, known) for stamp, known in facts]
        await self._write_many(queries.REMEMBER_FILE, values)

    async def recover(self, batch: BatchKey, now: float) -> int:
        """Whoever was submitting when the last run ended is in doubt."""
        return await self._writer.run(lambda conn: _recover(conn, batch, now))

    async def begin_run(self, batch: BatchKey, owner: Owner) -> RunKey:
        """Record a run."""
        who = (owner.pid, owner.host, owner.boot_id, owner.started_at)
        return RunKey((await self._write_one(queries.BEGIN_RUN, batch, *who))[0])

    async def end_run(
        self, run: RunKey, now: float, exit_code: int, summary: Mapping[str, Any]
    ) -> None:
        """Record how a run ended."""
        await self._write(queries.END_RUN, now, exit_code, rows.to_json(summary), run)

    async def last_run(self, batch: BatchKey) -> RunRow | None:
        """The newest run of the batch."""
        found = await self._rows(queries.LAST_RUN, batch)
        return rows.run(found[0]) if found else None

    async def job_rows(
        self, batch: BatchKey, *, states: Sequence[State] = (), pattern: str = "*"
    ) -> list[JobRow]:
        """Jobs as reports show them."""
        marks = ", ".join("?" * len(states))
        among = f" AND j.state IN ({marks})" if states else ""
        query = queries.JOB_ROWS + among + queries.JOB_ROWS_ORDER

        def look(conn: Connection) -> list[JobRow]:
            return [rows.job_row(row) for row in conn.execute(query, (batch, pattern, *states))]

        return await self._readers.run(look)

    async def events(self, batch: BatchKey, job_id: JobId) -> list[StoredEvent]:
        """The history of one job."""
        return [rows.stored_event(row) for row in await self._rows(queries.EVENTS, batch, job_id)]

    async def find_jobs(self, pattern: str) -> list[tuple[BatchRow, Job]]:
        """Jobs by ``BATCH/ID`` or ``ID``, oldest batch first."""
        batch, slash, job_id = pattern.rpartition("/")
        found = await self._rows(queries.FIND_JOBS, batch if slash else "*", job_id)
        return [(rows.batch(row[rows.JOB_WIDTH :]), rows.job(row)) for row in found]

    async def attempts(self, job: JobKey) -> list[Attempt]:
        """Every attempt of a job, oldest first."""
        return [rows.attempt(row) for row in await self._rows(queries.ATTEMPTS, job)]

    async def find_task(self, account: AccountKey, task_id: TaskId) -> JobKey | None:
        """The job that owns a task."""
        found = await self._rows(queries.FIND_TASK, account, task_id)
        return JobKey(found[0][0]) if found else None


def _recover(conn: Connection, batch: BatchKey, now: float) -> int:
    interrupted = Event(
        kind=EventKind.SUBMIT_INTERRUPTED,
        at=now,
        reason="interrupted",
        message="the last run ended after it had begun to submit this job and before the answer "
        "was stored: a task may exist and may be billed, so it is not simply sent again",
    )
    found = [rows.job(row) for row in conn.execute(queries.SUBMITTING, (batch,)).fetchall()]
    for job in found:
        _must_move(conn, job, interrupted)
    for row in conn.execute(queries.IN_DOUBT_WITH_TASK, (batch,)).fetchall():
        job = rows.job(row)
        _must_move(conn, job, _answered_late(job, now))
    return len(found)


def _answered_late(job: Job, now: float) -> Event:
    """A job in doubt whose attempt has its task: the answer came when the job had moved on."""
    return Event(
        kind=EventKind.DOUBT_ADOPTED,
        at=now,
        task_id=job.task_id,
        data={"evidence": "the answer to its own submit came late, and names this task"},
    )


def _must_move(conn: Connection, job: Job, event: Event) -> None:
    moved = moves.move(conn, job, event)
    if isinstance(moved, OrchestratorError):
        raise moved


if TYPE_CHECKING:

    def _fulfils(store: SqliteStore) -> AppStore:
        return store
