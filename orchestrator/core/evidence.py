"""What there is to go by in the search for the task of a submit in doubt, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from orchestrator.core.spans import age, credits, moment
from orchestrator.model import TaskId

MOST_CANDIDATES = 5
"""So many tasks that could be the job's own are named; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """A line of the credit log about a candidate: ``at`` in Unix seconds on this machine's clock;
    ``credits`` None where they are not known."""

    task_id: TaskId
    at: float
    credits: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A submit in doubt: of which job (BATCH/ID), and when it was sent, in Unix seconds."""

    name: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the search for the task of an attempt in doubt has to go by.

    ``log_read_at``: when the credit log was last read whole, None if never. ``notice``: a task
    that a webhook named. ``certain``: a task that the evidence settles it with, at the next look.
    ``candidates``: unclaimed tasks that could be its own; ``billed``: what the log says of them.
    ``rivals``: other submits in doubt that could have made one of them; ``contenders``: the names
    of those, this one among them, the earliest first.
    """

    log_read_at: float | None = None
    notice: TaskId | None = None
    certain: TaskId | None = None
    candidates: tuple[TaskId, ...] = ()
    billed: tuple[Billed, ...] = ()
    rivals: int = 0
    contenders: tuple[Rival, ...] = ()


NOTHING = Looked()
"""Nobody has looked."""


class View(Protocol):
    """Who looks: ``name`` is BATCH/ID of the job, ``now`` Unix seconds, ``zone`` as in a scene."""

    @property
    def name(self) -> str:
        """BATCH/ID."""

    @property
    def now(self) -> float:
        """Unix seconds."""

    @property
    def zone(self) -> tzinfo | None:
        """None is the machine's own."""


def evidence(looked: Looked, began: float | None, view: View) -> list[str]:
    """What has been looked at so far for the attempt that ``began`` then, in sentences."""
    lines = []
    if looked.notice is not None:
        lines.append(
            f"A webhook notice with this attempt's own token names task {looked.notice}; it "
            "counts when the vendor confirms it."
        )
    if looked.log_read_at is None or (began is not None and looked.log_read_at < began):
        lines.append("The account's credit log has not been read whole since the submit began.")
    else:
        at = f"{moment(looked.log_read_at, view.zone)} ({age(view.now - looked.log_read_at)})"
        lines.append(f"The account's credit log was last read whole at {at}.")
    return [*lines, _candidates(looked), *_told_apart(looked, view)]


def _candidates(looked: Looked) -> str:
    if looked.certain is not None:
        return (
            f"The evidence names task {looked.certain}: the next look settles it, nothing is paid "
            "again."
        )
    if not looked.candidates:
        return "No charged task without an owner could be this job's: no trace of one was found."
    shown = ", ".join(looked.candidates[:MOST_CANDIDATES])
    more = len(looked.candidates) - MOST_CANDIDATES
    shown += f" and {more} more" if more > 0 else ""
    if len(looked.candidates) > 1:
        return (
            f"Several charged tasks without an owner could be its own, it is open which: {shown}."
        )
    why = (
        f"{looked.rivals} other submits in doubt could have made it too"
        if looked.rivals > 1
        else "another submit in doubt could have made it too"
        if looked.rivals
        else "not enough is known of it yet"
    )
    return f"One charged task without an owner could be its own: {shown}. It is not certain: {why}."


def _told_apart(looked: Looked, view: View) -> list[str]:
    """What helps an operator to tell several candidates, or several jobs in doubt, apart."""
    if looked.certain is not None or not looked.candidates:
        return []
    return [
        *(_bill(line, view) for line in looked.billed[:MOST_CANDIDATES]),
        *([_order(looked.contenders, view)] if len(looked.contenders) > 1 else []),
        "The vendor's site shows what each task made; 'resolve --task-id' settles the job with the "
        "one that is its own.",
    ]


def _order(contenders: Sequence[Rival], view: View) -> str:
    """Who was first."""
    shown = [
        f"{rival.name}{' (this one)' if rival.name == view.name else ''} at "
        f"{moment(rival.at, view.zone)}"
        for rival in contenders[:MOST_CANDIDATES]
    ]
    more = len(contenders) - MOST_CANDIDATES
    shown += [f"and {more} more"] if more > 0 else []
    return (
        "Submits in doubt that could have made it, the first one first: "
        f"{'; '.join(shown)}. Tasks may be charged in another order."
    )


def _bill(line: Billed, view: View) -> str:
    cost = "charged" if line.credits is None else f"charged {credits(line.credits)}"
    at = f"{moment(line.at, view.zone)} ({age(view.now - line.at)})"
    return f"Task {line.task_id}: {cost} at {at}."
