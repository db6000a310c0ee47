"""What an operator may do to one job: one rule for each command, in every state. Pure.

Nothing here pays twice: a job comes back to life from what is already held, and whoever may have
been paid for is refused with the way out. Only ``resubmit`` takes the risk of a second payment,
because the operator asked for it by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, assert_never

from orchestrator.core.diff import KEPT_BY_VENDOR_S
from orchestrator.core.retry import how_to_revive
from orchestrator.core.state import TASK_ENDED
from orchestrator.model import AttemptKey, Event, EventKind, Job, State

NO_URL = "task:no_url"
"""The reason of a task that the vendor calls a success without naming a video."""


class Happened(Protocol):
    """An event as a store keeps it."""

    @property
    def before(self) -> State:
        """The state that it found."""

    @property
    def after(self) -> State:
        """The state that it left behind."""

    @property
    def event(self) -> Event:
        """The fact itself."""

    @property
    def attempt(self) -> AttemptKey | None:
        """The attempt that it was about, None if about none."""


class Effect(StrEnum):
    """What a command does to one job."""

    CHANGE = "change"  # an event moves it
    LEAVE = "leave"  # there is nothing to do
    REFUSE = "refuse"  # it cannot or must not be done; the words say what to do instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The effect, a phrase that says what happens or why not, and the event of a CHANGE.

    ``warning``: what the operator has to know before agreeing; "" if nothing. ``note``: what is
    kept with the event.
    """

    effect: Effect
    words: str
    kind: EventKind | None = None
    warning: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a rule needs to know besides the job.

    ``files_live``: all its assets have file ids. ``task_may_deliver``: it has a task that did not
    end badly. ``task_lost``: its task ended as lost, not as failed. ``doubt_open``: it was given
    up while the fate of its submit was unknown. ``file_there``: its video is at its output path.
    """

    files_live: bool
    task_may_deliver: bool
    task_lost: bool
    doubt_open: bool
    file_there: bool


def facts_of(job: Job, history: Sequence[Happened], *, files_live: bool, file_there: bool) -> Facts:
    """Read the facts from the history of the job's current attempt.

    A task that is called a success but names no video was probably charged: it is asked about
    once more, for nothing, before it counts as lost.
    """
    mine = [h.event for h in history if job.attempt is not None and h.attempt == job.attempt]
    end = _bad_end(mine)
    no_url = [e for e in mine if e.kind is EventKind.TASK_LOST and e.reason == NO_URL]
    ask_again = len(no_url) == 1 and end is no_url[0]
    return Facts(
        files_live=files_live,
        task_may_deliver=job.task_id is not None and (end is None or ask_again),
        task_lost=end is not None and end.kind is EventKind.TASK_LOST,
        doubt_open=job.task_id is None and _doubt_open(mine),
        file_there=file_there,
    )


def _bad_end(events: Sequence[Event]) -> Event | None:
    """The event that ended the task badly, None if it did not."""
    ends = [e for e in events if e.kind in TASK_ENDED]
    return ends[-1] if ends and ends[-1].kind is not EventKind.TASK_SUCCEEDED else None


_SETTLES = frozenset(
    {
        EventKind.DOUBT_ADOPTED,
        EventKind.DOUBT_CLEARED,
        EventKind.RETRY_SUBMIT,
        EventKind.RETRY_UPLOAD,
        EventKind.REVISED,
    }
)
_RAISES = frozenset({EventKind.SUBMIT_UNKNOWN, EventKind.SUBMIT_INTERRUPTED})


def _doubt_open(events: Sequence[Event]) -> bool:
    """Whether the submit's fate is unknown and nobody has taken the risk of another since."""
    found = [e.kind in _RAISES for e in events if e.kind in _RAISES | _SETTLES]
    return bool(found) and found[-1]


def retry(job: Job, facts: Facts, now: float) -> Ruling:
    """Bring a failed or cancelled job back, or a done one whose file is gone; free where it can."""
    match job.state:
        case State.FAILED | State.CANCELLED:
            return _revive(job, facts)
        case State.DONE:
            return _fetch_again(job, facts, now)
        case State.IN_DOUBT:
            return _refuse("in doubt: a task may exist and may be billed. Settle it with 'resolve'")
        case State.SUBMITTING:
            return _leave("a paid request is on its way")
        case State.PENDING | State.READY:
            return _leave("not submitted yet: a run makes it anyway")
        case State.SUBMITTED | State.RENDERED:
            return _leave("its task is known: a run goes on with it anyway")
        case _:
            assert_never(job.state)


def _revive(job: Job, facts: Facts) -> Ruling:
    if facts.doubt_open:
        return _refuse(
            "given up while its submit was in doubt: a task may exist and may be billed. "
            "'resolve' takes a task id, or --resubmit"
        )
    kind = how_to_revive(task_may_deliver=facts.task_may_deliver, files_live=facts.files_live)
    if kind is EventKind.RETRY_POLL:
        return _change(kind, f"task {job.task_id} is asked about again, which costs nothing")
    if job.orphan:
        return _refuse("it left the manifest, so no run would submit it; put it back, then run")
    again = f"submitted anew{'' if facts.files_live else ' after its files are uploaded'}"
    return _change(kind, again, _cost_of_anew(job, facts))


def _cost_of_anew(job: Job, facts: Facts) -> str:
    if job.task_id is None:
        return ""
    if facts.task_lost:
        return "the new task is paid for, and the lost one may have been charged too"
    return "the new task is paid for; the vendor does not charge for one that failed"


def _fetch_again(job: Job, facts: Facts, now: float) -> Ruling:
    if facts.file_there:
        return _leave("done, and its file is there")
    age_s = None if job.accepted_at is None else now - job.accepted_at
    if facts.task_may_deliver and age_s is not None and age_s < KEPT_BY_VENDOR_S:
        words = f"its file is gone: fetched again from task {job.task_id}, which costs nothing"
        return _change(EventKind.FILE_GONE, words)
    return _refuse(
        "its file is gone and the vendor keeps videos for 7 days only; to make and pay for it "
        "anew, give it another id in the manifest"
    )


def cancel(job: Job) -> Ruling:
    """Give a job up. What the vendor has begun cannot be stopped."""
    match job.state:
        case State.PENDING | State.READY:
            words = "cancelled before it was submitted"
            return _change(EventKind.CANCELLED, words, note="by an operator, before its submit")
        case State.SUBMITTED if job.revised:
            return _refuse(
                "its manifest entry was changed and waits for this video; cancel it when the "
                "video has come"
            )
        case State.SUBMITTED:
            warning = (
                f"the vendor cannot be told: it goes on with task {job.task_id} and will charge "
                "for it; the task is watched until its slot is free"
            )
            note = "by an operator, while the vendor was making it"
            words = "cancelled; its video is not fetched"
            return _change(EventKind.CANCELLED, words, warning, note)
        case State.IN_DOUBT:
            warning = (
                "the vendor cannot be told: if it made a task it will charge for it; the search "
                "for that task ends"
            )
            note = "by an operator, while in doubt"
            return _change(EventKind.CANCELLED, "cancelled while in doubt", warning, note)
        case State.SUBMITTING:
            return _refuse("a paid request is on its way; try again in a moment")
        case State.RENDERED:
            return _leave("its video is finished and paid for: a run downloads it")
        case State.DONE | State.FAILED | State.CANCELLED:
            return _leave(f"{job.state.value} already")
        case _:
            assert_never(job.state)


def resubmit(job: Job, facts: Facts) -> Ruling:
    """The operator says that no task was made (or takes the risk): submit it anew."""
    warning = "if the vendor made a task all the same, this one is paid for a second time"
    if job.state is State.IN_DOUBT and job.task_id is not None:
        return _refuse(f"the answer came late: its task is {job.task_id}; a run goes on with it")
    if job.state is State.IN_DOUBT:
        note = "an operator says that no task was made"
        words = "no longer in doubt: submitted anew"
        return _change(EventKind.DOUBT_CLEARED, words, warning, note)
    if not _given_up(job, facts):
        return _not_in_doubt(job)
    if job.orphan:
        return _refuse("it left the manifest, so no run would submit it; put it back, then run")
    kind = how_to_revive(task_may_deliver=False, files_live=facts.files_live)
    return _change(kind, "given up while in doubt: submitted anew", warning)


def drop(job: Job, facts: Facts) -> Ruling:
    """The operator gives a job in doubt up."""
    if job.state is State.IN_DOUBT:
        warning = "if the vendor made a task it will charge for it, and the search for it ends"
        note = "given up by an operator while in doubt: a task may exist and may be billed"
        words = "given up: failed, not submitted again"
        return _change(EventKind.DOUBT_DROPPED, words, warning, note)
    if _given_up(job, facts):
        return _leave("given up already")
    return _not_in_doubt(job)


def adopt(job: Job, facts: Facts) -> Ruling:
    """The operator knows the task of a job in doubt: go on with it, for nothing."""
    if job.state is State.IN_DOUBT:
        return _change(EventKind.DOUBT_ADOPTED, "no longer in doubt: its task is known")
    if _given_up(job, facts):
        return _change(EventKind.RETRY_POLL, "brought back: its task is known")
    return _not_in_doubt(job)


def _given_up(job: Job, facts: Facts) -> bool:
    return facts.doubt_open and job.state in (State.FAILED, State.CANCELLED)


def _not_in_doubt(job: Job) -> Ruling:
    if job.state is State.SUBMITTING:
        return _refuse("a paid request is on its way; look again in a moment")
    return _leave(f"not in doubt but {job.state.value}: there is nothing to resolve")


def _change(kind: EventKind, words: str, warning: str = "", note: str = "") -> Ruling:
    return Ruling(effect=Effect.CHANGE, words=words, kind=kind, warning=warning, note=note)


def _leave(words: str) -> Ruling:
    return Ruling(effect=Effect.LEAVE, words=words)


def _refuse(words: str) -> Ruling:
    return Ruling(effect=Effect.REFUSE, words=words)
