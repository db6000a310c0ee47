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
    AccountKey,
    Attempt,
    AttemptKey,
    AvatarKind,
    ContentHash,
    Event,
    EventKind,
    FileId,
    Job,
    JobKey,
    State,
    Verdict,
)
from orchestrator.store import queries, rows
from orchestrator.store.base import Claim, ClaimRefusal, SlotRule

_KEEPS_REASON = frozenset({EventKind.TASK_OVERDUE, EventKind.MOVED})
"""Without words of their own, these leave the job's reason; all others clear it."""
_REOPENS = frozenset({EventKind.RETRY_POLL, EventKind.FILE_GONE})
_KEEPS_BYTES = frozenset({State.DONE})


def load_job(conn: sqlite3.Connection, key: JobKey) -> Job | None:
    """The job as it is now."""
    row = conn.execute(queries.JOB, (key,)).fetchone()
    return None if row is None else rows.job(row)


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
    moved = _apply(conn, job, event)
    if moved is None:
        return _stale(conn, job, event)
    if moved.revised and moved.state not in PAID_FOR:
        return _revise(conn, moved, event.at)
    return moved


def claim(
    conn: sqlite3.Connection,
    account: AccountKey,
    job: Job,
    rule: SlotRule,
    token: str,
    now: float,
) -> Claim:
    """Begin an attempt; see :meth:`orchestrator.store.base.EngineStore.claim`."""
    current = load_job(conn, job.key)
    if current is None or current.version != job.version or current.state is not State.READY:
        return Claim(refusal=ClaimRefusal.MOVED)
    if slots_used(conn, account, rule, now) >= rule.in_flight:
        return Claim(refusal=ClaimRefusal.SLOTS, job=current)
    files = _file_ids(conn, account, current.hashes)
    if files is None:
        return Claim(refusal=ClaimRefusal.FILES, job=_send_back(conn, current, now))
    attempt = _begin_attempt(conn, account, current, files, token, now)
    intent = Event(kind=EventKind.SUBMIT_INTENT, at=now)
    claimed = _require(_apply(conn, current, intent, begun=attempt.key))
    return Claim(refusal=None, job=claimed, attempt=attempt)


def slots_used(conn: sqlite3.Connection, account: AccountKey, rule: SlotRule, now: float) -> int:
    """Slots of the account that are held at ``now``."""
    row = conn.execute(queries.SLOTS, (account, now - rule.doubt_hold_s)).fetchone()
    return int(row[0])


def _require(job: Job | None) -> Job:
    """The job of a change that cannot have been stale: its version was read just before."""
    assert job is not None, "the job changed inside our own transaction"
    return job


def _apply(
    conn: sqlite3.Connection, job: Job, event: Event, *, begun: AttemptKey | None = None
) -> Job | None:
    """Write the change and its event; None: the version is another, nothing was written."""
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
        _note_credits(conn, job.key, attempt, event)
    _add_event(conn, job, event, after, attempt)
    return load_job(conn, job.key)


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
    reason, message = _words(job, event)
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


def _words(job: Job, event: Event) -> tuple[str, str]:
    if event.reason or event.message:
        return event.reason, event.message
    if event.kind in _KEEPS_REASON:
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
    """Give the event's task to the attempt, and note an acceptance."""
    if event.task_id is not None:
        conn.execute(queries.OWN_TASK, (event.task_id, attempt))
    if VERDICT_OF.get(event.kind) is Verdict.ACCEPTED:
        conn.execute(queries.ACCEPT, _answer(attempt, event))


def _answer(attempt: AttemptKey, event: Event) -> dict[str, object]:
    return {
        "key": attempt,
        "at": event.at,
        "reason": event.reason,
        "message": event.message,
    }


def _note_credits(
    conn: sqlite3.Connection, job: JobKey, attempt: AttemptKey | None, event: Event
) -> None:
    """The attempt's price; the job's is the sum over its attempts."""
    price = event.data["credits"]
    if attempt is not None:
        conn.execute(queries.ATTEMPT_CREDITS, (price, attempt))
    conn.execute(queries.JOB_CREDITS, (price, job))


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
        rows.to_json(event.data),
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
    return _require(_apply(conn, job, event))


def _stale(conn: sqlite3.Connection, job: Job, event: Event) -> StaleJob:
    """Somebody else changed the job. A task that was paid for is kept all the same."""
    if event.task_id is not None and job.attempt is not None:
        _own_task(conn, job.attempt, event)
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


def _file_ids(
    conn: sqlite3.Connection, account: AccountKey, hashes: tuple[ContentHash, ...]
) -> dict[ContentHash, FileId] | None:
    """The live file id of every hash, None if one has none."""
    found: dict[ContentHash, FileId] = {}
    for content_hash in hashes:
        row = conn.execute(queries.ASSET, (account, content_hash)).fetchone()
        if row is None or row[3] is None:
            return None
        found[content_hash] = row[3]
    return found


def _send_back(conn: sqlite3.Connection, job: Job, now: float) -> Job:
    event = Event(
        kind=EventKind.FILES_EXPIRED,
        at=now,
        reason="files_expired",
        message="the vendor no longer knows one of its files; it is uploaded again",
    )
    return _require(_apply(conn, job, event))


def _begin_attempt(
    conn: sqlite3.Connection,
    account: AccountKey,
    job: Job,
    files: dict[ContentHash, FileId],
    token: str,
    now: float,
) -> Attempt:
    avatar = None if job.avatar_hash is None else files[job.avatar_hash]
    audio = None if job.audio_hash is None else files[job.audio_hash]
    kind = job.spec.avatar_kind
    values = (
        job.key,
        account,
        job.attempts + 1,
        job.revision,
        token,
        now,
        avatar if kind is AvatarKind.VIDEO else None,
        avatar if kind is AvatarKind.IMAGE else None,
        audio,
    )
    key = conn.execute(queries.BEGIN_ATTEMPT, values).fetchone()[0]
    return rows.attempt(conn.execute(queries.ATTEMPT, (key,)).fetchone())
