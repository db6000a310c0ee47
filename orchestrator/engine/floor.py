"""The floor of a run: what its stages share, and the only way in which they move a job.

The order is the promise of this project: nothing is done that the store does not know of, and
nothing follows an outcome before the outcome is on disk. A stage hands an event to
:meth:`Floor.move`, and the job that comes back to :meth:`Floor.file`, which puts it where the
next decision finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from orchestrator.core.outage import Stop, SubmitGate
from orchestrator.core.retry import FAILURES, Streak
from orchestrator.engine.desk import Desk, Host
from orchestrator.engine.progress import Level, Notice, Observer
from orchestrator.engine.search import Search
from orchestrator.engine.tally import Tally
from orchestrator.engine.tasks import Tasks
from orchestrator.engine.windows import Windows, visible_ids
from orchestrator.model import ContentHash, Event, EventKind, Job, JobKey, State

T = TypeVar("T")

SLOT_STAYS = frozenset(
    {
        EventKind.ASSETS_LIVE,
        EventKind.UPLOAD_FAILED,
        EventKind.SUBMIT_ACCEPTED,
        EventKind.DOWNLOADED,
    }
)
"""Events that neither take nor free a slot of the account."""


class Floor:
    """The shared state of one run. ``stop`` ends the run, ``wake`` has its loop look again.

    ``stale``: another process changed a job that this run watched; look which tasks there are.
    ``slot_changes`` counts what this run did that may have taken or freed a slot.
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
        self.shielded: set[asyncio.Task[Any]] = set()
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

    async def shield(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work``; if the caller is cancelled it goes on, and the run's end waits for it."""
        task = asyncio.create_task(work)
        self.shielded.add(task)
        task.add_done_callback(self.shielded.discard)
        return await asyncio.shield(task)

    async def move(self, job: Job, event: Event) -> Job:
        """Checkpoint an event, then count and tell it. A cancelled caller does not tear it."""
        after = await self.shield(self.desk.store.move(job, event))
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
                self.windows.drop_pending(job.key)

    def trouble(self, job: Job) -> int:
        """How often this job's download has been in trouble, this time included."""
        self._trouble[job.key] = self._trouble.get(job.key, 0) + 1
        return self._trouble[job.key]

    def settled(self, key: JobKey) -> None:
        """The job's download ended well."""
        self._trouble.pop(key, None)
