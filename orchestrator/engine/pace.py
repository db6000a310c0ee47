"""Turns for API calls: evenly spaced, over processes and restarts, fair between kinds of call.

Two limits hold at the moment of sending. Every call needs a turn of the request rate; a submit
also needs one of the submit rate. Turns are reserved in the store before they are used, so two
processes of one account share them, and a restart is no burst. One server hands the turns out:
submits and free calls alternate when both wait, each kind first come, first served.

A turn that is used late comes as near to the next one as two turns at once, and the next one may
belong to another process. So a request turn is asked for when somebody can use it, is let go when
nobody did, and a submit gets one for the very time of its submit turn: free calls wait a moment
rather than to push it aside.

Every alarm rings a little late. Submits are spaced from when they were due, so that this does not
add up; what a window may hold is reckoned from when calls were really sent. No request turn is
reserved that comes too early for that: the turns in the store keep up with what was sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from orchestrator.core.limits import TurnQueue, Turns
from orchestrator.engine.ports import Clock
from orchestrator.model import AccountKey, Rate
from orchestrator.store.base import EngineStore

BLOCK_S = 0.1
"""Turns are reserved in blocks of about so many seconds, to spare the disk at high rates."""
FINE_S = 0.002
"""Turns nearer than this are reserved in blocks in any case: no sleep is so exact."""
LATE_S = 0.01
"""A turn is let go when it passed by so long ago (or one interval, if that is shorter)."""
LATEST_S = 2 * LATE_S
"""So late at the most is a submit sent after its turn, if the next turn may be somebody else's."""
LONGEST_LEAD, LEAD_DECAY = 6.0, 0.25
"""How far ahead a submit's request turn is reserved at most, in request intervals: it begins with
one, grows by one with each submit turn that was let go, and falls back with each that was used."""
CROWDED_LEAD = 3.0
"""From here on two submit turns are reserved at once, so that a late one need not be let go."""
EXACT_S = 1e-6
"""Times nearer than this are the same."""


@dataclass(slots=True)
class Recent:
    """The last ``rate.count`` sendings: no more than that may fall into any one window.

    ``due``: when the last one should have been sent, None before the first. The next is due an
    interval later; a sending that is late by no more than :attr:`slack_s` delays none after it.
    """

    rate: Rate
    times: deque[float] = field(init=False)
    due: float | None = None

    def __post_init__(self) -> None:
        self.times = deque(maxlen=self.rate.count)

    def at(self, rate: Rate) -> Recent:
        """The same sendings under another rate."""
        other = Recent(rate, self.due)
        other.times.extend(self.times)
        return other

    @property
    def slack_s(self) -> float:
        """By so much at the most may two sendings be nearer than an interval."""
        return min(LATE_S, self.rate.interval_s / 4)

    def sent(self, at: float, turn: float) -> None:
        """One was sent, with this turn."""
        self.due = max(turn, self._next_due(), at - self.slack_s)
        self.times.append(at)

    def open_at(self) -> float:
        """The earliest time at which another sending keeps the limit."""
        full = len(self.times) == self.rate.count
        return self.times[0] + self.rate.per_s if full else 0.0

    def evenly_at(self) -> float:
        """The same, and a whole interval after the last was due."""
        return max(self._next_due(), self.open_at())

    def _next_due(self) -> float:
        return 0.0 if self.due is None else self.due + self.rate.interval_s

    def too_late(self, turn: float, now: float) -> bool:
        """Whether a turn passed by too long ago to be used."""
        return turn < self.oldest(now)

    def oldest(self, now: float) -> float:
        """Turns before this time passed by too long ago to be used."""
        return now - min(LATE_S, self.rate.interval_s)

    def block(self, *, alone: bool) -> int:
        """How many turns to reserve at once. ``alone``: one by one, if that can be told apart."""
        interval_s = self.rate.interval_s
        return 1 if alone and interval_s > FINE_S else max(1, int(BLOCK_S / interval_s))


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
        self._turns = TurnQueue()
        self._turns_end = 0.0
        self._submit_turns = TurnQueue()
        self._lead = 1.0
        self._submits: deque[asyncio.Future[None]] = deque()
        self._free: deque[asyncio.Future[None]] = deque()
        self._free_next = False
        self._arrival = asyncio.Event()
        self._server: asyncio.Task[None] | None = None

    async def turn(self) -> None:
        """Return when one free call may be sent."""
        if not self._at_once(submit=False):
            await self._wait(self._free)

    async def submit_turn(self) -> None:
        """Return when one submit may be sent."""
        if not self._at_once(submit=True):
            await self._wait(self._submits)

    def _at_once(self, *, submit: bool) -> bool:
        """Take turns that are reserved and have come, if nobody waits: at high rates there are
        some."""
        now = self._clock.monotonic()
        if self._somebody_waits() or now < self._request.open_at():
            return False
        self._turns.drop_passed(self._request.oldest(now) - EXACT_S)
        if not self._turns or self._turns.first > now:
            return False
        if submit and not self._submit_at_once(now):
            return False
        self._request.sent(now, self._turns.pop())
        return True

    def _submit_at_once(self, now: float) -> bool:
        if self._submit_turns:
            self._submit_turns.drop_all_but_last(now)
        if not self._submit_turns or self._submit.too_late(self._submit_turns.first, now):
            return False
        if self._submit_at() > now:
            return False
        self._submit.sent(now, self._submit_turns.pop())
        return True

    def set_rates(self, *, submit: Rate, request: Rate) -> None:
        """From now on these rates hold; what was sent lately still counts."""
        if request != self._request.rate:
            self._request = self._request.at(request)
            self._turns.clear()
        if submit != self._submit.rate:
            self._submit = self._submit.at(submit)

    async def close(self) -> None:
        """Stop handing out turns; whoever still waits is cancelled."""
        if self._server is not None:
            self._server.cancel()
            await asyncio.gather(self._server, return_exceptions=True)
        for waiter in (*self._submits, *self._free):
            waiter.cancel()

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        waiter = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        self._arrival.set()
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
        await waiter

    async def _serve(self) -> None:
        try:
            while self._somebody_waits():
                if self._submits and not self._submit_turns:
                    await self._reserve_submits(
                        self._submit.block(alone=True), self._next_turn_at()
                    )
                    continue
                wanted_at = self._wanted_at()
                begin_at = wanted_at - self._lead_s()
                if begin_at > self._clock.monotonic() + EXACT_S:
                    await self._until(begin_at)
                else:
                    await self._hand_out(wanted_at)
        except Exception as error:  # noqa: BLE001 - handed to those who wait
            self._fail(error)

    def _somebody_waits(self) -> bool:
        for queue in (self._submits, self._free):
            while queue and queue[0].done():
                queue.popleft()
        return bool(self._submits or self._free)

    def _wanted_at(self) -> float:
        """When somebody can use a request turn: now, unless only a later submit waits for one."""
        now = self._clock.monotonic()
        if self._free and not self._kept_for_submit():
            return now
        return max(now, self._submit_at())

    def _submit_at(self) -> float:
        """The next submit goes at this time, or at the first request turn after it."""
        turn = self._submit_turns.first if self._submit_turns else self._clock.monotonic()
        return max(turn, self._submit.evenly_at())

    def _kept_for_submit(self) -> bool:
        """A submit is so near that a free call before it would make it late."""
        if not self._submits or self._free_next:
            return False
        return self._next_turn_at() + self._lead_s() > self._submit_at() + EXACT_S

    def _lead_s(self) -> float:
        """A submit's request turn is reserved so long ahead: more, where others snatch it."""
        return self._lead * self._request.rate.interval_s

    def _next_turn_at(self) -> float:
        """No request turn will be earlier than this."""
        turn = self._turns.first if self._turns else self._turns_end
        return max(self._clock.monotonic(), turn)

    async def _until(self, at: float) -> None:
        """Wait until then, or until somebody arrives."""
        self._arrival.clear()
        cancel = self._clock.alarm(at - self._clock.monotonic(), self._arrival.set)
        try:
            await self._arrival.wait()
        finally:
            cancel()

    async def _hand_out(self, wanted_at: float) -> None:
        """Let somebody through at the next request turn."""
        turn = await self._next_turn(wanted_at)
        at = max(turn, wanted_at, self._request.open_at())
        submit = self._submit_is_next(at) and await self._submit_may_go(at)
        if submit:
            at = max(at, self._submit.evenly_at())
        await self._sleep_until(at)
        submit = submit and await self._submit_may_still_go()
        waiter = self._pick(submit=submit)
        if waiter is None:
            return
        sent_at = self._clock.monotonic()
        self._request.sent(sent_at, turn)
        if submit:
            self._submit.sent(sent_at, self._submit_turns.pop())
        waiter.set_result(None)

    async def _sleep_until(self, at: float) -> None:
        """Not a moment less: some event loops round a sleep to the nearest millisecond."""
        await self._clock.sleep(at - self._clock.monotonic())
        while (left_s := at - self._clock.monotonic()) > EXACT_S:
            await self._clock.sleep(left_s)

    async def _next_turn(self, wanted_at: float) -> float:
        """The next request turn from ``wanted_at`` on that the limit lets us use, in monotonic
        seconds."""
        wanted_at = max(wanted_at, self._request.open_at())
        self._turns.drop_passed(self._request.oldest(wanted_at) - EXACT_S)
        if not self._turns:
            rate, count = self._request.rate, self._request.block(alone=bool(self._submits))
            turns = await self._reserve("request", rate, count, wanted_at)
            self._turns.add(turns)
            self._turns_end = turns.next_at
        return self._turns.pop()

    def _submit_is_next(self, at: float) -> bool:
        turn_of_free = self._free_next and bool(self._free)
        if not self._submits or not self._submit_turns or turn_of_free:
            return False  # a submit that has just arrived has no turn reserved yet
        return self._submit_at() <= at + EXACT_S

    async def _submit_may_go(self, at: float) -> bool:
        """Whether a submit may go at this time, though its turn may have passed by.

        A late one goes if the turn that follows directly is ours too: then it is near to nobody
        else's. If not it is let go: the others may be as near as that.
        """
        turns, rate = self._submit_turns, self._submit.rate
        turns.drop_all_but_last(at + EXACT_S)
        if turns.second is None and self._submit.too_late(turns.first, at):
            crowded = self._lead >= CROWDED_LEAD
            await self._reserve_submits(max(1 + crowded, self._submit.block(alone=True)), at)
            turns.drop_all_but_last(at + EXACT_S)
        if not self._submit.too_late(turns.first, at):
            self._lead = max(1.0, self._lead - LEAD_DECAY)
            return True
        if (second := turns.second) and second - turns.first <= rate.interval_s + EXACT_S:
            return True
        turns.pop()
        self._lead = min(self._lead + 1.0, LONGEST_LEAD)
        return False

    async def _submit_may_still_go(self) -> bool:
        """The same, once its time has come: a busy machine may have woken us much too late."""
        now = self._clock.monotonic()
        in_time = now - self._submit_turns.first <= LATEST_S
        return in_time or await self._submit_may_go(now)

    async def _reserve_submits(self, count: int, wanted_at: float) -> None:
        turns = await self._reserve("submit", self._submit.rate, count, wanted_at)
        self._submit_turns.add(turns)

    def _pick(self, *, submit: bool) -> asyncio.Future[None] | None:
        self._somebody_waits()
        self._free_next = submit
        queue = self._submits if submit else self._free
        return queue.popleft() if queue else None

    async def _reserve(self, kind: str, rate: Rate, count: int, now: float) -> Turns:
        name = f"{kind}@{self._boot}"
        return await self._store.reserve(self._account, name, rate, count, now)

    def _fail(self, error: Exception) -> None:
        for queue in (self._submits, self._free):
            while queue:
                waiter = queue.popleft()
                if not waiter.done():
                    waiter.set_exception(error)
