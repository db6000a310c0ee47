"""What a run knows of the flow: how long tasks take, how many slots there are, when to ask.

What follows from it is decided by ``core.hazard`` and ``core.slots``; here is the state they work
on, and how it is remembered: as two facts of the account in the store, so that the next run, and
every process that shares the account, begins with what this one found out. Times without a word
are monotonic seconds, ``wall`` is Unix seconds.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.hazard import (
    IDLE_POLLS,
    KNOCK_POLLS,
    MOST_POLLS,
    Durations,
    Learner,
    Sample,
    Spare,
    expected_ends,
    lesson,
    poll_wait_s,
    polls_per_task,
)
from orchestrator.core.polling import CEILING, untaught_wait_s
from orchestrator.core.slots import AutoSlots, Surplus, certainly_queued, from_json
from orchestrator.model import AccountKey, Limits
from orchestrator.store.base import EngineStore

SLOTS, DURATIONS = "slots", "durations"
"""Names of the account's facts in the store."""
SLOTS_EVERY_S, DURATIONS_EVERY_S = 1.0, 10.0
"""Neither is written more often than this."""
UNSURE_LOOK = 2.2
"""While the cap is being found out, a new task is looked at after so many poll intervals: just
when one that still says `init` is certainly queued."""
LATENESS_WEIGHT = 0.05
SLACK_WAITS = 3.0
"""Bounds of an end that are nearer than so many of the longest ordinary waits are near enough."""
RELEASE_S = 5.0
"""For so long after an end was noticed (a poll interval, if that is shorter), a 4007 may be about
that very slot: the vendor may free it a moment later than it tells of the end."""
SHORTEST_LOOK_S = 0.001
NOTICES_SEEN, NOTICES_SHARE = 8, 0.9
"""Notices are relied on for now when so large a share of the last ends (so many of them at least)
was told by one: then nothing has to be guessed."""
Kinds = tuple[str, ...]
Young = tuple[Kinds, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """The tasks in flight, as knocks ask about them.

    ``changes``: how often something has happened to them so far. ``young``: kinds and age of all,
    or of enough to stand for all. ``told``: of how many somebody said, after a time (monotonic),
    that they had ended, and nobody has asked yet.
    """

    changes: int
    young: Callable[[], Sequence[Young]]
    told: Callable[[float], int]


"""A task in flight: the kinds it belongs to, and its age in seconds."""


class Flow:
    """The flow of one run. ``auto``: the account's cap is found out by itself."""

    def __init__(self, limits: Limits, rng: random.Random) -> None:
        self._random = rng
        self.interval_s = limits.poll_interval_s
        self._request_s = limits.request_rate.interval_s
        self.auto = limits.in_flight is None
        self.ceiling = limits.in_flight
        self.slots = AutoSlots()
        self.learner = Learner()
        self.spare = Spare(1 / limits.request_rate.interval_s)
        self.jobs_wait = True
        self.used = 0
        self.room = self.at_once
        self.knock_at: float | None = None
        self._knocking = False
        self._reckoned: tuple[object, ...] = ()
        self._late_s = 0.0
        self._init_s = 0.0
        self._full_at = 0.0
        self._open_at = 0.0
        self._noticed: deque[float] = deque(maxlen=64)
        self._told_ends: deque[bool] = deque(maxlen=2 * NOTICES_SEEN)
        self._told: Any = None
        self._base = self.slots.to_json()
        self._unkept_samples = False
        self._slots_due = self._durations_due = 0.0
        self._keeping = asyncio.Lock()

    @property
    def at_once(self) -> int:
        """So many tasks may be unfinished, probes and knocks apart."""
        return self._below_ceiling(self.slots.limit) if self.auto else self.ceiling or 1

    def _below_ceiling(self, room: int) -> int:
        return room if self.ceiling is None else min(room, self.ceiling)

    # Polls.

    def poll_wait_s(
        self, kinds: Kinds, *, age_s: float, asked: int, tasks: int, now: float
    ) -> float:
        """Seconds until the next question about a task after ``asked`` ones, with so many in
        flight."""
        durations = self.learner.durations(kinds)
        if durations is None:
            wait_s = untaught_wait_s(asked, self.interval_s, self._random)
        else:
            spare = self.spare.for_polls_per_s(now)
            wait_s = poll_wait_s(
                durations,
                age_s=age_s,
                polls=polls_per_task(
                    durations, polls_per_s=spare, tasks=tasks, most=self._most_polls()
                ),
                interval_s=self.interval_s,
                turn_wait_s=self._late_s,
            )
        if asked == 0 and self.auto and self.slots.unsure:
            return min(wait_s, UNSURE_LOOK * self.interval_s)
        return wait_s

    @property
    def notices_come(self) -> bool:
        """The vendor has told of nearly all of the last ends."""
        ends = self._told_ends
        return len(ends) >= NOTICES_SEEN and sum(ends) >= NOTICES_SHARE * len(ends)

    def ended(self, *, told: bool) -> None:
        """A task has ended; whether a notice said so before it was asked about."""
        self._told_ends.append(told)

    def _most_polls(self) -> float:
        if not self.jobs_wait or self.notices_come:
            return IDLE_POLLS
        return KNOCK_POLLS if self.auto and self.slots.knocks_pay else MOST_POLLS

    def answered(self, due: float, now: float) -> None:
        """A question that was due then has its answer now."""
        late_s = min(max(0.0, now - due), CEILING * self.interval_s)
        self._late_s += LATENESS_WEIGHT * (late_s - self._late_s)

    def taught(self, kinds: Kinds, sample: Sample, *, now: float, wall: float) -> None:
        """A task of this run ended well, between two ages."""
        self._noticed.append(now)
        slack_s = SLACK_WAITS * CEILING * max(self.interval_s, self._request_s)
        taught = lesson(sample, self.learner.durations(kinds), slack_s)
        if taught is None:
            return
        self.learner.seen(kinds, taught)
        self._unkept_samples = True
        self.slots = self.slots.finished(sample.high_s, wall)

    def noticed(self, now: float) -> None:
        """A task has ended, and there is nothing to learn of it."""
        self._noticed.append(now)

    # Slots.

    def reckon(
        self,
        used: int,
        *,
        now: float,
        wall: float,
        claiming: int,
        tasks: InFlight | None,
    ) -> int:
        """How many slots are free, for the next submit; ``room`` is the limit that it may claim.

        ``used`` slots are held. ``claiming``: so many submits that were decided upon have not
        claimed their slots yet. ``tasks``: None if nothing may knock now.
        """
        self.used = used
        if not self.auto:
            self.room = self.at_once
            return self.room - used
        expected = self._expected(used, tasks, now)
        room = self.slots.room(used, wall, expected)
        calm = self.slots.room(used, wall)
        if self._knocking and claiming:
            # Its room is kept for its claim, and for no other: a knock goes out alone.
            self.room = self._below_ceiling(max(room, self.room))
            return min(self.room - used, max(self._below_ceiling(calm) - used, claiming))
        self._knocking = room > calm
        self.room = self._below_ceiling(room)
        return self.room - used

    def _expected(self, used: int, tasks: InFlight | None, now: float) -> float | None:
        """Ends that nobody has noticed. Plans when to reckon again: ``knock_at``."""
        if tasks is None or not self.slots.may_knock:
            self.knock_at = None
            return None
        known = (tasks.changes, self._full_at, self.slots.limit, self.slots.knocks_refused)
        if known == self._reckoned and self.knock_at is not None and now < self.knock_at:
            return None
        self._reckoned = known
        told = tasks.told(self._full_at)
        timed = [(d, age) for kinds, age in tasks.young() if (d := self.learner.durations(kinds))]
        if not timed or self.notices_come:
            self.knock_at = None
            return told or None
        return told + self._ends(timed, used, now)

    def _ends(self, timed: Sequence[tuple[Durations, float]], used: int, now: float) -> float:
        mean_s = timed[0][0].mean_s
        ends = expected_ends(timed, since_s=now - self._full_at, ahead_s=mean_s / 50)
        alive = min(1.0, self.slots.limit / max(1, used)) * max(used, 1) / len(timed)
        expected, needed = alive * ends.expected, self.slots.knock_ends
        wait_s = mean_s / 20
        if expected < needed and ends.per_s > 0:
            wait_s = min(wait_s, (needed - expected) / (alive * ends.per_s))
        self.knock_at = now + max(wait_s, SHORTEST_LOOK_S)
        return expected

    def open_at(self, now: float, wall: float) -> float:
        """No submit before this time (monotonic), whatever the gate says."""
        if not self.auto:
            return 0.0
        return max(self._open_at, now + self.slots.open_at - wall)

    def accepted(self, held: int, at: float, wall: float) -> None:
        """A submit sent around ``at`` was taken while ``held`` other slots were held."""
        if not self.auto:
            return
        if held >= self.slots.limit:
            self._full_at = at
        self.slots = self.slots.accepted(held, wall)

    def refused(self, held: int, at: float, *, now: float, wall: float, pause_s: float) -> None:
        """A submit sent around ``at`` was refused with 4007 while ``held`` slots were held."""
        if not self.auto:
            return
        release_s = min(self.interval_s, RELEASE_S)
        freed = sum(end > now - release_s for end in self._noticed)
        if freed and held < self.slots.limit:
            self._open_at = now + release_s / 2
        self._full_at = at
        self.slots = self.slots.refused(held + freed, wall, pause_s)

    def running(self, count: int, unfinished: int) -> None:
        """The vendor says that a task renders; ``count`` of the ``unfinished`` were seen so."""
        if self.auto:
            self.slots = self.slots.running(count, unfinished)

    def rendered_at_once(self, count: int, init_s: float) -> None:
        """So many tasks certainly rendered at the same moment; they had said `init` for up to
        ``init_s``."""
        slots = self.slots.at_once(count)
        if slots is not self.slots:
            self.slots, self._init_s = slots, max(self._init_s, init_s)

    @property
    def sure_of_a_queue(self) -> bool:
        """The cap is known from tasks that seemed to wait."""
        return self.auto and self.slots.cap is not None and self.slots.surplus is Surplus.QUEUED

    def waiting(self, kinds: Kinds, age_s: float, before: int, wall: float) -> None:
        """The vendor says that a task of this age still waits; so many came before it."""
        if not self.auto:
            return
        durations = self.learner.durations(kinds)
        mean_s = None if durations is None else durations.mean_s
        if certainly_queued(age_s, self.interval_s, mean_s, self._init_s):
            self.slots = self.slots.queued(before, wall)

    # Memory.

    async def recall(self, store: EngineStore, account: AccountKey, wall: float) -> None:
        """Begin with what is remembered of the account."""
        self.learner = Learner(_samples(await store.fact(account, DURATIONS)))
        await self.heed(store, account, wall)

    async def heed(self, store: EngineStore, account: AccountKey, wall: float) -> None:
        """Take over what another process found out about the account's slots."""
        if not self.auto or self._slots_are_new():
            return
        told = await store.fact(account, SLOTS)
        if told == self._told or self._slots_are_new():
            return
        self.slots = _slots_of(told, wall).kept_apart(self.slots)
        self._told, self._base = told, self.slots.to_json()

    def _slots_are_new(self) -> bool:
        return self.auto and self.slots.to_json() != self._base

    def unkept(self, now: float) -> bool:
        """Whether there is something to remember whose time has come, and nobody is at it."""
        if self._keeping.locked():
            return False
        samples = self._unkept_samples and now >= self._durations_due
        return samples or (now >= self._slots_due and self._slots_are_new())

    async def keep(
        self, store: EngineStore, account: AccountKey, *, now: float, wall: float
    ) -> None:
        """Remember what is new, beside what another process may have remembered since."""
        async with self._keeping:
            await self._keep_slots(store, account, now, wall)
            if self._unkept_samples:
                self._unkept_samples, self._durations_due = False, now + DURATIONS_EVERY_S
                await store.set_fact(account, DURATIONS, _facts_of(self.learner))

    async def _keep_slots(
        self, store: EngineStore, account: AccountKey, now: float, wall: float
    ) -> None:
        while self._slots_are_new():
            self._slots_due = now + SLOTS_EVERY_S
            found = self.slots.to_json()
            if await store.swap_fact(account, SLOTS, found, self._told):
                self._told = self._base = found
                return
            self._told = await store.fact(account, SLOTS)
            theirs = _slots_of(self._told, wall)
            self.slots, self._base = self.slots.beside(theirs), theirs.to_json()


def _slots_of(told: Any, wall: float) -> AutoSlots:
    return from_json(told if isinstance(told, Mapping) else None, wall)


def _facts_of(learner: Learner) -> dict[str, Any]:
    """Samples as JSON values, to the millisecond."""
    kinds = {
        kind: [[round(s.low_s, 3), round(s.high_s, 3)] for s in samples]
        for kind, samples in learner.history().items()
    }
    return {"version": 1, "kinds": kinds}


def _samples(fact: Any) -> dict[str, list[Sample]]:
    """Samples from :func:`_facts_of`; none where that is unreadable."""
    if not isinstance(fact, Mapping) or fact.get("version") != 1:
        return {}
    try:
        return {
            str(kind): [Sample(low_s=float(low), high_s=float(high)) for low, high in pairs]
            for kind, pairs in fact["kinds"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
