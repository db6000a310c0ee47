"""The flow of a batch in virtual time: slots, renders, one request budget for all calls.

    python -m bench.simulate

No socket, no sleeping: an hour passes in a second, and every run with the same seed is the same.
It drives the real decisions (``core.polling``, ``core.hazard``, ``core.slots``) with overheads as
they were measured on one machine, and prints slot use and calls per job for several ways to poll.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from orchestrator.core.hazard import (
    IDLE_POLLS,
    KNOCK_POLLS,
    Durations,
    Ends,
    Learner,
    Sample,
    Spare,
    expected_ends,
    lesson,
    poll_wait_s,
    polls_per_task,
)
from orchestrator.core.polling import CEILING, PollSchedule, untaught_wait_s
from orchestrator.core.slots import AutoSlots, certainly_queued
from orchestrator.engine.flow import SLACK_WAITS
from orchestrator.model import JobKey

KINDS = ("avatar1", "any")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is simulated. ``fixed_poll_s``: ask every so many seconds; None to learn. ``in_flight``:
    None for `auto`. ``held``: the client keeps to the rates (the peer does not)."""

    slots: int = 8
    queues: bool = False
    jobs: int = 200
    mean_s: float = 8.0
    sigma: float = 0.3
    rate_per_s: float = 20.0
    round_trip_s: float = 0.010
    commit_s: float = 0.004
    put_s: float = 0.010
    init_s: float = 0.1
    poll_interval_s: float = 0.25
    fixed_poll_s: float | None = None
    in_flight: int | None = None
    held: bool = True
    knocks: bool = False
    most_polls: float = 16.0
    hands: int = 4
    seed: int = 1


@dataclass(slots=True, kw_only=True)
class Task:
    """One task at the vendor."""

    accepted_at: float
    start_at: float
    end_at: float
    asked_at: float = 0.0
    said_running: bool = False


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a run. Calls are counted when sent."""

    slot_use: float = 0.0
    span_s: float = 0.0
    polls: int = 0
    submits: int = 0
    refused: int = 0
    others: int = 0
    unnoticed_s: float = 0.0
    slots: AutoSlots = field(default_factory=AutoSlots)


class Vendor:
    """Slots that serve in order of arrival; a surplus submit is refused or queued."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self._world, self._dice = world, dice
        self._free_at = [0.0] * world.slots
        self._ends: list[float] = []
        self.tasks: list[Task] = []

    def submit(self, now: float) -> Task | None:
        """A task, or None for 4007."""
        while self._ends and self._ends[0] <= now:
            heapq.heappop(self._ends)
        world = self._world
        if not world.queues and len(self._ends) >= world.slots:
            return None
        mu = math.log(world.mean_s) - world.sigma**2 / 2
        start = max(now, heapq.heappop(self._free_at))
        end = start + self._dice.lognormvariate(mu, world.sigma)
        heapq.heappush(self._free_at, end)
        heapq.heappush(self._ends, end)
        self.tasks.append(Task(accepted_at=now, start_at=start, end_at=end))
        return self.tasks[-1]

    def slot_use(self) -> tuple[float, float]:
        """Share of the slots that rendered from the first to the last accepted submit; the span."""
        first, last = self.tasks[0].accepted_at, self.tasks[-1].accepted_at
        rendered = sum(max(0.0, min(t.end_at, last) - t.start_at) for t in self.tasks)
        return rendered / (self._world.slots * (last - first)), last - first


class Calendar:
    """What happens when, in virtual seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, at: float, then: Callable[[], None]) -> None:
        """Call ``then`` at this time, or now if it is past."""
        self._number += 1
        heapq.heappush(self._entries, (max(at, self.now), self._number, then))

    def play(self) -> None:
        """Until nothing more happens."""
        while self._entries:
            self.now, _, then = heapq.heappop(self._entries)
            then()


class Turns:
    """Evenly spaced turns; submits and free calls alternate when both wait."""

    def __init__(self, step_s: float, calendar: Calendar) -> None:
        self._step_s, self._calendar = step_s, calendar
        self._queues: tuple[deque[Callable[[], None]], ...] = (deque(), deque())
        self._next_at, self._free_next, self._serving = 0.0, False, False

    def ask(self, then: Callable[[], None], *, submit: bool = False) -> None:
        """Call ``then`` at this call's turn."""
        self._queues[submit].append(then)
        if not self._serving:
            self._serving = True
            self._calendar.at(self._next_at, self._serve)

    def _serve(self) -> None:
        free, submits = self._queues
        submit = bool(submits) and not (self._free_next and free)
        self._free_next = submit
        then = (submits if submit else free).popleft()
        self._serving = bool(free or submits)
        self._next_at = self._calendar.now + self._step_s
        if self._serving:
            self._calendar.at(self._next_at, self._serve)
        then()


class Flow:
    """One batch, from its first upload to the end of its last task."""

    def __init__(self, world: World, learner: Learner, slots: AutoSlots) -> None:
        self.world, self.learner, self.slots = world, learner, slots
        self._calendar = Calendar()
        self._random = random.Random(world.seed)
        self.vendor = Vendor(world, random.Random(world.seed + 1000))
        self.turns = Turns(1 / world.rate_per_s if world.held else 0.0, self._calendar)
        self.schedule = PollSchedule()
        self.spare = Spare(world.rate_per_s)
        self.watched: dict[JobKey, Task] = {}
        self.pending, self.ready = world.jobs, 0
        self.uploading = self.unanswered = self.polling = 0
        self.full_at = 0.0
        self.woken_for = -1.0
        self._turn_wait_s = 0.0
        self._adopted = 0
        self.result = Result()

    def run(self) -> Result:
        """Play to the end."""
        self._wake()
        self._calendar.play()
        self.result.slot_use, self.result.span_s = self.vendor.slot_use()
        self.result.slots = self.slots
        return self.result

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return self._calendar.now

    def _after(self, wait_s: float, then: Callable[[], None]) -> None:
        self._calendar.at(self.now + wait_s, then)

    def _wake(self) -> None:
        """What the engine's loop does: start whatever can be started."""
        self._start_polls()
        while self._may_submit():
            self.ready -= 1
            self.unanswered += 1
            self.turns.ask(self._claim, submit=True)
        while self._may_upload():
            self.pending -= 1
            self.uploading += 1
            self.turns.ask(self._credential)
        self._plan_next_wake()

    def _plan_next_wake(self) -> None:
        times = [] if (due := self.schedule.next_due()) is None else [due]
        if (wait := self._knock_wait_s()) is not None:
            times.append(self.now + max(wait, 0.001))
        future = [at for at in times if at > self.now]
        if future and (self.woken_for <= self.now or min(future) < self.woken_for):
            self.woken_for = min(future)
            self._calendar.at(self.woken_for, self._wake)

    # Uploads: credential, PUT, check.

    def _may_upload(self) -> bool:
        ahead = self.ready + self.uploading
        return self.pending > 0 and self.uploading < self.world.hands and ahead < 24

    def _credential(self) -> None:
        self._other_call()
        wait = self.world.round_trip_s + self.world.put_s
        self._after(wait, lambda: self.turns.ask(self._check))

    def _check(self) -> None:
        self._other_call()
        self._after(self.world.round_trip_s + self.world.commit_s, self._uploaded)

    def _uploaded(self) -> None:
        self.uploading -= 1
        self.ready += 1
        self._wake()

    def _other_call(self) -> None:
        self.result.others += 1
        self.spare.other_call(self.now)

    # Submits.

    def _may_submit(self) -> bool:
        held = len(self.watched) + self.unanswered
        if self.ready == 0 or self.unanswered >= 2 or self.now < self.slots.open_at:
            return False
        if self.world.in_flight is not None:
            return held < self.world.in_flight
        ends = self._ends() if self.unanswered == 0 else None
        return held < self.slots.room(held, self.now, ends.expected if ends else None)

    def _ends(self) -> Ends | None:
        durations = self._durations()
        if not self.world.knocks or durations is None or not self.slots.may_knock:
            return None
        tasks = [(durations, self.now - t.accepted_at) for t in self.watched.values()]
        ends = expected_ends(tasks, since_s=self.now - self.full_at, ahead_s=durations.mean_s / 50)
        alive = min(1.0, self.slots.limit / max(1, len(tasks)))
        return Ends(expected=alive * ends.expected, per_s=alive * ends.per_s)

    def _knock_wait_s(self) -> float | None:
        if self.ready == 0 or self.unanswered or self.world.in_flight is not None:
            return None
        ends, durations = self._ends(), self._durations()
        if ends is None or durations is None:
            return None
        wait = ends.wait_s(self.slots.knock_ends)
        return durations.mean_s / 20 if wait is None else min(wait, durations.mean_s / 20)

    def _claim(self) -> None:
        self._after(self.world.commit_s, self._post)

    def _post(self) -> None:
        self.result.submits += 1
        self._other_call()
        self._after(self.world.round_trip_s / 2, self._vendor_decides)

    def _vendor_decides(self) -> None:
        sent, task = self.now, self.vendor.submit(self.now)
        wait = self.world.round_trip_s / 2 + self.world.commit_s
        self._after(wait, lambda: self._answered(task, sent))

    def _answered(self, task: Task | None, at: float) -> None:
        self.unanswered -= 1
        held = len(self.watched) + self.unanswered
        full = held >= self.slots.limit
        if task is None:
            self.result.refused += 1
            self.ready += 1
            self.slots = self.slots.refused(held, self.now, 30 * self._scale())
            self.full_at = at
        else:
            self.slots = self.slots.accepted(held, self.now)
            self.full_at = at if full else self.full_at
            self._watch(task)
        self._wake()

    def _scale(self) -> float:
        return self.world.poll_interval_s / 5

    # Polls.

    def _watch(self, task: Task) -> None:
        self._adopted += 1
        key = JobKey(self._adopted)
        self.watched[key] = task
        task.asked_at = task.accepted_at
        first = self._poll_wait_s(task, 0)
        if self.slots.unsure and self.world.in_flight is None:
            first = min(first, 2.2 * self.world.poll_interval_s)
        self.schedule.put(key, self.now + first)

    def _durations(self) -> Durations | None:
        return self.learner.durations(KINDS)

    def _poll_wait_s(self, task: Task, asked: int) -> float:
        world, durations = self.world, self._durations()
        if world.fixed_poll_s is not None:
            return world.fixed_poll_s
        if durations is None:
            return untaught_wait_s(asked, world.poll_interval_s, self._random)
        most = world.most_polls
        if world.knocks and self.slots.knocks_pay:
            most = min(most, KNOCK_POLLS)
        if self.ready + self.pending == 0:
            most = min(most, IDLE_POLLS)
        polls = polls_per_task(
            durations,
            polls_per_s=self.spare.for_polls_per_s(self.now),
            tasks=len(self.watched),
            most=most,
        )
        age_s = self.now - task.accepted_at
        return poll_wait_s(
            durations,
            age_s=age_s,
            polls=polls,
            interval_s=world.poll_interval_s,
            turn_wait_s=self._turn_wait_s,
        )

    def _start_polls(self) -> None:
        room = (10 if self.world.held else 10_000) - self.polling
        for key in self.schedule.take_due(self.now, room):
            self.polling += 1
            self._ask_about(key, self.now)

    def _ask_about(self, key: JobKey, due: float) -> None:
        self.turns.ask(lambda: self._query(key, due))

    def _query(self, key: JobKey, due: float) -> None:
        late_s = self.now - due + self.world.round_trip_s
        self._turn_wait_s += 0.05 * (late_s - self._turn_wait_s)
        self.result.polls += 1
        self._after(self.world.round_trip_s / 2, lambda: self._vendor_tells(key))

    def _vendor_tells(self, key: JobKey) -> None:
        at, ended = self.now, self.watched[key].end_at <= self.now
        wait = self.world.round_trip_s / 2 + (self.world.commit_s if ended else 0.0)
        self._after(wait, lambda: self._told(key, at))

    def _told(self, key: JobKey, at: float) -> None:
        self.polling -= 1
        task = self.watched[key]
        if task.end_at <= at:
            self._noticed(key, task, at)
        else:
            self._unfinished(key, task, at)
        self._wake()

    def _noticed(self, key: JobKey, task: Task, at: float) -> None:
        del self.watched[key]
        sample = Sample(low_s=task.asked_at - task.accepted_at, high_s=at - task.accepted_at)
        slack_s = SLACK_WAITS * CEILING * self.world.poll_interval_s
        taught = lesson(sample, self._durations(), slack_s)
        if taught is not None:
            self.learner.seen(KINDS, taught)
            if self.world.in_flight is None:
                self.slots = self.slots.finished(sample.high_s, self.now)
        self.result.unnoticed_s += at - task.end_at

    def _unfinished(self, key: JobKey, task: Task, at: float) -> None:
        task.asked_at = at
        task.said_running = at >= task.start_at + self.world.init_s
        if self.world.in_flight is None:
            self._heed_words(key, task, at)
        self.schedule.put(key, self.now + self._poll_wait_s(task, 1))

    def _heed_words(self, key: JobKey, task: Task, at: float) -> None:
        durations = self._durations()
        mean_s = None if durations is None else durations.mean_s
        if task.said_running:
            count = sum(t.said_running for t in self.watched.values())
            self.slots = self.slots.running(count, len(self.watched))
        elif certainly_queued(at - task.accepted_at, self.world.poll_interval_s, mean_s):
            before = sum(t.accepted_at < task.accepted_at for t in self.watched.values())
            self.slots = self.slots.queued(before, self.now)


def play(world: World, *, batches: int = 2) -> Result:
    """The last of so many batches in a row: what was learned goes from one to the next."""
    learner, slots, result = Learner(), AutoSlots(), Result()
    for number in range(batches):
        flow = Flow(replace(world, seed=world.seed + number), learner, slots)
        result = flow.run()
        slots = replace(result.slots, probe_at=1e9)
    return result


EIGHT = World()
THIRTY = World(slots=30, mean_s=20.0, jobs=400)
REAL = World(
    mean_s=160.0,
    rate_per_s=5.0,
    round_trip_s=0.2,
    put_s=2.0,
    init_s=3.0,
    poll_interval_s=5.0,
    fixed_poll_s=5.0,
)
"""Eight slots as they are sold, at the default request rate; `fixed_poll_s` is the peer's."""
BASES = {"8 slots of 8 s": EIGHT, "30 slots of 20 s": THIRTY, "8 slots of 160 s, 5/s": REAL}


def variants(base: World) -> dict[str, tuple[World, int]]:
    """The ways to go about it that are compared, and how many batches in a row each plays."""
    fixed_s = base.fixed_poll_s or 0.25
    base = replace(base, fixed_poll_s=None)
    told = replace(base, in_flight=base.slots)
    knocking, queueing = replace(base, knocks=True), replace(base, queues=True)
    return {
        f"peer: every {fixed_s:g} s": (
            replace(told, fixed_poll_s=fixed_s, held=False, commit_s=0.0),
            1,
        ),
        "learning, first batch": (told, 1),
        "learned": (told, 2),
        "learned, no bound on polls": (replace(told, most_polls=99.0), 2),
        "auto, first batch, knocks": (knocking, 1),
        "auto, learned": (base, 2),
        "auto, learned, knocks": (knocking, 2),
        "auto, vendor queues, first batch": (queueing, 1),
        "auto, vendor queues, learned": (queueing, 2),
        "the same, 8 polls": (replace(queueing, most_polls=8.0), 2),
    }


def line(name: str, world: World, results: list[Result]) -> str:
    """One row of the table: means over the seeds, and the worst slot use."""
    count = world.jobs * len(results)
    per_job = [
        sum(r.polls for r in results) / count,
        sum(r.refused for r in results) / count,
        sum(r.polls + r.others for r in results) / count,
    ]
    late_s = sum(r.unnoticed_s for r in results) / count
    uses = [r.slot_use for r in results]
    numbers = " | ".join(f"{number:.1f}" for number in per_job)
    use = f"{sum(uses) / len(uses):.4f} | {min(uses):.4f}"
    return f"| {name} | {use} | {numbers} | {late_s:.2f} s |"


def main() -> None:
    """Print one table for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="runs of each row (default 3)")
    seeds = parser.parse_args().seeds
    for title, base in BASES.items():
        print(f"\n{title}\n")
        print("| way | slot use | worst | polls/job | refused/job | calls/job | unnoticed |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, (world, batches) in variants(base).items():
            worlds = [replace(world, seed=1 + 100 * n) for n in range(seeds)]
            print(line(name, world, [play(w, batches=batches) for w in worlds]), flush=True)


if __name__ == "__main__":
    main()
