"""The one line that an operator reads the next morning, and the commands to type next."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from orchestrator.core.outage import Stop
from orchestrator.model import State

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
) -> str:
    """How a run ended. ``counts``: selected jobs by state; ``did``: uploads, submits, downloads."""
    total = sum(counts.values())
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


def next_steps(
    batch: str,
    counts: Mapping[State, int],
    *,
    overdue: int,
    again: str,
    stops: Collection[Stop],
    flags: str = "",
    left_out: int = 0,
    given_up: int = 0,
    cut_off: bool = False,
) -> tuple[str, ...]:
    """Commands to type next, each with what it does.

    ``again`` is the run command without --only, --limit and --sample; ``flags`` (" --state DIR"
    or "") goes with the others. ``left_out``: jobs that the run was told not to start.
    ``given_up``: so many of the failed ones were given up in doubt; --retry-failed leaves them
    alone, since a task of theirs may be billed. ``cut_off``: the last run was killed.
    """
    steps = [f"{again}    # {why}"] if (why := _why_again(counts, overdue, cut_off)) else []
    typed = f"{' --emulator' if ' --emulator' in again else ''}{flags}"
    if counts.get(State.FAILED, 0):
        steps.append(f"orchestrator jobs {batch} --in failed{flags}    # shows why they failed")
    if counts.get(State.FAILED, 0) > given_up:
        steps.append(f"{again} --retry-failed    # tries the failed jobs again")
    if given_up:
        does = f"says how 'resolve' brings back what was given up in doubt ({given_up})"
        steps.append(f"orchestrator why {batch}/JOB{typed}    # {does}")
    # What a killed run was submitting is in doubt only when the next run has looked at it.
    doubt = counts.get(State.IN_DOUBT, 0) + (0 if cut_off else counts.get(State.SUBMITTING, 0))
    if doubt:
        steps.append(f"orchestrator jobs {batch} --in in_doubt{flags}    # shows the jobs in doubt")
        steps.append(f"orchestrator why {batch}/JOB{typed}    # tells its history")
    if left_out:
        steps.append(f"{again}    # makes the {left_out} not selected this time, too")
    if Stop.AUTH in stops:
        steps.insert(0, "check TOPVIEW_API_KEY and TOPVIEW_UID")
    return tuple(steps)


def _why_again(counts: Mapping[State, int], overdue: int, cut_off: bool) -> str:
    """What typing the run again does, "" if there is nothing left to do."""
    if cut_off and any(counts.get(state, 0) for state in (*_LEFT, State.SUBMITTING)):
        return "goes on where the last run was cut off"
    if not any(counts.get(state, 0) for state in _LEFT):
        return ""
    return "asks about the overdue tasks again" if overdue else "goes on where this run stopped"
