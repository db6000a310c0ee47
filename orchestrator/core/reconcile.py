"""Which task belongs to which attempt in doubt: evidence in, settlements out. Never a guess.

A submit whose reply was lost may have made a task. The vendor offers no list of tasks, but its
credit log names those that were charged, and a query shows the file ids that a task was made
from. Two questions are asked of an attempt and a task:

* :func:`could_be`: does nothing speak against it? It began no earlier than the attempt could
  have, and no file id that the query shows is another than the attempt's. As long as such a task
  exists, nothing is sent again.
* :func:`proves`: does something speak for it? The query shows a file id of the attempt's own (a
  file id comes from our own upload, so no other tool's task can have it), or neither has any.

A task settles an attempt when it proves it, and no other pairing is possible: it could be no
other unsettled attempt's (of the whole account), and no other task proves this attempt. Attempts
that are alike in everything that is paid for may be settled with each other's tasks. Each
settlement leaves fewer pairings, so the rest is looked at again until nothing more is certain.
What stays open is named for the operator.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.model import Attempt, AttemptKey, FileId, OnDoubt, Revision, TaskId

SLACK_S = 900.0
"""A task may be logged so much earlier than its attempt began: clocks differ."""


class Unanswered(Protocol):
    """An attempt of unknown fate, as the store keeps it.

    ``job`` is None where nobody waits for it any more: it is a possible owner of a task all the
    same. ``clock_offset_s``: the vendor's clock minus ours when it began.
    """

    @property
    def attempt(self) -> Attempt:
        """What was sent, and when."""

    @property
    def job(self) -> object | None:
        """Who waits for it."""

    @property
    def clock_offset_s(self) -> float:
        """Seconds."""


class Charged(Protocol):
    """A line of the credit log about a task without an owner."""

    @property
    def task_id(self) -> TaskId:
        """Which task."""

    @property
    def charged_at(self) -> float:
        """Unix seconds on the vendor's clock."""


class Shown(Charged, Protocol):
    """Such a task of which a query has told something."""

    @property
    def video_file_id(self) -> FileId | None:
        """None where the query shows none."""

    @property
    def audio_file_id(self) -> FileId | None:
        """None where the query shows none."""


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
    ``blank``: no query has told anything of it yet, so it could be anybody's and proves nothing.
    """

    task_id: TaskId
    logged_at: float
    video: FileId | None = None
    audio: FileId | None = None
    blank: bool = False


REST_OF_LOG = Unclaimed(task_id=TaskId("(not read)"), logged_at=math.inf, blank=True)
"""What a log that was not read to its end may hold besides what was seen of it."""


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


def began(attempt: Unanswered) -> float:
    """When the attempt began, on the vendor's clock."""
    return attempt.attempt.started_at + attempt.clock_offset_s


def log_since(attempts: Iterable[Unanswered]) -> float:
    """From when on (vendor's clock) the credit log may name tasks of these attempts (>= 1)."""
    return min(map(began, attempts)) - SLACK_S


def weigh(
    every: Sequence[Unanswered],
    seen: Iterable[Shown],
    unseen: Iterable[Charged],
    *,
    whole_log: bool,
) -> Findings:
    """What the stored evidence comes to: the one judgement of a run and of ``why``.

    ``every``: the account's unsettled attempts, oldest first; those that a job waits for are
    served before the others. ``seen``: tasks without an owner that a query has described,
    ``unseen``: those of which nothing is known, so that they could be anybody's. ``whole_log``:
    no line of the credit log is missing.
    """
    waiting_first = sorted(every, key=lambda attempt: attempt.job is None)
    rest = [] if whole_log else [REST_OF_LOG]
    found = settle(
        list(map(doubt_of, waiting_first)), [*map(task_of, seen), *map(blank_of, unseen), *rest]
    )
    named = {
        attempt: tuple(task for task in tasks if task != REST_OF_LOG.task_id)
        for attempt, tasks in found.open.items()
    }
    return Findings(settled=found.settled, open=named)


def doubt_of(attempt: Unanswered) -> Doubt:
    """An attempt as evidence is compared with it."""
    sent = attempt.attempt
    return Doubt(
        attempt=sent.key,
        revision=sent.revision,
        started_at=began(attempt),
        video=sent.video_file_id,
        audio=sent.audio_file_id,
    )


def task_of(task: Shown) -> Unclaimed:
    """A task as a query described it."""
    return Unclaimed(
        task_id=task.task_id,
        logged_at=task.charged_at,
        video=task.video_file_id,
        audio=task.audio_file_id,
    )


def blank_of(task: Charged) -> Unclaimed:
    """A task of which nothing is known could be anybody's."""
    return Unclaimed(task_id=task.task_id, logged_at=task.charged_at, blank=True)


def could_be(doubt: Doubt, task: Unclaimed) -> bool:
    """Whether nothing speaks against the task being the attempt's."""
    if task.logged_at < doubt.started_at - SLACK_S:
        return False
    return _agrees(task.video, doubt.video) and _agrees(task.audio, doubt.audio)


def _agrees(shown: FileId | None, sent: FileId | None) -> bool:
    return shown is None or shown == sent


def proves(doubt: Doubt, task: Unclaimed) -> bool:
    """Whether the task could be the attempt's and shows one of its file ids, or neither has any.

    A task that hides the files that were sent is possible but proves nothing.
    """
    if not could_be(doubt, task):
        return False
    sent = doubt.video is not None or doubt.audio is not None
    shown = task.video is not None or task.audio is not None
    return sent == shown


def settle(doubts: Sequence[Doubt], tasks: Sequence[Unclaimed]) -> Findings:
    """Pair attempts with tasks as far as it is certain. Earlier attempts are served first."""
    waiting, free = list(doubts), list(tasks)
    settled: list[Settlement] = []
    while (found := _next_settlement(waiting, free)) is not None:
        settled.append(found)
        waiting = [d for d in waiting if d.attempt != found.attempt]
        free = [t for t in free if t.task_id != found.task_id]
    still = {d.attempt: tuple(t.task_id for t in free if could_be(d, t)) for d in waiting}
    return Findings(settled=tuple(settled), open=still)


def _next_settlement(doubts: Sequence[Doubt], tasks: Sequence[Unclaimed]) -> Settlement | None:
    for doubt in doubts:
        proofs = [t for t in tasks if proves(doubt, t)]
        if not proofs or any(task.blank for task in proofs):
            continue
        group = [d for d in doubts if any(_rival(d, t) for t in proofs)]
        alike = all(d.revision == doubt.revision for d in group)
        if alike and _share(group, proofs) and not _too_many(group, tasks):
            return Settlement(
                attempt=doubt.attempt,
                task_id=proofs[0].task_id,
                evidence=_words(proofs[0], len(group)),
            )
    return None


def _rival(doubt: Doubt, task: Unclaimed) -> bool:
    """Whether the attempt contends for the task: a task that shows file ids belongs to an attempt
    that sent them; one that shows none could be anybody's."""
    if task.video is None and task.audio is None:
        return could_be(doubt, task)
    return proves(doubt, task)


def _share(group: Sequence[Doubt], proofs: Sequence[Unclaimed]) -> bool:
    """Whether each of the tasks would be right for each of the attempts."""
    return all(proves(d, t) for d in group for t in proofs)


def _too_many(group: Sequence[Doubt], tasks: Sequence[Unclaimed]) -> bool:
    """Whether there are more tasks than these attempts can have made: some are somebody else's."""
    return sum(any(proves(d, t) for d in group) for t in tasks) > len(group)


def _words(task: Unclaimed, attempts: int) -> str:
    shown = [
        name
        for name, file_id in (("video", task.video), ("audio", task.audio))
        if file_id is not None
    ]
    if attempts > 1:
        return f"one of {attempts} submits alike in all that is paid for: right for each of them"
    if shown:
        return f"the only task in the credit log with this job's uploaded {' and '.join(shown)}"
    return "the only unclaimed task in the credit log that any submit in doubt can have made"


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
