"""How a run ended, as one number for cron and one reason for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from orchestrator.core.outage import Stop
from orchestrator.model import State

_BY_STOP: tuple[tuple[Stop, int], ...] = (
    (Stop.STORE, 9),
    (Stop.BUG, 1),
    (Stop.AUTH, 8),
    (Stop.SIGINT, 130),
    (Stop.SIGTERM, 143),
    (Stop.CREDIT, 5),
    (Stop.BUDGET, 5),
    (Stop.WINDOW, 6),
)


def exit_code(counts: Mapping[State, int], overdue: int, stops: Collection[Stop]) -> int:
    """The exit code of a run: the first that applies, in the order of ``docs/commands.md``.

    ``counts``: selected jobs that are no orphans, by state; ``overdue`` of those.
    """
    for stop, code in _BY_STOP:
        if stop in stops:
            return code
    if counts.get(State.IN_DOUBT, 0) or counts.get(State.SUBMITTING, 0) or overdue:
        return 4
    if counts.get(State.FAILED, 0) or Stop.STREAK in stops or Stop.GATEWAY in stops:
        return 3
    unfinished = {State.PENDING, State.READY, State.SUBMITTED, State.RENDERED} & counts.keys()
    return 1 if any(counts[state] for state in unfinished) else 0
