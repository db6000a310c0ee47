"""How a submit gets the right to be sent: inside the writer's transaction, all or nothing."""

from __future__ import annotations

import sqlite3

from orchestrator.core.budget import Tariff, units_of
from orchestrator.model import (
    AccountKey,
    Attempt,
    AvatarKind,
    ContentHash,
    Event,
    EventKind,
    FileId,
    Job,
    State,
)
from orchestrator.store import charges, moves, queries, rows
from orchestrator.store.base import Claim, ClaimRefusal, Purse, SlotRule

_UNTAUGHT = Tariff()
"""What is expected of a submit whose caller expects nothing in particular."""

FileIds = dict[ContentHash, FileId]


def claim(
    conn: sqlite3.Connection,
    account: AccountKey,
    job: Job,
    rule: SlotRule,
    token: str,
    now: float,
    purse: Purse | None,
) -> Claim:
    """Begin an attempt; see :meth:`orchestrator.store.base.EngineStore.claim`."""
    current = moves.load_job(conn, job.key)
    if current is None or current.version != job.version or current.state is not State.READY:
        return Claim(refusal=ClaimRefusal.MOVED)
    held = slots_used(conn, account, rule, now)
    if held >= rule.in_flight:
        return Claim(refusal=ClaimRefusal.SLOTS, job=current, held=held)
    if purse is not None and not charges.covers(conn, current.key, purse):
        return Claim(refusal=ClaimRefusal.BUDGET, job=current)
    files = _file_ids(conn, account, current.hashes)
    if files is None:
        return Claim(refusal=ClaimRefusal.FILES, job=_send_back(conn, current, now))
    values = {"account": account, "token": token, "started_at": now}
    attempt = _begin_attempt(
        conn, {**values, **_of_job(current), **_sent(current, files), **_priced(current, purse)}
    )
    intent = Event(kind=EventKind.SUBMIT_INTENT, at=now)
    claimed = moves.require(moves.apply(conn, current, intent, begun=attempt.key))
    return Claim(refusal=None, job=claimed, attempt=attempt, held=held)


def slots_used(conn: sqlite3.Connection, account: AccountKey, rule: SlotRule, now: float) -> int:
    """Slots of the account that are held at ``now``."""
    row = conn.execute(queries.SLOTS, (account, now - rule.doubt_hold_s)).fetchone()
    return int(row[0])


def _file_ids(
    conn: sqlite3.Connection, account: AccountKey, hashes: tuple[ContentHash, ...]
) -> FileIds | None:
    """The live file id of every hash, None if one has none."""
    found: FileIds = {}
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
    return moves.require(moves.apply(conn, job, event))


def _begin_attempt(conn: sqlite3.Connection, values: dict[str, object]) -> Attempt:
    key = conn.execute(queries.BEGIN_ATTEMPT, values).fetchone()[0]
    return rows.attempt(conn.execute(queries.ATTEMPT, (key,)).fetchone())


def _of_job(job: Job) -> dict[str, object]:
    return {"job": job.key, "number": job.attempts + 1, "revision": job.revision}


def _sent(job: Job, files: FileIds) -> dict[str, object]:
    """The file ids that will be sent, by the vendor's names for them."""
    avatar = None if job.avatar_hash is None else files[job.avatar_hash]
    kind = job.spec.avatar_kind
    return {
        "video_file_id": avatar if kind is AvatarKind.VIDEO else None,
        "image_file_id": avatar if kind is AvatarKind.IMAGE else None,
        "audio_file_id": None if job.audio_hash is None else files[job.audio_hash],
    }


def _priced(job: Job, purse: Purse | None) -> dict[str, object]:
    """What the attempt is of, how much of it, and what it is expected to cost."""
    spec = job.spec
    expected = _UNTAUGHT.expected(spec, job.audio_s) if purse is None else purse.expected
    return {
        "kind": rows.cost_kind(spec.mode, spec.audio_kind),
        "units": units_of(spec, job.audio_s),
        "expected": expected,
        "run": None if purse is None else purse.run,
        "clock_offset_s": 0.0 if purse is None else purse.clock_offset_s,
    }
