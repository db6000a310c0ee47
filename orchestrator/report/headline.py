"""The one line that an operator reads the next morning."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from orchestrator.core.outage import Stop
from orchestrator.model import State
from orchestrator.report.told import NOTHING, Told

_STOP_WORDS: Mapping[Stop, str] = {
    Stop.CREDIT: "stopped: the vendor says there is not enough credit",
    Stop.BUDGET: "stopped: the budget does not cover the next job",
    Stop.WINDOW: "stopped: its time was up",
    Stop.AUTH: "stopped: the vendor refused the credentials",
    Stop.GATEWAY: "stopped: the vendor's address turned the request away",
    Stop.STREAK: "stopped: too many failures in a row for one reason",
    Stop.SIGINT: "interrupted",
    Stop.SIGTERM: "terminated",
    Stop.STORE: "stopped: the state store cannot be written",
    Stop.BUG: "stopped by an unexpected error",
}
_LEFT = (State.PENDING, State.READY, State.SUBMITTED, State.RENDERED)


def headline(
    batch: str,
    counts: Mapping[State, int],
    *,
    overdue: int,
    stops: Collection[Stop],
    did: int,
    told: Told = NOTHING,
) -> str:
    """How a run ended. ``counts``: selected jobs by state; ``did``: uploads, submits, downloads;
    ``told``: which jobs it was told to leave out."""
    total = sum(counts.values())
    if told.jobs and not total and not stops:
        return f"{batch}: nothing to do: {_all_left_out(told)}"
    done = counts.get(State.DONE, 0)
    reason = "; ".join(_STOP_WORDS[stop] for stop in stops)
    if total and done == total and not stops:
        if did:
            return f"{batch}: all {_videos(total)} done"
        return (
            f"{batch}: nothing to do: all {_videos(total)} were done before; "
            "nothing was uploaded, submitted or downloaded"
        )
    parts = [f"{done} of {_videos(total)} done", *_rest(counts, overdue)]
    return f"{batch}: {reason}; {', '.join(parts)}" if reason else f"{batch}: {', '.join(parts)}"


def _all_left_out(told: Told) -> str:
    if told.existing == told.jobs:
        every = "the only job was" if told.jobs == 1 else f"all {told.jobs} jobs were"
        return f"{every} left out, since the output files exist (--skip-existing)"
    by = [*told.by, *(["--skip-existing"] if told.existing else [])]
    return f"every job was left out ({', '.join(by)})" if by else "every job was left out"


def _videos(count: int) -> str:
    return "1 video" if count == 1 else f"{count} videos"


def _rest(counts: Mapping[State, int], overdue: int) -> list[str]:
    doubt = counts.get(State.IN_DOUBT, 0) + counts.get(State.SUBMITTING, 0)
    left = sum(counts.get(state, 0) for state in _LEFT) - overdue
    parts = [
        (counts.get(State.FAILED, 0), "failed"),
        (doubt, "in doubt (perhaps paid for; never sent again blindly)"),
        (overdue, "overdue at the vendor"),
        (left, "still to do"),
        (counts.get(State.CANCELLED, 0), "cancelled"),
    ]
    return [f"{count} {word}" for count, word in parts if count > 0]
