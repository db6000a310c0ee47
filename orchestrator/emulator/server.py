"""The emulator as a whole: its folder, its three listeners, its timetable."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from aiohttp import web

from orchestrator.emulator.api import LARGEST_BODY, ApiDesk, audit_job
from orchestrator.emulator.audit import Audit, Witness
from orchestrator.emulator.config import EmulatorConfig
from orchestrator.emulator.desk import Desk
from orchestrator.emulator.faultplan import Count, FaultPlan
from orchestrator.emulator.faults import Faults
from orchestrator.emulator.kinds import LISTENERS
from orchestrator.emulator.listener import Listener
from orchestrator.emulator.objects import ObjectDesk
from orchestrator.emulator.store import Store
from orchestrator.emulator.studio import Studio
from orchestrator.emulator.webhook import Notifier
from orchestrator.emulator.world import World
from orchestrator.errors import UsageError

DEFAULT_UID = "emulator"
DEFAULT_KEY = "emulator-key"
DATABASE = "emulator.sqlite3"
_FOLDERS = ("objects", "incoming", "videos")
_LONGEST_NAP_S = 0.5


class Emulator:
    """The vendor on this machine, on 127.0.0.1, inside the running event loop.

    ``data`` is a folder that the emulator may fill; on the same folder it goes on where it was,
    after a kill too. ``clock`` gives Unix seconds. ``start`` raises :class:`UsageError` where
    another emulator uses the folder or a port is taken.
    """

    def __init__(
        self,
        config: EmulatorConfig | None = None,
        *,
        data: Path,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config or EmulatorConfig()
        self._data = data
        self._faults = faults or Faults()
        self._clock = clock
        self._lock: IO[str] | None = None
        self._desk: Desk | None = None
        self._notifier: Notifier | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._listeners: dict[str, Listener] = {}
        self._down_by_hand: frozenset[str] = frozenset()

    async def start(self) -> None:
        """Open the folder and begin to listen."""
        self._lock = await asyncio.to_thread(_lock_folder, self._data)
        try:
            self._desk = await self._open()
            await self._listen(self._desk)
        except BaseException:
            await self.stop()
            raise
        self._notifier = Notifier(self._desk)
        self._ticker = asyncio.create_task(self._tick(self._desk, self._notifier))

    async def stop(self) -> None:
        """Stop listening, write down what is left, let the folder go. Safe to call twice."""
        if self._desk is not None:
            self._desk.closing.set()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None
        for listener in self._listeners.values():
            await listener.close()
        if self._notifier is not None:
            await self._notifier.close()
        if self._desk is not None:
            await self._desk.studio.close()
            await asyncio.to_thread(self._desk.store.close)
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        """Address of the API, without a trailing slash."""
        return self._listeners["api"].url

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs in its environment."""
        return {
            "TOPVIEW_BASE_URL": self.base_url,
            "TOPVIEW_UID": self.config.uid or DEFAULT_UID,
            "TOPVIEW_API_KEY": self.config.api_key or DEFAULT_KEY,
        }

    def audit(self, window_s: float = 1.0) -> Audit:
        """What was seen since the folder was made; ``window_s`` > 0 is the window of the
        ``max_*_in_window`` figures. Stays readable after ``stop``."""
        return audit_job(self._running(), window_s)()

    async def go_down(self, *listeners: str) -> None:
        """Refuse connections, and cut those that are open, until ``come_back``; without names
        on all listeners ("api", "store", "cdn"). What was accepted goes on."""
        self._down_by_hand |= set(listeners or LISTENERS)
        await self._obey_outages(self._running())

    async def come_back(self) -> None:
        """Listen again on the same ports."""
        self._down_by_hand = frozenset()
        await self._obey_outages(self._running())

    def _running(self) -> Desk:
        if self._desk is None:
            raise UsageError("the emulator has not been started")
        return self._desk

    def _now(self) -> float:
        return self._clock() + self.config.clock_offset_s

    async def _open(self) -> Desk:
        store = Store(self._data / DATABASE)
        rows = await asyncio.to_thread(store.open)
        world = World(self.config, store, self._data)
        witness = Witness(store)
        await asyncio.to_thread(_restore, world, witness, rows)
        witness.add("starts")
        plan = FaultPlan(self._faults, starts=witness.counters["starts"])
        plan.counts = {r["key"]: Count(r["seen"], r["fired"]) for r in rows["fault_counts"]}
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="emulator-video")
        return Desk(
            config=self.config,
            world=world,
            store=store,
            studio=Studio(self._data / "videos", self._executor),
            witness=witness,
            plan=plan,
            now=self._now,
            started_at=self._now(),
        )

    async def _listen(self, desk: Desk) -> None:
        objects = ObjectDesk(desk, self._data / "incoming")
        handlers = {"api": ApiDesk(desk).handle, "store": objects.store, "cdn": objects.cdn}
        for number, (name, handler) in enumerate(handlers.items()):
            app = web.Application(client_max_size=LARGEST_BODY)
            app.router.add_route("*", "/{path:.*}", handler)
            listener = Listener(app, self.config.port + number if self.config.port else 0)
            self._listeners[name] = listener
            await listener.open()
        desk.store_url = self._listeners["store"].url
        desk.cdn_url = self._listeners["cdn"].url
        await self._obey_outages(desk)

    async def _tick(self, desk: Desk, notifier: Notifier) -> None:
        """Book ends, send notices, open and close listeners when their time comes."""
        while True:
            desk.world.wake.clear()
            desk.world.settle(desk.now())
            while desk.world.ended:
                notifier.announce(desk.world.ended.popleft())
            await self._obey_outages(desk)
            with suppress(TimeoutError):
                await asyncio.wait_for(desk.world.wake.wait(), self._nap_s(desk))

    def _nap_s(self, desk: Desk) -> float | None:
        now = desk.now()
        turns = [desk.started_at + self.config.scaled(t) for t in desk.plan.turning_points()]
        due = [t for t in turns if t > now]
        if (end := desk.world.next_end()) is not None:
            due.append(end)
        if not due:
            return None
        # The clock is an argument and may jump: look again soon, whatever it promises.
        return min(max(0.0, min(due) - now), _LONGEST_NAP_S)

    async def _obey_outages(self, desk: Desk) -> None:
        elapsed_s = (desk.now() - desk.started_at) * self.config.time_scale
        down = desk.plan.down(elapsed_s) | self._down_by_hand
        for name, listener in self._listeners.items():
            await (listener.pause() if name in down else listener.resume())


def _restore(world: World, witness: Witness, rows: Mapping[str, list[sqlite3.Row]]) -> None:
    """Put back what was on disk; blocks for a while after very many tasks."""
    world.load(rows)
    witness.load(rows)


def _lock_folder(data: Path) -> IO[str]:
    for name in _FOLDERS:
        (data / name).mkdir(parents=True, exist_ok=True)
    lock = (data / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise UsageError(
            f"{data}: another emulator is using this folder; stop it or choose another folder"
        ) from error
    for left in (data / "incoming").iterdir():
        left.unlink()
    return lock


async def serve(
    config: EmulatorConfig,
    *,
    data: Path,
    faults: Faults | None = None,
    announce: Callable[[Emulator], Any],
) -> None:
    """Run an emulator until cancelled; ``announce`` is called once when it listens.

    Raises:
        UsageError: the folder is in use, or a port is taken.
    """
    async with Emulator(config, data=data, faults=faults) as emulator:
        announce(emulator)
        await asyncio.Event().wait()
