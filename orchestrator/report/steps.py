"""What to type next, after a run and for a batch as it stands: commands, each with what it does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.core.outage import Stop
from orchestrator.model import State
from orchestrator.report import figures
from orchestrator.report.commands import Typing

_LEFT = (State.PENDING, State.READY, State.SUBMITTED, State.RENDERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """How a batch stands, as far as it decides what to type.

    ``counts``: jobs by state. ``left_out``: jobs that the last run was told not to start.
    ``given_up``: so many of the failed ones were given up in doubt; --retry-failed leaves them
    alone, since a task of theirs may be billed. ``cut_off``: the last run was killed.
    ``out_of_credit``: it ended for want of budget or credit. ``doubtful``: one of the jobs in
    doubt. ``budget`` and ``max_credits``: the limits that the run had.
    """

    counts: Mapping[State, int]
    overdue: int = 0
    stops: Collection[Stop] = ()
    left_out: int = 0
    given_up: int = 0
    cut_off: bool = False
    out_of_credit: bool = False
    doubtful: str = "JOB"
    budget: float | None = None
    max_credits: float | None = None


def next_steps(now: Situation, typing: Typing) -> tuple[str, ...]:
    """Commands to type next, each with what it does, the most useful first."""
    return (
        *_before(now, typing),
        *_again(now, typing),
        *_failed(now, typing),
        *_in_doubt(now, typing),
        *_left_out(now, typing),
    )


def _before(now: Situation, typing: Typing) -> Iterator[str]:
    """What has to be done first, or the same run would stop again."""
    if Stop.AUTH in now.stops:
        yield "check TOPVIEW_API_KEY and TOPVIEW_UID"
    if Stop.CREDIT in now.stops:
        yield "buy credit for the account first: without it a run stops again at once"
    if Stop.BUDGET in now.stops and now.budget is not None:
        raise_it = f"raise budget.credits in {typing.manifest} (now {figures.credits(now.budget)})"
        perhaps = "" if now.max_credits is None else ", unless only --max-credits is spent"
        yield f"{raise_it}: it does not cover the next job{perhaps}"


def _again(now: Situation, typing: Typing) -> Iterator[str]:
    if why := _why_again(now):
        more = ("--max-credits", "N") if _by_max_credits(now) else ()
        yield f"{typing.run(*more)}    # {why}"


def _why_again(now: Situation) -> str:
    """What typing the run again does, "" if there is nothing left to do."""
    left = any(now.counts.get(state, 0) for state in _LEFT)
    if now.cut_off and (left or now.counts.get(State.SUBMITTING, 0)):
        return "goes on where the last run was cut off"
    if not left:
        return ""
    if _by_max_credits(now):
        spent = figures.credits(now.max_credits or 0.0)
        return f"goes on; N: what that run may cost (this one: {spent})"
    if {Stop.BUDGET, Stop.CREDIT} & set(now.stops):
        return "then goes on where this run stopped"
    if now.out_of_credit:
        return "goes on, once budget.credits is raised or credit is bought"
    if now.overdue:
        return "asks about the overdue tasks again"
    return "goes on where this run stopped"


def _by_max_credits(now: Situation) -> bool:
    """Whether the run's own limit may be what stopped it."""
    return Stop.BUDGET in now.stops and now.max_credits is not None


def _failed(now: Situation, typing: Typing) -> Iterator[str]:
    failed = now.counts.get(State.FAILED, 0)
    if failed:
        yield f"{typing.jobs('--in', 'failed')}    # shows why they failed"
    if failed > now.given_up:
        yield f"{typing.run('--retry-failed')}    # tries the failed jobs again"
    if now.given_up:
        does = f"says how 'resolve' brings back what was given up in doubt ({now.given_up})"
        yield f"{typing.of_job('why', 'JOB')}    # {does}"


def _in_doubt(now: Situation, typing: Typing) -> Iterator[str]:
    # What a killed run was submitting is in doubt only when the next run has looked at it.
    submitting = 0 if now.cut_off else now.counts.get(State.SUBMITTING, 0)
    doubt = now.counts.get(State.IN_DOUBT, 0)
    if not doubt + submitting:
        return
    if doubt + submitting > 1:
        yield f"{typing.jobs('--in', 'in_doubt')}    # shows the jobs in doubt"
    does = "tells what is known of it, and which 'resolve' settles it"
    yield f"{typing.of_job('why', now.doubtful)}    # {does}"
    if doubt:
        does = "settles it, once you know its task (or --resubmit, --drop)"
        yield f"{typing.of_job('resolve', now.doubtful, '--task-id', 'ID')}    # {does}"


def _left_out(now: Situation, typing: Typing) -> Iterator[str]:
    if now.left_out:
        does = f"makes the {figures.number(now.left_out)} not selected this time, too"
        yield f"{typing.run()}    # {does}"
