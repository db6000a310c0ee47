"""Which task belongs to which attempt in doubt: evidence in, settlements out. Never a guess.

A submit whose reply was lost may have made a task. The vendor offers no list of tasks, but its
credit log names those that were charged, and a query shows the file ids that a task was made
from. A task is proof for an attempt only when nothing speaks against it and no other pairing is
possible:

* it began no earlier than the attempt could have;
* every file id that the query shows is the attempt's own;
* it fits exactly one unsettled attempt of the account, and that attempt fits exactly one
  unclaimed task; or all attempts and tasks that could be mixed up are alike in everything that
  is paid for, and there are no more attempts than tasks: then either task is right for either.

Anything less certain is named for the operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.model import AttemptKey, FileId, OnDoubt, Revision, TaskId

SLACK_S = 900.0
"""A task may be logged so much earlier than its attempt began: clocks differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """An unsettled attempt. ``started_at`` is Unix seconds on the vendor's clock.

    ``video`` and ``audio`` are the file ids that were sent and that a query would show; None if
    none was sent (text, or an avatar by id or picture).
    """

    attempt: AttemptKey
    revision: Revision
    started_at: float
    video: FileId | None = None
    audio: FileId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclaimed:
    """A task of the account that no attempt owns. ``logged_at`` is Unix seconds, vendor's clock.

    ``video`` and ``audio`` are the file ids that the query shows, None where it shows none.
    """

    task_id: TaskId
    logged_at: float
    video: FileId | None = None
    audio: FileId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A task that surely belongs to an attempt, and why."""

    attempt: AttemptKey
    task_id: TaskId
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a look at the evidence came to.

    ``open``: for each attempt that stays in doubt, the tasks that could be its own (none: no
    trace of it was found).
    """

    settled: tuple[Settlement, ...] = ()
    open: dict[AttemptKey, tuple[TaskId, ...]]


def could_be(doubt: Doubt, task: Unclaimed) -> bool:
    """Whether nothing speaks against the task being the attempt's."""
    if task.logged_at < doubt.started_at - SLACK_S:
        return False
    return _agrees(task.video, doubt.video) and _agrees(task.audio, doubt.audio)


def _agrees(shown: FileId | None, sent: FileId | None) -> bool:
    return shown is None or shown == sent


def settle(doubts: Sequence[Doubt], tasks: Sequence[Unclaimed]) -> Findings:
    """Pair attempts with tasks where only one pairing is possible (or none is better)."""
    fits = {d.attempt: [t for t in tasks if could_be(d, t)] for d in doubts}
    rivals = {t.task_id: [d for d in doubts if t in fits[d.attempt]] for t in tasks}
    settled: list[Settlement] = []
    taken: set[TaskId] = set()
    for doubt in doubts:
        pairing = _pairing(doubt, fits[doubt.attempt], rivals, taken)
        if pairing is not None:
            settled.append(pairing)
            taken.add(pairing.task_id)
    done = {s.attempt for s in settled}
    still = {
        d.attempt: tuple(t.task_id for t in fits[d.attempt] if t.task_id not in taken)
        for d in doubts
        if d.attempt not in done
    }
    return Findings(settled=tuple(settled), open=still)


def _pairing(
    doubt: Doubt,
    candidates: Sequence[Unclaimed],
    rivals: dict[TaskId, list[Doubt]],
    taken: set[TaskId],
) -> Settlement | None:
    """The task for this attempt, if it is certain."""
    if len(candidates) == 1 and rivals[candidates[0].task_id] == [doubt]:
        evidence = _words(doubt, candidates[0])
        task_id = candidates[0].task_id
        return Settlement(attempt=doubt.attempt, task_id=task_id, evidence=evidence)
    group = {d.attempt: d for t in candidates for d in rivals[t.task_id]}
    same_tasks = all(len(rivals[t.task_id]) == len(group) for t in candidates)
    alike = all(_alike(d, doubt) for d in group.values())
    if not candidates or not alike or not same_tasks or len(candidates) != len(group):
        return None
    free = [t for t in candidates if t.task_id not in taken]
    evidence = (
        f"{len(group)} submits alike in everything that is paid for, and as many tasks: "
        "each is right for each"
    )
    return Settlement(attempt=doubt.attempt, task_id=free[0].task_id, evidence=evidence)


def _alike(one: Doubt, other: Doubt) -> bool:
    return one.revision == other.revision


def _words(doubt: Doubt, task: Unclaimed) -> str:
    shown = [
        name
        for name, file_id in (("video", task.video), ("audio", task.audio))
        if file_id is not None
    ]
    if shown:
        return f"the only unclaimed task with this job's uploaded {' and '.join(shown)}"
    return "the only unclaimed task, for the only submit in doubt that it can belong to"


def may_resubmit(
    *,
    on_doubt: OnDoubt,
    started_at: float,
    horizon_s: float,
    deadline_s: float,
    log_read_at: float | None,
    candidates: int,
) -> bool:
    """Whether an attempt in doubt may be sent anew after ``doubt_horizon``.

    Only if the user asked for it, the horizon is not shorter than ``task_deadline`` (a task may
    be charged only when it succeeds), the whole log was read after the horizon ended
    (``log_read_at``, same clock as ``started_at``), and no unclaimed task could be this one.
    """
    if on_doubt is not OnDoubt.RESUBMIT or horizon_s < deadline_s:
        return False
    return log_read_at is not None and log_read_at >= started_at + horizon_s and candidates == 0
