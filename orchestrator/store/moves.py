"""How one event moves a job, its attempt and its history: inside the writer's transaction.

The functions return an exception instead of raising it where nothing was written: a stale job
is daily business and must not roll back the checkpoints that share the transaction.
"""

from __future__ import annotations

import sqlite3

from orchestrator.core.state import TASK_ENDED, VERDICT_OF, next_state
from orchestrator.errors import OrchestratorError, StaleJob, TaskOwned
from orchestrator.model import (
    PAID_FOR,
    AttemptKey,
    Event,
    EventKind,
    Job,
    JobKey,
    JobSpec,
    State,
    Verdict,
)
from orchestrator.store import charges, queries, rows

_REOPENS = frozenset({EventKind.RETRY_POLL, EventKind.FILE_GONE})
_REPLACES = frozenset({EventKind.SUBMIT_INTENT, EventKind.REVISED})
"""After these the job has another attempt, or none."""
_KEEPS_BYTES = frozenset({State.DONE})


def load_job(conn: sqlite3.Connection, key: JobKey, *, spec: JobSpec | None = None) -> Job | None:
    """The job as it is now; ``spec`` saves reading it again, where it is known."""
    row = conn.execute(queries.JOB, (key,)).fetchone()
    return None if row is None else rows.job(row, spec)


def move(conn: sqlite3.Connection, job: Job, event: Event) -> Job | OrchestratorError:
    """Apply an event; see :meth:`orchestrator.store.base.EngineStore.move`.

    Returns the job as it is then, or a :class:`StaleJob`, or another error that says why the
    event's task cannot be this attempt's.

    Raises:
        IllegalTransition: the table has no such pair; nothing was written.
    """
    next_state(job.state, event.kind, job=job.job_id)
    clash = _task_clash(conn, job, event)
    if clash is not None:
        return clash
    moved = apply(conn, job, event)
    if moved is None:
        return _stale(conn, job, event)
    if moved.revised and moved.state not in PAID_FOR:
        return _revise(conn, moved, event.at)
    return moved


def require(job: Job | None) -> Job:
    """The job of a change that cannot have been stale: its version was read just before."""
    assert job is not None, "the job changed inside our own transaction"
    return job


def apply(
    conn: sqlite3.Connection, job: Job, event: Event, *, begun: AttemptKey | None = None
) -> Job | None:
    """Write the change and its event; None: the version is another, nothing was written.

    ``begun``: the attempt that the event begins.
    """
    after = next_state(job.state, event.kind, job=job.job_id)
    if event.kind is EventKind.REVISED:
        changed = _write_revision(conn, job, event, after)
    else:
        changed = _write_advance(conn, job, event, after, begun)
    if not changed:
        return None
    attempt = job.attempt if begun is None else begun
    if attempt is not None and begun is None:
        _mark_attempt(conn, attempt, event)
    if "credits" in event.data:
        charges.note_statement(conn, job.key, attempt, event.data["credits"])
    if event.kind in _REPLACES and job.attempt is not None:
        _let_go(conn, job.attempt)
    _add_event(conn, job, event, after, attempt)
    # Whoever changes a spec changes the version too, and the version was as expected.
    kept = None if event.kind is EventKind.REVISED else job.spec
    return load_job(conn, job.key, spec=kept)


def _write_revision(conn: sqlite3.Connection, job: Job, event: Event, after: State) -> bool:
    values = {
        "key": job.key,
        "version": job.version,
        "before": job.state,
        "after": after,
        "at": event.at,
    }
    return conn.execute(queries.REVISE, values).rowcount == 1


def _write_advance(
    conn: sqlite3.Connection, job: Job, event: Event, after: State, begun: AttemptKey | None
) -> bool:
    reason, message = _words(job, event, after)
    measured = event.data.get("bytes")
    values = {
        "key": job.key,
        "version": job.version,
        "before": job.state,
        "after": after,
        "at": event.at,
        "reason": reason,
        "message": message,
        "data": rows.to_json(event.data) if event.data else None,
        "keep_bytes": after in _KEEPS_BYTES and measured is None,
        "bytes": measured if after in _KEEPS_BYTES else None,
        "made": event.kind in (EventKind.DOWNLOADED, EventKind.MOVED),
        "begun": 0 if begun is None else 1,
        "keep_attempt": event.kind is not EventKind.SUBMIT_INTENT,
        "attempt": begun,
    }
    return conn.execute(queries.ADVANCE, values).rowcount == 1


def _words(job: Job, event: Event, after: State) -> tuple[str, str]:
    """Without words of its own, an event that leaves the job in its state leaves the reason."""
    if event.reason or event.message:
        return event.reason, event.message
    if after is job.state:
        return job.reason, job.message
    return "", ""


def _mark_attempt(conn: sqlite3.Connection, attempt: AttemptKey, event: Event) -> None:
    """What the event says about the attempt. An accepted one is never judged otherwise."""
    _own_task(conn, attempt, event)
    verdict = VERDICT_OF.get(event.kind)
    if verdict is not None and verdict is not Verdict.ACCEPTED:
        conn.execute(queries.JUDGE, {**_answer(attempt, event), "verdict": verdict})
    if event.kind in TASK_ENDED:
        conn.execute(queries.END_TASK, {**_answer(attempt, event), "kind": event.kind})
    if event.kind is EventKind.TASK_OVERDUE:
        conn.execute(queries.OVERDUE, (attempt,))
    if event.kind in _REOPENS:
        # A task that ended keeps its end: it is asked about again but holds no slot.
        conn.execute(queries.REOPEN, (event.at, attempt))


def _own_task(conn: sqlite3.Connection, attempt: AttemptKey, event: Event) -> None:
    """Give the event's task to the attempt with what it cost, and note an acceptance."""
    if event.task_id is not None:
        conn.execute(queries.OWN_TASK, (event.task_id, attempt))
        charges.note_task(conn, attempt)
    if VERDICT_OF.get(event.kind) is Verdict.ACCEPTED:
        conn.execute(queries.ACCEPT, _answer(attempt, event))


def _let_go(conn: sqlite3.Connection, attempt: AttemptKey) -> None:
    """If the job has another attempt now, nobody asks about this one's task any more.

    It counts as overdue, so that it does not hold a slot for ever; the vendor's own cap (4007)
    is the guard then.
    """
    conn.execute(queries.LET_GO, {"key": attempt})


def _answer(attempt: AttemptKey, event: Event) -> dict[str, object]:
    return {
        "key": attempt,
        "at": event.at,
        "reason": event.reason,
        "message": event.message,
    }


def _add_event(
    conn: sqlite3.Connection, job: Job, event: Event, after: State, attempt: AttemptKey | None
) -> None:
    values = (
        job.key,
        attempt,
        event.kind,
        job.state,
        after,
        event.at,
        event.reason,
        event.message,
        event.task_id,
        rows.to_json(event.data) if event.data else "{}",
    )
    conn.execute(queries.ADD_EVENT, values)


def _revise(conn: sqlite3.Connection, job: Job, at: float) -> Job:
    """The old revision has come to rest: the one that waited takes its place."""
    event = Event(
        kind=EventKind.REVISED,
        at=at,
        reason="revised",
        message="the manifest had changed meanwhile; the new revision is made now",
    )
    return require(apply(conn, job, event))


def _stale(conn: sqlite3.Connection, job: Job, event: Event) -> StaleJob:
    """Somebody else changed the job. A task that was paid for is kept all the same."""
    if event.task_id is not None and job.attempt is not None:
        _own_task(conn, job.attempt, event)
        _let_go(conn, job.attempt)
    row = conn.execute(queries.JOB_VERSION, (job.key,)).fetchone()
    return StaleJob(job.job_id, job.version, None if row is None else row[0])


def _task_clash(conn: sqlite3.Connection, job: Job, event: Event) -> OrchestratorError | None:
    """Why the event's task cannot be the attempt's: it has another, or another has it."""
    if event.task_id is None:
        return None
    if job.attempt is None:
        return OrchestratorError(
            f"job {job.job_id}: {event.kind} names task {event.task_id}, but no attempt was made"
        )
    owner = conn.execute(queries.TASK_OWNER, (event.task_id, job.attempt)).fetchone()
    if owner is not None and owner[0] != job.attempt:
        return TaskOwned(
            f"job {job.job_id}: task {event.task_id} belongs to attempt {owner[1]} of job "
            f"{owner[2]}/{owner[3]}; nothing was changed"
        )
    own = conn.execute(queries.TASK_OF, (job.attempt,)).fetchone()
    if own is not None and own[0] not in (None, event.task_id):
        return OrchestratorError(
            f"job {job.job_id}: its attempt owns task {own[0]} and cannot own {event.task_id} "
            "too; look for both in the vendor's list of tasks"
        )
    return None
