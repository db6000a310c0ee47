"""The vendor's tasks that this run watches: one small record each, and one schedule for all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from orchestrator.core.hazard import MOST_COUNTED, Sample, kinds_of
from orchestrator.core.outcome import TaskFate, TaskView
from orchestrator.core.polling import OVERDUE_WAIT_S, PollSchedule
from orchestrator.engine.flow import Flow, InFlight, Kinds, Young
from orchestrator.model import Event, EventKind, Job, JobKey, Settings, TaskId

LOST_AFTER = 4
"""A task that the vendor does not know is asked about so often before it counts as lost."""
LOST_WAIT_S = 10.0
"""Seconds between those questions (scaled): the vendor may be behind itself after a submit."""
SILENT_QUESTIONS = 3
"""So many unanswered questions past its deadline make a task overdue too."""
NO_URL_AFTER = 5
"""A success without a video is asked about so often before the job fails."""

HINT_AGE = 0.2
"""A task that somebody said had ended is believed to have ended so many poll intervals before."""

UNINFORMED = frozenset({TaskFate.NO_INFORMATION, TaskFate.BUSY, TaskFate.AUTH})
"""Answers that say nothing of the task, and so change nothing that is known of it."""


@dataclass(slots=True, kw_only=True)
class Watch:
    """One task and what was seen of it in this run. Times are monotonic seconds.

    ``stray``: the task of another batch of the account, which nobody runs now. It is watched
    because it holds a slot, and this run does not wait for it. ``born``: when the vendor accepted
    it, ``due``: when it is asked about next. ``known_s``: its age when it was last known to be
    unfinished, None for one that this run did not see begin: it teaches nothing. ``hinted_s``: its
    age when somebody said that it had ended. ``ran_from``, ``ran_until``: the first and the last
    question to which the answer was that it renders. ``sent``: when it was last asked about.
    """

    job: Job
    deadline: float
    kinds: Kinds = ("any",)
    born: float = 0.0
    due: float = 0.0
    known_s: float | None = None
    hinted_s: float | None = None
    sent: float = 0.0
    ran_from: float | None = None
    ran_until: float = 0.0
    asked: int = 0
    unknown: int = 0
    no_url: int = 0
    odd: str | None = None
    stray: bool = False

    @property
    def told_since_asked(self) -> bool:
        """Somebody said that it had ended, after the last question was sent."""
        return self.hinted_s is not None and self.born + self.hinted_s > self.sent


class Tasks:
    """All tasks whose end is awaited, by job."""

    def __init__(self, settings: Settings, flow: Flow) -> None:
        self._settings, self._flow = settings, flow
        self._scale = settings.limits.scale
        self.schedule = PollSchedule()
        self.watches: dict[JobKey, Watch] = {}
        self.changes = 0
        self._keys: dict[TaskId, JobKey] = {}
        self._overdue: set[JobKey] = set()
        self._unasked: set[JobKey] = set()
        self._strays: set[JobKey] = set()
        self._rendering: set[JobKey] = set()
        self._told: set[JobKey] = set()

    def adopt(
        self, job: Job, *, now: float, wall: float, at_once: bool, stray: bool = False
    ) -> None:
        """Watch the task of a `submitted` job. ``at_once``: ask now, it may have ended long ago."""
        allowed = self._settings.task_deadline_s
        elapsed = max(0.0, wall - (job.accepted_at if job.accepted_at is not None else wall))
        watch = Watch(
            job=job,
            deadline=now + allowed - elapsed,
            kinds=kinds_of(job.spec.mode, job.audio_s),
            born=now - elapsed,
            stray=stray,
        )
        self.watches[job.key] = watch
        self.changes += 1
        if stray:
            self._strays.add(job.key)
        if job.overdue:
            self._overdue.add(job.key)
            self._unasked.add(job.key)
        if job.task_id is not None:
            self._keys[job.task_id] = job.key
        self._ask(watch, now if at_once else now + self._flow_wait_s(watch, now))

    def began(self, key: JobKey) -> None:
        """This run has just made the task: it will teach how long such tasks take."""
        if key in self.watches:
            self.watches[key].known_s = 0.0

    def drop(self, key: JobKey) -> None:
        """The task has ended."""
        watch = self.watches.pop(key, None)
        if watch is not None and watch.job.task_id is not None:
            self._keys.pop(watch.job.task_id, None)
        self.changes += 1
        self.schedule.drop(key)
        for keys in (self._overdue, self._unasked, self._strays, self._rendering, self._told):
            keys.discard(key)

    def became_overdue(self, job: Job) -> None:
        """The task holds no slot any more, and is asked about rarely."""
        self.watches[job.key].job = job
        self.changes += 1
        self._overdue.add(job.key)

    def hint(self, task_id: TaskId, now: float) -> None:
        """Somebody says that this task has ended: ask now. Unknown tasks are nobody's business."""
        key = self._keys.get(task_id)
        if key is None:
            return
        watch = self.watches[key]
        watch.hinted_s = now - watch.born
        self._told.add(key)
        self.changes += 1
        if key in self.schedule:
            self._ask(watch, now)

    def again(self, key: JobKey, now: float) -> None:
        """Plan the next question about a task that has not ended."""
        watch = self.watches[key]
        watch.asked += 1
        self._unasked.discard(key)
        # Told that it had ended while a question was on its way: the answer may be from before.
        wait_s = 0.0 if watch.told_since_asked else self._wait_s(watch, now)
        self._ask(watch, now + wait_s)

    def _ask(self, watch: Watch, due: float) -> None:
        watch.due = due
        self.schedule.put(watch.job.key, due)

    def _wait_s(self, watch: Watch, now: float) -> float:
        if watch.unknown:
            return LOST_WAIT_S * self._scale
        if watch.job.overdue:
            return OVERDUE_WAIT_S * self._scale
        return self._flow_wait_s(watch, now)

    def _flow_wait_s(self, watch: Watch, now: float) -> float:
        return self._flow.poll_wait_s(
            watch.kinds,
            age_s=now - watch.born,
            asked=watch.asked,
            tasks=self.in_flight(),
            now=now,
        )

    def unfinished(self, watch: Watch, running: bool | None, sent: float) -> None:
        """The answer to a question sent then: not finished. ``running``: see ``TaskView``."""
        if not watch.told_since_asked:
            watch.hinted_s = None
            self._told.discard(watch.job.key)
        if watch.known_s is not None:
            watch.known_s = max(watch.known_s, sent - watch.born)
        if running:
            watch.ran_from, watch.ran_until = watch.ran_from or sent, sent
        if running is not None:
            (self._rendering.add if running else self._rendering.discard)(watch.job.key)

    def sample(self, watch: Watch, now: float) -> Sample | None:
        """When a task that has ended well did so, as ages; None if it teaches nothing."""
        if watch.known_s is None or watch.no_url or watch.job.overdue:
            return None
        high_s = max(now - watch.born, watch.known_s)
        low_s = watch.known_s
        if watch.hinted_s is not None:
            slack_s = HINT_AGE * self._settings.limits.poll_interval_s
            low_s = max(low_s, min(watch.hinted_s, high_s) - slack_s)
        return Sample(low_s=low_s, high_s=high_s)

    def young(self, now: float) -> list[Young]:
        """Kinds and age of tasks in flight, as many as are counted."""
        found = (w for key, w in self.watches.items() if key not in self._overdue)
        return [(w.kinds, now - w.born) for w in islice(found, MOST_COUNTED)]

    def in_sight(self, now: float) -> InFlight:
        """What knocks ask about."""
        return InFlight(changes=self.changes, young=lambda: self.young(now), told=self.told)

    def told(self, since: float) -> int:
        """Tasks that ended, as somebody said after ``since``, and that nobody has asked about."""
        told = (self.watches[key] for key in self._told)
        return sum(w.born + (w.hinted_s or 0.0) > since for w in told)

    def seen_rendering(self) -> int:
        """Tasks that the vendor last said were running."""
        return len(self._rendering)

    def rendered_at_once(self) -> tuple[int, float]:
        """How many tasks certainly rendered at one moment, the last at which one was first seen
        rendering; and how long they had said `init` until they were seen so, in seconds."""
        seen = [self.watches[key] for key in self._rendering]
        begins = [w.ran_from for w in seen if w.ran_from is not None]
        moment = max(begins, default=0.0)
        both = [w for w in seen if w.ran_from is not None and w.ran_until >= moment]
        return len(both), max((w.ran_from - w.born for w in both if w.ran_from), default=0.0)

    def accepted_before(self, watch: Watch) -> int:
        """Tasks in flight that were accepted earlier than this one."""
        earlier = (key for key, w in self.watches.items() if w.born < watch.born)
        return sum(key not in self._overdue for key in earlier)

    def in_flight(self) -> int:
        """Watched tasks that are not overdue, other batches' included."""
        return len(self.watches) - len(self._overdue)

    def live(self) -> int:
        """Tasks whose end this run waits for; an overdue one only until it was asked about."""
        return self.rendering() + len(self._unasked - self._strays)

    def own(self) -> int:
        """This batch's tasks."""
        return len(self.watches) - len(self._strays)

    def rendering(self) -> int:
        """This batch's tasks that are not overdue."""
        return len(self.watches) - len(self._overdue | self._strays)


def task_event(watch: Watch, view: TaskView, *, now: float, wall: float) -> Event | None:
    """What a query's answer means for the job; None when it changes nothing.

    Counts in ``watch`` how often the vendor did not know the task or named no video.
    """
    if view.fate not in UNINFORMED:
        watch.unknown = watch.unknown + 1 if view.fate is TaskFate.UNKNOWN_TASK else 0
        watch.no_url = watch.no_url + 1 if view.fate is TaskFate.NO_URL else 0
    data = {} if view.cost_credit is None else {"credits": view.cost_credit}
    match view.fate:
        case TaskFate.SUCCESS:
            return Event(kind=EventKind.TASK_SUCCEEDED, at=wall, data=data)
        case TaskFate.FAILED:
            message = f"the vendor could not render it: {view.message}"
            return Event(kind=EventKind.TASK_FAILED, at=wall, reason=view.reason, message=message)
        case TaskFate.UNKNOWN_TASK if watch.unknown >= LOST_AFTER:
            message = f"{view.message} (asked {watch.unknown} times)"
            return Event(kind=EventKind.TASK_LOST, at=wall, reason="task:unknown", message=message)
        case TaskFate.NO_URL if watch.no_url >= NO_URL_AFTER:
            message = f"{view.message} (asked {watch.no_url} times)"
            return Event(kind=EventKind.TASK_LOST, at=wall, reason="task:no_url", message=message)
        case _ if _is_overdue(watch, view, now):
            message = "not finished by task_deadline; it holds no slot and is asked about rarely"
            return Event(kind=EventKind.TASK_OVERDUE, at=wall, reason="overdue", message=message)
        case _:
            return None


def _is_overdue(watch: Watch, view: TaskView, now: float) -> bool:
    """Past its deadline, and the vendor says so itself or has said nothing several times."""
    if watch.job.overdue or now < watch.deadline:
        return False
    return view.fate not in UNINFORMED or watch.asked >= SILENT_QUESTIONS
