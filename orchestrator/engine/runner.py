"""The loop of a run: gather facts, ask the planner, start stages, sleep until something happens.

Follow it with a finger: :meth:`Engine.run` -> :meth:`Engine._loop` -> ``core.decide.decide`` ->
:meth:`Engine._act`, which starts one short coroutine for each thing decided. Each of those is a
stage (``uploading``, ``submitting``, ``polling``, ``downloading`` in this folder): it does its
work, turns the outcome into an event, has the store move the job, puts the job where the next
decision finds it, and wakes the loop. Nothing else goes on.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.core.decide import Decision, Facts, Gate, decide
from orchestrator.core.outage import Stop
from orchestrator.engine.desk import Desk
from orchestrator.engine.downloading import download
from orchestrator.engine.floor import Floor
from orchestrator.engine.ledger import learned_tariff, read_log
from orchestrator.engine.polling import poll
from orchestrator.engine.progress import Level, Observer, Progress
from orchestrator.engine.reconcile import look
from orchestrator.engine.snapshot import snapshot
from orchestrator.engine.submitting import probe, submit
from orchestrator.engine.uploading import promote, upload
from orchestrator.errors import StaleJob, StoreError
from orchestrator.model import State, TaskId

DRAIN_S = 30.0
"""How long a run that was asked to end waits for replies and running transfers."""
LOOK_AROUND_S = 5.0
"""How often the loop looks what other processes did."""
LAST_WRITES_S = 10.0
"""How long the end of a run waits for checkpoints that are being written."""
LOG_PATIENCE_S, LOG_SLACK_S, LOG_REACH_S = 20.0, 60.0, 7 * 86_400.0
"""The end of a run waits so long for the credit log, reads it from a bit before the first task
whose cost is not known, and looks for such tasks no further back than this."""
SLOTS_FRESH_S = 0.25
"""The account's held slots are counted again after this long, though this run changed none."""
REFRESH_S = 5.0
"""The loop looks again at least this often, whatever it waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Why the engine ended, and what it did. ``stops`` is empty if it ran to the end."""

    stops: tuple[Stop, ...]
    uploaded: int
    submitted: int
    downloaded: int
    error: BaseException | None = None


class Engine:
    """One run of one batch. Made for one call of :meth:`run`."""

    def __init__(self, desk: Desk, observer: Observer) -> None:
        self._desk = desk
        self._floor = Floor(desk, observer, self.stop, self.wake)
        self._event = asyncio.Event()
        self._hands: set[asyncio.Task[None]] = set()
        self._stops: list[Stop] = []
        self._draining = False
        self._look_around_at = 0.0
        self._slots = 0, -1, 0.0
        self._drain_until: float | None = None
        self._error: BaseException | None = None
        self._time_is_up = False
        self._observer = observer

    async def run(self) -> Outcome:
        """Work until every job rests or something stops the run. Raises nothing but
        cancellation: an unexpected error is in the outcome, after an orderly end."""
        try:
            await self._begin()
            self._observer.watch(self)
            await self._loop()
            await self._settle_accounts()
            await self._remember()
        except StoreError as error:
            self._fail(error)
        finally:
            await self._end()
        tally = self._floor.tally
        if self._time_is_up and self._somebody_waits() and Stop.WINDOW not in self._stops:
            self._stops.append(Stop.WINDOW)
        return Outcome(
            stops=tuple(dict.fromkeys(self._stops)),
            uploaded=tally.uploaded,
            submitted=tally.submitted,
            downloaded=tally.downloaded,
            error=self._error,
        )

    async def _begin(self) -> None:
        desk = self._desk
        self._floor.tally.begin(await desk.store.startable(desk.batch.key))
        self._floor.stale = True
        await desk.flow.recall(desk.store, desk.batch.account, desk.wall())
        await self._look_around()
        desk.tariff = await learned_tariff(desk.store, desk.batch.account)

    async def _loop(self) -> None:
        desk = self._desk
        while True:
            self._event.clear()
            await self._look_around()
            decision = decide(await self._facts())
            if decision.rest or self._out_of_time():
                return
            self._act(decision)
            if self._event.is_set():
                # Each stage notes in its first step what it is at; nothing is decided before that.
                await asyncio.sleep(0)
            if desk.flow.unkept(desk.now()):
                self._start(self._remember())
            await self._sleep(decision.wake_at)

    async def _look_around(self) -> None:
        """Every few seconds: what other processes did. Operators may retry, cancel and settle
        jobs while this run works; other runs may have lower limits."""
        if self._desk.now() < self._look_around_at and not self._floor.stale:
            return
        self._look_around_at = self._desk.now() + LOOK_AROUND_S
        await self._desk.heed_neighbours()
        await self._find_tasks()
        self._floor.windows.look_again()

    async def _find_tasks(self) -> None:
        """Watch the tasks of jobs that somebody else put into `submitted`."""
        desk, floor = self._desk, self._floor
        counts = await desk.store.counts(desk.batch.key)
        floor.search.open = max(
            floor.search.open, counts.get(State.IN_DOUBT, 0) - len(floor.search.held)
        )
        for batch, job in await desk.store.strays(desk.batch.account, desk.batch.key):
            if batch not in desk.neighbours and job.key not in floor.tasks.watches:
                floor.watch_task(job, at_once=True, stray=True)
        if not floor.stale and counts.get(State.SUBMITTED, 0) <= floor.tasks.own():
            return
        floor.stale = False
        for job in await desk.store.submitted(desk.batch.key):
            if job.key not in floor.tasks.watches and job.key not in floor.unanswered:
                floor.watch_task(job, at_once=True)

    async def _remember(self) -> None:
        """What was found out about the account is for the next run too."""
        desk = self._desk
        await desk.flow.keep(desk.store, desk.batch.account, now=desk.now(), wall=desk.wall())

    async def _settle_accounts(self) -> None:
        """What did it cost? One look at the credit log, if tasks of this run, or of an earlier
        one that was cut off, have no known cost."""
        desk, began = self._desk, self._desk.now() - self._floor.tally.started
        if self._draining:
            return
        since = await desk.store.uncharged_since(desk.batch.key, desk.vendor_wall() - LOG_REACH_S)
        if self._floor.tally.submitted:
            since = min(desk.vendor_wall() - began, math.inf if since is None else since)
        if since is None:
            return
        try:
            async with asyncio.timeout(LOG_PATIENCE_S):
                await read_log(desk, since - LOG_SLACK_S)
        except TimeoutError:
            self._floor.tell(Level.INFO, "the credit log did not answer; costs follow later")

    async def _facts(self) -> Facts:
        floor, desk = self._floor, self._desk
        limits = desk.limits
        await floor.windows.refill()
        used = await self._slots_used()
        per_s = limits.request_rate.count / limits.request_rate.per_s
        slots_free = self._slots_free(used)
        return Facts(
            now=desk.now(),
            draining=self._draining,
            gate=self._gate(),
            pending=floor.windows.pending_view(),
            ready=floor.windows.ready_view(),
            rendered=tuple(floor.windows.rendered),
            live_tasks=floor.tasks.live(),
            next_poll_at=floor.tasks.schedule.next_due(),
            doubts=floor.search.open,
            next_look_at=floor.search.next_at,
            looking=floor.search.looking,
            slots_free=slots_free,
            knock_at=desk.flow.knock_at,
            look_ahead=min(256, desk.flow.at_once + 16),
            ahead_bytes=floor.windows.ahead_bytes(floor.uploading),
            sizes=floor.windows.sizes,
            uploading=floor.uploading,
            promoting=len(floor.promoting),
            unclaimed=floor.unclaimed,
            unanswered=len(floor.unanswered),
            unanswered_visible=frozenset(floor.unanswered.values()),
            doubtful_visible=frozenset(floor.search.visible.values()),
            polling=len(floor.polling),
            probing=floor.probing,
            downloading=len(floor.downloading),
            uploads_open_at=max(desk.api.open_at, desk.objects.open_at),
            polls_open_at=desk.api.open_at,
            downloads_open_at=max(desk.cdn.open_at, floor.disk_full_until),
            max_uploads=limits.uploads,
            max_downloads=limits.downloads,
            max_polls=max(2, min(32, round(per_s / 2))),
        )

    async def _slots_used(self) -> int:
        """Slots that are held, counted anew when this run has changed something, and now and then:
        others may have, and doubts age. A claim counts once more, in its own transaction."""
        desk, floor, now = self._desk, self._floor, self._desk.now()
        count, changes, at = self._slots
        if changes != floor.slot_changes or now >= at + SLOTS_FRESH_S:
            changes = floor.slot_changes
            count = await desk.store.slots_used(desk.batch.account, desk.slot_rule, desk.wall())
            self._slots = count, changes, now
        return count

    def _slots_free(self, used: int) -> int:
        """Slots for the next submit. A knock asks after all tasks: it goes out alone."""
        floor, flow, now = self._floor, self._desk.flow, self._desk.now()
        flow.jobs_wait = bool(floor.windows.ready or floor.windows.pending)
        calm = bool(floor.windows.ready) and not floor.unanswered
        return flow.reckon(
            used,
            now=now,
            wall=self._desk.wall(),
            claiming=floor.unclaimed,
            tasks=floor.tasks.in_sight(now) if calm else None,
        )

    def _gate(self) -> Gate:
        desk, gate = self._desk, self._floor.gate.gate()
        open_at = desk.flow.open_at(desk.now(), desk.wall())
        return replace(gate, open_at=open_at) if open_at > gate.open_at else gate

    def _act(self, decision: Decision) -> None:
        floor = self._floor
        due = floor.tasks.schedule.take_due(self._desk.now(), decision.polls)
        for key in due:
            self._start(poll(key, floor))
        for key in decision.downloads:
            self._start(download(floor.windows.begin(key), floor))
        for key in decision.submits:
            self._start(submit(floor.windows.begin(key), floor))
        if decision.look:
            floor.search.looking = True
            self._start(look(floor))
        if decision.probe:
            self._start(probe(floor))
        for key in decision.promotes:
            self._start(promote(floor.windows.begin(key), floor))
        for content in decision.uploads:
            self._start(upload(content, floor))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._hands.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._hands.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StaleJob):
            self._floor.stale = True
            self._floor.tell(Level.INFO, f"changed by somebody else meanwhile: {error}")
        elif error is not None:
            self._fail(error)
        self.wake()

    async def _sleep(self, wake_at: float | None) -> None:
        """Until something happens, ``wake_at``, the end of a drain, or REFRESH_S."""
        times = [at for at in (wake_at, self._drain_until) if at is not None]
        wait_s = min([at - self._desk.now() for at in times] + [REFRESH_S])
        cancel = self._desk.ports.clock.alarm(wait_s, self._event.set)
        try:
            await self._event.wait()
        finally:
            cancel()

    async def hear(self, token: str, task_id: TaskId) -> bool:
        """A webhook named a task with an attempt's token: a hint to ask now, and no more.

        False if no attempt of the account has that token.
        """
        desk, floor = self._desk, self._floor
        if not await desk.store.notice(desk.batch.account, token, task_id, desk.wall()):
            return False
        floor.tasks.hint(task_id, desk.now())
        floor.search.hint(desk.now())
        self.wake()
        return True

    def wake(self) -> None:
        """Have the loop look again."""
        self._event.set()

    def progress(self) -> Progress:
        """A snapshot for those who watch."""
        return snapshot(self._desk, self._floor, draining=self._draining)

    def drain(self, reason: str) -> None:
        """Start nothing more; wait up to DRAIN_S for what is on its way, then end.

        ``reason``: "SIGINT" or "SIGTERM".
        """
        self._begin_drain(Stop.SIGINT if reason == "SIGINT" else Stop.SIGTERM)

    def abort(self) -> None:
        """End now: whatever runs is cancelled."""
        self._begin_drain(Stop.SIGINT if Stop.SIGINT in self._stops else Stop.SIGTERM)
        self._drain_until = self._desk.now()
        self.wake()

    def _begin_drain(self, stop: Stop) -> None:
        self._stops.append(stop)
        if not self._draining:
            self._draining = True
            self._drain_until = self._desk.now() + DRAIN_S
        self._floor.gate = self._floor.gate.shut()
        self._floor.draining = True
        self.wake()

    def _out_of_time(self) -> bool:
        return self._drain_until is not None and self._desk.now() >= self._drain_until

    def stop(self, stop: Stop, message: str) -> None:
        """There is a reason to end the run. AUTH ends at once, the others in good order."""
        if stop not in self._stops:
            self._stops.append(stop)
            self._floor.tell(Level.STOP, message)
        self._floor.gate = self._floor.gate.shut()
        if stop is Stop.AUTH:
            self._begin_drain(stop)
        self.wake()

    def time_up(self) -> None:
        """The run's time is up: nothing more is submitted, what is under way is finished."""
        self._time_is_up = True
        self._floor.gate = self._floor.gate.shut()
        if self._somebody_waits():
            message = "its time is up: nothing more is submitted, what is under way is finished"
            self.stop(Stop.WINDOW, message)
        self.wake()

    def _somebody_waits(self) -> bool:
        counts = self._floor.tally.counts
        return counts[State.PENDING] + counts[State.READY] > 0

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._begin_drain(Stop.STORE if isinstance(error, StoreError) else Stop.BUG)

    async def _end(self) -> None:
        """No stage outlives the run; one that writes a checkpoint is waited for."""
        floor = self._floor
        floor.ended = True
        writing = self._hands & floor.writing
        for task in self._hands - writing:
            task.cancel()
        if writing:
            await asyncio.wait(writing, timeout=LAST_WRITES_S)
        for task in self._hands:
            task.cancel()
        await asyncio.gather(*self._hands, return_exceptions=True)
        await self._desk.pacer.close()
