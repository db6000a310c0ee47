"""Fakes for tests of the engine: a virtual clock that nobody waits for, and a store of turns.

The clock satisfies ``engine.ports.Clock``. Its time moves only when a test says so, from alarm to
alarm, and at each stop everything that can run does run first: so a night passes in a few
milliseconds, always in the same way. It knows when nothing can run any more by looking at the
queue of asyncio's own event loop; work in other threads is not waited for.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from orchestrator.core.limits import Turns, reserve
from orchestrator.model import AccountKey, Rate

T = TypeVar("T")

SETTLE_TURNS = 100_000
"""A test in which nothing comes to rest after so many turns of the loop is wrong."""


@dataclass(order=True, slots=True)
class _Alarm:
    at: float
    number: int
    ring: Callable[[], None] | None = field(compare=False)


class FakeClock:
    """Virtual time in seconds. Starts at ``monotonic``; the wall clock is ahead by a constant
    until :meth:`jump` moves it."""

    def __init__(self, monotonic: float = 1_000.0, wall: float = 1_800_000_000.0) -> None:
        self._now = monotonic
        self._wall_ahead = wall - monotonic
        self._alarms: list[_Alarm] = []
        self._numbers = count()

    def wall(self) -> float:
        """Unix seconds, virtual."""
        return self._now + self._wall_ahead

    def monotonic(self) -> float:
        """Virtual seconds."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when the test has moved the clock so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        rung = asyncio.Event()
        cancel = self.alarm(seconds, rung.set)
        try:
            await rung.wait()
        finally:
            cancel()

    def alarm(self, seconds: float, ring: Callable[[], None]) -> Callable[[], None]:
        """Call ``ring`` when the test has moved the clock so far, unless taken back."""
        alarm = _Alarm(self._now + max(0.0, seconds), next(self._numbers), ring)
        heapq.heappush(self._alarms, alarm)

        def cancel() -> None:
            alarm.ring = None

        return cancel

    def jump(self, seconds: float) -> None:
        """The wall clock is set forward (or back); monotonic time goes on unmoved."""
        self._wall_ahead += seconds

    def next_alarm(self) -> float | None:
        """When the next alarm rings, None if there is none."""
        while self._alarms and self._alarms[0].ring is None:
            heapq.heappop(self._alarms)
        return self._alarms[0].at if self._alarms else None

    async def settle(self) -> None:
        """Let everything run that can run without time passing."""
        ready = vars(asyncio.get_running_loop())["_ready"]
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)
            if not ready:
                return
        raise AssertionError("something runs for ever without time passing")

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, alarm by alarm."""
        end = self._now + seconds
        await self.settle()
        while (at := self.next_alarm()) is not None and at <= end:
            await self._ring_next(at)
        self._now = end
        await self.settle()

    async def run(self, work: Coroutine[Any, Any, T], *, most_s: float = 1e6) -> T:
        """Do ``work``, moving on from alarm to alarm until it ends.

        Raises AssertionError if it waits for something that no alarm brings, or needs more than
        ``most_s`` virtual seconds.
        """
        task = asyncio.ensure_future(work)
        end = self._now + most_s
        await self.settle()
        while not task.done():
            at = self.next_alarm()
            if at is None or at > end:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise AssertionError("the work waits for something that never happens")
            await self._ring_next(at)
        return await task

    async def _ring_next(self, at: float) -> None:
        self._now = max(self._now, at)
        ring = heapq.heappop(self._alarms).ring
        if ring is not None:
            ring()
        await self.settle()


@dataclass(slots=True)
class FakeTurns:
    """The ``reserve`` of a store, in memory. ``error``: raised instead of an answer.

    ``calls`` lists what was asked: kind, count and time. ``before``, if set, is awaited before
    each answer, so that a test can hold it back.
    """

    next_at: dict[tuple[AccountKey, str], float] = field(default_factory=dict)
    calls: list[tuple[str, int, float]] = field(default_factory=list)
    error: Exception | None = None
    before: Callable[[], Awaitable[None]] | None = None

    async def reserve(
        self, account: AccountKey, kind: str, rate: Rate, count: int, now: float
    ) -> Turns:
        """Evenly spaced times, each handed out once."""
        if self.before is not None:
            await self.before()
        if self.error is not None:
            raise self.error
        self.calls.append((kind, count, now))
        key = (account, kind)
        turns = reserve(self.next_at.get(key), now, rate.interval_s, count)
        self.next_at[key] = turns.next_at
        return turns
