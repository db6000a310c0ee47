"""One job's result as exports and pages show it, put together from what the store knows. Pure.

Nothing here holds a secret: task ids stand there, signed links and keys never do. Should an error
quote an address all the same, :func:`plain` takes its query away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.model import EventKind, JobId, Revision, State, TaskId
from orchestrator.report.build import job_view
from orchestrator.store.base import JobRow, StoredEvent

_QUERY = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s?#\"'<>]*)[?#][^\s\"'<>]*")
_CREDENTIALS = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/?#@\"'<>]+@")
_ACCEPTED = frozenset({EventKind.SUBMIT_ACCEPTED, EventKind.DOUBT_ADOPTED})
_NOT_THERE_ANY_MORE = frozenset({EventKind.FILE_GONE, EventKind.RETRY_POLL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When things happened to the job's current revision, in Unix seconds; None: not (yet).

    ``submitted_at``: its latest attempt began. ``accepted_at``: that attempt's task became known.
    ``done_at``: the verified video got its name. ``seconds``: how long that video lasts, None
    where nobody looked.
    """

    submitted_at: float | None = None
    accepted_at: float | None = None
    done_at: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One job of an export. ``bytes`` and ``duration_s`` are of the finished video.

    ``revision`` is the first eight digits of the hash of what is paid for. ``saved_avatar_id`` is
    the private avatar that the job has saved, None where none is known to be its own.
    """

    id: JobId
    state: State
    output: str
    bytes: int | None
    duration_s: float | None
    task_id: TaskId | None
    attempts: int
    credits: float | None
    error: str | None
    tags: tuple[str, ...]
    priority: int
    submitted_at: float | None
    accepted_at: float | None
    done_at: float | None
    revision: str
    overdue: bool
    orphan: bool
    saved_avatar_id: str | None = None


def times_of(history: Iterable[StoredEvent]) -> Times:
    """What a job's events, oldest first, say about its current revision."""
    times = Times()
    for stored in history:
        times = _after(times, stored)
    return times


def _after(times: Times, stored: StoredEvent) -> Times:
    event = stored.event
    if event.kind is EventKind.REVISED:
        return Times()
    if event.kind is EventKind.SUBMIT_INTENT:
        return Times(submitted_at=event.at)
    if event.kind in _ACCEPTED:
        return replace(times, accepted_at=event.at)
    if event.kind is EventKind.DOWNLOADED:
        return replace(times, done_at=event.at, seconds=_number(event.data.get("seconds")))
    if event.kind in _NOT_THERE_ANY_MORE:
        return replace(times, done_at=None, seconds=None)
    return times


def result(
    row: JobRow, times: Times, revision: Revision | None, saved_avatar_id: str | None = None
) -> Result:
    """The row with its times; size and length are given for finished videos only."""
    view = job_view(row)
    done = row.state is State.DONE
    return Result(
        id=row.job_id,
        state=row.state,
        output=row.output,
        bytes=row.output_bytes if done else None,
        duration_s=(times.seconds or seconds_of(row)) if done else None,
        task_id=row.task_id,
        attempts=row.attempts,
        credits=row.credits,
        error=None if view.error is None else plain(view.error),
        tags=row.tags,
        priority=row.priority,
        submitted_at=times.submitted_at,
        accepted_at=times.accepted_at,
        done_at=times.done_at if done else None,
        revision=(revision or "")[:8],
        overdue=view.overdue,
        orphan=row.orphan,
        saved_avatar_id=saved_avatar_id,
    )


def seconds_of(row: JobRow) -> float | None:
    """How long the finished video lasts, where the job's last event tells it."""
    return _number(row.data.get("seconds"))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def plain(text: str) -> str:
    """A sentence in one line, without control characters, and without query strings, fragments
    or credentials of addresses."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _QUERY.sub(r"\1", _CREDENTIALS.sub(r"\1", line))
