"""Turns for API calls: evenly spaced, over processes and restarts, fair between kinds of call.

Two limits hold at the moment of sending. Every call needs a turn of the request rate; a submit
also needs one of the submit rate. Turns are reserved in the store before they are used, so two
processes of one account share them, and a restart is no burst. One server hands the turns out:
submits and free calls alternate when both wait, each kind first come, first served.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from orchestrator.engine.ports import Clock
from orchestrator.model import AccountKey, Rate
from orchestrator.store.base import EngineStore

BLOCK_S = 0.1
"""Turns are reserved in blocks of about so many seconds, to spare the disk at high rates."""


@dataclass(slots=True)
class Recent:
    """The last ``rate.count`` sendings: no more than that may fall into any one window."""

    rate: Rate
    times: deque[float] = field(init=False)

    def __post_init__(self) -> None:
        self.times = deque(maxlen=self.rate.count)

    def open_at(self) -> float:
        """The earliest time at which another sending keeps the limit."""
        full = len(self.times) == self.rate.count
        return self.times[0] + self.rate.per_s if full else 0.0


@dataclass(slots=True, eq=False)
class _Waiter:
    future: asyncio.Future[None]
    not_before: float


class Pacer:
    """Hands out the turns of one account in this process."""

    def __init__(
        self,
        store: EngineStore,
        account: AccountKey,
        clock: Clock,
        *,
        submit: Rate,
        request: Rate,
        boot_id: str,
    ) -> None:
        self._store, self._account, self._clock, self._boot = store, account, clock, boot_id
        self._request, self._submit = Recent(request), Recent(submit)
        self._turns: deque[float] = deque()
        self._submit_turns: deque[float] = deque()
        self._submit_lock = asyncio.Lock()
        self._submits: deque[_Waiter] = deque()
        self._free: deque[_Waiter] = deque()
        self._free_next = False
        self._arrival = asyncio.Event()
        self._server: asyncio.Task[None] | None = None

    async def turn(self) -> None:
        """Return when one free call may be sent."""
        await self._wait(self._free, 0.0)

    async def submit_turn(self) -> None:
        """Return when one submit may be sent."""
        async with self._submit_lock:
            not_before = await self._reserved("submit", self._submit.rate, self._submit_turns)
        await self._wait(self._submits, not_before)

    async def close(self) -> None:
        """Stop handing out turns; whoever still waits is cancelled."""
        if self._server is not None:
            self._server.cancel()
            await asyncio.gather(self._server, return_exceptions=True)
        for waiter in (*self._submits, *self._free):
            waiter.future.cancel()

    async def _wait(self, queue: deque[_Waiter], not_before: float) -> None:
        waiter = _Waiter(asyncio.get_running_loop().create_future(), not_before)
        queue.append(waiter)
        self._arrival.set()
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
        await waiter.future

    async def _serve(self) -> None:
        try:
            while self._submits or self._free:
                turn = await self._reserved("request", self._request.rate, self._turns)
                await self._clock.sleep(
                    max(turn, self._request.open_at()) - self._clock.monotonic()
                )
                await self._release()
        except Exception as error:  # noqa: BLE001 - handed to those who wait
            self._fail(error)

    async def _release(self) -> None:
        """Give the turn to the next who may send, waiting for somebody if need be."""
        while self._submits or self._free:
            waiter = self._pick()
            if waiter is not None:
                now = self._clock.monotonic()
                self._request.times.append(now)
                waiter.future.set_result(None)
                return
            await self._somebody()

    async def _somebody(self) -> None:
        """Wait until a submit's time has come or somebody else arrives."""
        self._arrival.clear()
        until = min((self._submit_open(w) for w in self._submits), default=None)
        if until is None:
            return
        cancel = self._clock.alarm(until - self._clock.monotonic(), self._arrival.set)
        try:
            await self._arrival.wait()
        finally:
            cancel()

    def _submit_open(self, waiter: _Waiter) -> float:
        return max(waiter.not_before, self._submit.open_at())

    def _pick(self) -> _Waiter | None:
        for queue in (self._submits, self._free):
            while queue and queue[0].future.done():
                queue.popleft()
        now = self._clock.monotonic()
        submit_due = bool(self._submits) and self._submit_open(self._submits[0]) <= now
        if submit_due and not (self._free_next and self._free):
            self._free_next = True
            self._submit.times.append(now)
            return self._submits.popleft()
        self._free_next = False
        return self._free.popleft() if self._free else None

    async def _reserved(self, kind: str, rate: Rate, turns: deque[float]) -> float:
        """The next reserved turn, in monotonic seconds; one that passed by unused is dropped."""
        now = self._clock.monotonic()
        while turns and turns[0] < now - rate.interval_s:
            turns.popleft()
        if not turns:
            count = max(1, int(BLOCK_S / rate.interval_s))
            name = f"{kind}@{self._boot}"
            turns.extend(await self._store.reserve(self._account, name, rate, count, now))
        return turns.popleft()

    def _fail(self, error: Exception) -> None:
        for queue in (self._submits, self._free):
            while queue:
                waiter = queue.popleft()
                if not waiter.future.done():
                    waiter.future.set_exception(error)
