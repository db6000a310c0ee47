"""The floor of a run: what its stages share, and the only way in which they move a job.

The order is the promise of this project: nothing is done that the store does not know of, and
nothing follows an outcome before the outcome is on disk. A stage hands an event to
:meth:`Floor.move`, and the job that comes back to :meth:`Floor.file`, which puts it where the
next decision finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from orchestrator.core.outage import Stop, SubmitGate
from orchestrator.core.retry import FAILURES, Streak
from orchestrator.engine.desk import Desk, Host
from orchestrator.engine.progress import Level, Notice, Observer
from orchestrator.engine.search import Search
from orchestrator.engine.tally import Tally
from orchestrator.engine.tasks import Tasks
from orchestrator.engine.windows import Windows, visible_ids
from orchestrator.model import ContentHash, Event, EventKind, Job, JobKey, State

SLOT_STAYS = frozenset(
    {
        EventKind.ASSETS_LIVE,
        EventKind.UPLOAD_FAILED,
        EventKind.SUBMIT_ACCEPTED,
        EventKind.DOWNLOADED,
    }
)
"""Events that neither take nor free a slot of the account."""


class Unbroken:
    """See :meth:`Floor.unbroken`. One inside another adds nothing."""

    __slots__ = ("_floor", "_task")

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def __enter__(self) -> None:
        task = asyncio.current_task()
        self._task = None if task in self._floor.writing else task
        if self._task is not None:
            self._floor.writing.add(self._task)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._task is None:
            return
        self._floor.writing.discard(self._task)
        if self._floor.ended and kind is None:
            raise asyncio.CancelledError


class Floor:
    """The shared state of one run. ``stop`` ends the run, ``wake`` has its loop look again.

    ``stale``: another process changed a job that this run watched; look which tasks there are.
    ``slot_changes`` counts what this run did that may have taken or freed a slot. ``writing`` are
    the stages that must not be torn just now, and ``ended`` says that the run is at its end.
    """

    def __init__(
        self,
        desk: Desk,
        observer: Observer,
        stop: Callable[[Stop, str], None],
        wake: Callable[[], None],
    ) -> None:
        self.desk, self.stop, self.wake = desk, stop, wake
        self._observer = observer
        desk.tell = self.tell
        self.windows = Windows(desk.store, desk.batch)
        self.tasks = Tasks(desk.settings, desk.flow)
        self.tally = Tally(started=desk.now())
        self.gate = SubmitGate()
        self.draining = False
        self.stale = False
        self.uploading: set[ContentHash] = set()
        self.promoting: set[JobKey] = set()
        self.unanswered: dict[JobKey, str] = {}
        self.unclaimed = 0
        self.slot_changes = 0
        self.polling: set[JobKey] = set()
        self.downloading: set[JobKey] = set()
        self.probing = False
        self.search = Search()
        self.disk_full_until = 0.0
        self.writing: set[asyncio.Task[Any]] = set()
        self.ended = False
        self._streaks: dict[EventKind, Streak] = {}
        self._trouble: dict[JobKey, int] = {}

    def hosts(self) -> dict[str, Host]:
        """Hosts by a name for people."""
        desk = self.desk
        return {host.name: host for host in (desk.api, desk.objects, desk.cdn)}

    def tell(self, level: Level, message: str, job: Job | None = None) -> None:
        """Tell those who watch."""
        job_id = job.job_id if job else None
        self._observer.notice(Notice(at=self.desk.wall(), level=level, message=message, job=job_id))

    def watch_task(self, job: Job, *, at_once: bool, stray: bool = False) -> None:
        """Await the end of a submitted job's task."""
        now, wall = self.desk.now(), self.desk.wall()
        self.tasks.adopt(job, now=now, wall=wall, at_once=at_once, stray=stray)

    def unbroken(self) -> Unbroken:
        """What a stage does in here is not torn by the end of the run, which waits for it.

        Raises:
            CancelledError: at its end, if the run ended meanwhile: the stage goes no further.
        """
        return Unbroken(self)

    async def move(self, job: Job, event: Event) -> Job:
        """Checkpoint an event, then count and tell it. The run's end does not tear it."""
        with self.unbroken():
            return await self._moved(job, event)

    async def _moved(self, job: Job, event: Event) -> Job:
        after = await self.desk.store.move(job, event)
        self.slot_changes += event.kind not in SLOT_STAYS
        self.tally.moved(job, after, event.kind, self.desk.now())
        if event.kind in FAILURES and after.state is not State.CANCELLED:
            self._failed(job, event)
        return after

    def _failed(self, job: Job, event: Event) -> None:
        self.tell(Level.PROBLEM, f"failed: {event.message}", job)
        streak = self._streaks.get(event.kind, Streak()).failed(event.reason)
        self._streaks[event.kind] = streak
        if streak.length >= self.desk.settings.stop_after:
            self.stop(
                Stop.STREAK,
                f"{streak.length} failures in a row for one reason ({event.reason}): "
                f"nothing more is started, what is under way is finished. Last: {event.message}",
            )

    def succeeded(self, *kinds: EventKind) -> None:
        """These kinds of failure do not follow one another any more."""
        for kind in kinds:
            self._streaks.pop(kind, None)

    async def file(self, job: Job, link: str | None = None) -> None:
        """Put a job where the next decision finds it."""
        self.windows.end(job.key)
        match job.state:
            case State.PENDING if job.selected and not job.orphan:
                await self.windows.put_pending(job)
            case State.READY if job.selected and not job.orphan:
                self.windows.put_ready(job)
            case State.SUBMITTED:
                self.watch_task(job, at_once=False)
            case State.RENDERED:
                self.windows.put_rendered(job, link)
            case State.IN_DOUBT:
                now, scale = self.desk.now(), self.desk.scale
                self.search.doubt_arose(job.key, visible_ids(job), now, scale)
            case _:
                self.windows.drop(job)

    def trouble(self, job: Job) -> int:
        """How often this job's download has been in trouble, this time included."""
        self._trouble[job.key] = self._trouble.get(job.key, 0) + 1
        return self._trouble[job.key]

    def settled(self, key: JobKey) -> None:
        """The job's download ended well."""
        self._trouble.pop(key, None)
