"""The states of a job and the one table of how it moves between them.

A state says what is *durably known* about a job, not what a coroutine is doing now. So
uploading and downloading have no state of their own (repeating them harms nothing), and
`submitting` has one (repeating it would pay twice). The way forward is the left column of the
table read downwards; everything else is a way back that costs nothing, or an end.

Nothing else in the project assigns a state: the store asks :func:`next_state` for every change.
The diagram in ``docs/states.md`` is printed from this table (``scripts/check`` compares).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.errors import IllegalTransition
from orchestrator.model import EventKind as E
from orchestrator.model import JobId, State, Verdict
from orchestrator.model import State as S

_REVIVE: dict[E, S] = {
    E.RETRY_POLL: S.SUBMITTED,
    E.RETRY_SUBMIT: S.READY,
    E.RETRY_UPLOAD: S.PENDING,
    E.REVISED: S.PENDING,
}

_STILL_RENDERING: dict[E, S] = {
    E.TASK_SUCCEEDED: S.CANCELLED,
    E.TASK_OVERDUE: S.CANCELLED,
    E.TASK_FAILED: S.CANCELLED,
    E.TASK_LOST: S.CANCELLED,
}
"""The vendor cannot be told of a cancellation: the task is watched until it frees its slot."""

TRANSITIONS: Mapping[S, Mapping[E, S]] = MappingProxyType(
    {
        S.PENDING: {
            E.ASSETS_LIVE: S.READY,
            E.UPLOAD_FAILED: S.FAILED,
            E.REVISED: S.PENDING,
            E.CANCELLED: S.CANCELLED,
        },
        S.READY: {
            E.SUBMIT_INTENT: S.SUBMITTING,
            E.FILES_EXPIRED: S.PENDING,
            E.REVISED: S.PENDING,
            E.CANCELLED: S.CANCELLED,
        },
        S.SUBMITTING: {
            E.SUBMIT_ACCEPTED: S.SUBMITTED,
            E.SUBMIT_REFUSED: S.FAILED,
            E.SUBMIT_POSTPONED: S.READY,
            E.SUBMIT_FILE_UNKNOWN: S.PENDING,
            E.SUBMIT_UNKNOWN: S.IN_DOUBT,
            E.SUBMIT_INTERRUPTED: S.IN_DOUBT,
        },
        S.IN_DOUBT: {
            E.DOUBT_ADOPTED: S.SUBMITTED,
            E.DOUBT_CLEARED: S.READY,
            E.DOUBT_DROPPED: S.FAILED,
            E.CANCELLED: S.CANCELLED,
        },
        S.SUBMITTED: {
            E.TASK_SUCCEEDED: S.RENDERED,
            E.TASK_OVERDUE: S.SUBMITTED,
            E.TASK_FAILED: S.FAILED,
            E.TASK_LOST: S.FAILED,
            E.RENDER_AGAIN: S.READY,
            E.CANCELLED: S.CANCELLED,
        },
        S.RENDERED: {
            E.DOWNLOADED: S.DONE,
            E.DOWNLOAD_FAILED: S.FAILED,
        },
        S.DONE: {**_REVIVE, E.FILE_GONE: S.SUBMITTED, E.MOVED: S.DONE},
        S.FAILED: _REVIVE,
        S.CANCELLED: {**_REVIVE, **_STILL_RENDERING},
    }
)
"""From state, by event, to state. A pair that is not here cannot happen."""

VERDICT_OF: Mapping[E, Verdict] = MappingProxyType(
    {
        E.SUBMIT_ACCEPTED: Verdict.ACCEPTED,
        E.DOUBT_ADOPTED: Verdict.ACCEPTED,
        E.SUBMIT_REFUSED: Verdict.REFUSED,
        E.SUBMIT_POSTPONED: Verdict.REFUSED,
        E.SUBMIT_FILE_UNKNOWN: Verdict.REFUSED,
        E.DOUBT_CLEARED: Verdict.REFUSED,
        E.DOUBT_DROPPED: Verdict.UNKNOWN,
        E.SUBMIT_UNKNOWN: Verdict.UNKNOWN,
        E.SUBMIT_INTERRUPTED: Verdict.UNKNOWN,
    }
)
"""What an event says about the job's current attempt, where it says anything."""

TASK_ENDED = frozenset({E.TASK_SUCCEEDED, E.TASK_FAILED, E.TASK_LOST, E.RENDER_AGAIN})
"""Events that end the vendor's task: its slot is free, nobody asks about it any more."""


def next_state(state: State, event: E, *, job: JobId | None = None) -> State:
    """The state that ``event`` leads to from ``state``.

    Raises:
        IllegalTransition: the table has no such pair; names job, state and event.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(job, state, event) from None
