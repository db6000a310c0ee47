"""Making the changes of a plan: many rows in few statements, inside the writer's transaction.

Every statement is guarded by the version that planning saw. If one row is stale the whole
transaction is rolled back and its :class:`StaleJob` is raised: the plan has to be made again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence, Set

from orchestrator.errors import OrchestratorError, StaleJob
from orchestrator.model import BatchKey, Event, EventKind, Job, JobId, JobKey, MediaFacts
from orchestrator.store import moves, queries, rows
from orchestrator.store.base import Change, ChangeKind, Known, Wanted

CHUNK = 2_000
"""Changes in one transaction."""

_TWICE = "(twice in the plan)"

Values = dict[str, object]


def known(
    conn: sqlite3.Connection, batch: BatchKey, ids: Sequence[JobId] | None
) -> dict[JobId, Known]:
    """The stored jobs of the batch, all of them or those of these ids."""
    if ids is None:
        found = conn.execute(queries.KNOWN, (batch,))
    else:
        found = conn.execute(queries.KNOWN_OF, (batch, rows.list_to_json(ids)))
    return {row[1]: rows.known(row) for row in found}


def known_besides(conn: sqlite3.Connection, batch: BatchKey, ids: Set[JobId]) -> list[Known]:
    """The stored jobs of the batch with other ids than these, in manifest order."""
    every = conn.execute(queries.JOB_IDS, (batch,))
    besides = [job_id for (job_id,) in every if job_id not in ids]
    return list(known(conn, batch, besides).values()) if besides else []


def next_plan(conn: sqlite3.Connection, batch: BatchKey) -> int:
    """A new number for a plan of the batch."""
    row = conn.execute(queries.NEXT_PLAN, (batch,)).fetchone()
    if row is None:
        raise OrchestratorError(f"batch {batch} is not in this store")
    return int(row[0])


def apply_chunk(
    conn: sqlite3.Connection, batch: BatchKey, plan: int, changes: Sequence[Change], now: float
) -> None:
    """Make these changes, all or none."""
    _know_assets(conn, batch, changes)
    _insert(conn, batch, plan, _of(changes, ChangeKind.NEW), now)
    updated = _of(changes, ChangeKind.UPDATE, ChangeKind.MOVE)
    _guarded(conn, queries.UPDATE_JOB, updated, plan)
    waiting = _of(changes, ChangeKind.REVISE, ChangeKind.REVISE_LATER)
    _guarded(conn, queries.LET_WAIT, waiting, plan)
    _guarded(conn, queries.ORPHAN, _of(changes, ChangeKind.ORPHAN), plan)
    for change in changes:
        if change.kind is ChangeKind.REVISE:
            _move(conn, change, _revised(now))
        elif change.kind is ChangeKind.MOVE:
            _move(conn, change, _event(change))


def unselect_rest(conn: sqlite3.Connection, batch: BatchKey, plan: int) -> None:
    """Jobs that the plan does not mention are not started by this run."""
    conn.execute(queries.UNSELECT_REST, (batch, plan))


def _of(changes: Iterable[Change], *kinds: ChangeKind) -> list[Change]:
    return [change for change in changes if change.kind in kinds]


def _know_assets(conn: sqlite3.Connection, batch: BatchKey, changes: Sequence[Change]) -> None:
    """A row for every file that is wanted, so that uploading knows its size and format."""
    account = conn.execute(queries.BATCH_ACCOUNT, (batch,)).fetchone()[0]
    wanted = [change.wanted for change in changes if change.wanted is not None]
    facts = {f.content_hash: f for w in wanted for f in (w.avatar, w.audio) if f is not None}
    conn.executemany(
        queries.KNOW_ASSET,
        [(account, f.content_hash, f.format, f.size_bytes) for f in facts.values()],
    )


def _insert(
    conn: sqlite3.Connection, batch: BatchKey, plan: int, changes: Sequence[Change], now: float
) -> None:
    values = [{**_columns(c, plan), "batch": batch, "now": now} for c in changes]
    before = conn.total_changes
    conn.executemany(queries.ADD_JOB, values)
    if conn.total_changes - before != len(values):
        raise _first_existing(conn, batch, plan, changes)


def _first_existing(
    conn: sqlite3.Connection, batch: BatchKey, plan: int, changes: Sequence[Change]
) -> StaleJob:
    """Who was in the store before this plan."""
    for change in changes:
        job_id = _wanted(change).spec.job_id
        row = conn.execute(queries.JOB_VERSION_IF_OLDER, (batch, job_id, plan)).fetchone()
        if row is not None:
            return StaleJob(job_id, 0, row[0])
    return StaleJob(_TWICE, 0, None)


def _guarded(
    conn: sqlite3.Connection, statement: str, changes: Sequence[Change], plan: int
) -> None:
    values = [_guarded_values(change, plan) for change in changes]
    before = conn.total_changes
    conn.executemany(statement, values)
    if conn.total_changes - before != len(values):
        raise _first_stale(conn, changes, plan)


def _first_stale(conn: sqlite3.Connection, changes: Sequence[Change], plan: int) -> StaleJob:
    """Who was not changed: every other job bears the plan's number now."""
    for change in changes:
        known = _known(change)
        row = conn.execute(queries.JOB_VERSION_AND_PLAN, (known.key,)).fetchone()
        if row is None:
            return StaleJob(known.job_id, known.version, None)
        if row[1] != plan:
            return StaleJob(known.job_id, known.version, row[0])
    return StaleJob(_TWICE, 0, None)


def _guarded_values(change: Change, plan: int) -> Values:
    known = _known(change)
    guard: Values = {"key": known.key, "version": known.version}
    if change.kind is ChangeKind.ORPHAN:
        return {**guard, "plan": plan}
    return {**guard, **_columns(change, plan)}


def _columns(change: Change, plan: int) -> Values:
    wanted = _wanted(change)
    spec = wanted.spec
    return {
        "job_id": spec.job_id,
        "position": change.position,
        "priority": spec.priority,
        "selected": int(change.selected),
        "plan": plan,
        "tags": rows.list_to_json(spec.tags) if spec.tags else "[]",
        "spec": rows.spec_to_json(spec),
        "revision": wanted.revision,
        "wire": wanted.wire,
        "output": str(spec.output),
        "avatar_hash": _hash(wanted.avatar),
        "audio_hash": _hash(wanted.audio),
        "audio_s": wanted.audio_s,
    }


def _hash(facts: MediaFacts | None) -> str | None:
    return None if facts is None else facts.content_hash


def _revised(now: float) -> Event:
    return Event(
        kind=EventKind.REVISED,
        at=now,
        reason="revised",
        message="the manifest asks for another revision",
    )


def _move(conn: sqlite3.Connection, change: Change, event: Event) -> None:
    job = _load(conn, _known(change).key)
    moved = moves.move(conn, job, event)
    if isinstance(moved, OrchestratorError):
        raise moved


def _load(conn: sqlite3.Connection, key: JobKey) -> Job:
    job = moves.load_job(conn, key)
    assert job is not None, "the guarded statement has just changed it"
    return job


def _wanted(change: Change) -> Wanted:
    if change.wanted is None:
        raise ValueError(f"a change of kind {change.kind} needs `wanted`")
    return change.wanted


def _known(change: Change) -> Known:
    if change.known is None:
        raise ValueError(f"a change of kind {change.kind} needs `known`")
    return change.known


def _event(change: Change) -> Event:
    if change.event is None:
        raise ValueError(f"a change of kind {change.kind} needs `event`")
    return change.event
