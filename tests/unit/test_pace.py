"""The pacer on a virtual clock: what it promises in any window, whatever comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import cycle, pairwise
from typing import Any, cast

import pytest
from fakes import FakeClock, FakeTurns
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from orchestrator.engine.pace import Pacer, Recent
from orchestrator.errors import StoreFull
from orchestrator.model import AccountKey, Rate
from orchestrator.store.base import EngineStore

ACCOUNT = AccountKey(1)
PER_SECOND = Rate(count=1, per_s=1.0)
FIVE_PER_SECOND = Rate(count=5, per_s=1.0)
EXACT_S = 1e-6
"""Rounding of virtual time."""
LATE_S = 0.010
"""A turn that was reserved for somebody else may be used so late; receivers allow 50 ms."""
LONGEST_STALL_S = 0.060
FAST = Rate(count=20, per_s=1.0)
MANY = Rate(count=103, per_s=1.0)

quick = hypothesis_settings(max_examples=60, deadline=None, derandomize=True)

rates = st.sampled_from(
    [
        PER_SECOND,
        FIVE_PER_SECOND,
        Rate(count=3, per_s=1.0),
        Rate(count=7, per_s=2.0),
        Rate(count=20, per_s=60.0),
        Rate(count=1, per_s=10.0),
    ]
)
pauses = st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.1, 0.2, 0.33, 0.9, 1.0, 2.5, 30.0])
arrivals = st.lists(st.tuples(st.sampled_from(["submit", "free"]), pauses), min_size=1, max_size=40)
errors_s = st.lists(
    st.sampled_from([-0.001, 0.0, 0.0003, 0.001, 0.001, 0.004, 0.012, LONGEST_STALL_S]),
    min_size=1,
    max_size=12,
)
"""By how much alarms ring late, one after the other and over again; uvloop's also ring early."""


class RoughClock(FakeClock):
    """Its alarms ring late or early."""

    def __init__(self, errors_s: Sequence[float]) -> None:
        super().__init__()
        self._errors_s = cycle(errors_s)

    def alarm(self, seconds: float, ring: Callable[[], None]) -> Callable[[], None]:
        error_s = next(self._errors_s)
        # However short a sleep is, some time passes.
        return super().alarm(seconds + max(error_s, -seconds / 2), ring)


class Traffic:
    """Callers of one or several pacers, and when each of them was let through."""

    def __init__(
        self,
        submit: Rate = PER_SECOND,
        request: Rate = FIVE_PER_SECOND,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock, self.turns = clock or FakeClock(), FakeTurns()
        self.submit, self.request = submit, request
        self.sent: list[tuple[str, float]] = []
        self.waiting: set[asyncio.Task[None]] = set()

    def pacer(self, boot_id: str = "boot") -> Pacer:
        return Pacer(
            cast("EngineStore", self.turns),
            ACCOUNT,
            self.clock,
            submit=self.submit,
            request=self.request,
            boot_id=boot_id,
        )

    def call(self, pacer: Pacer, kind: str, name: str | None = None) -> asyncio.Task[None]:
        async def caller() -> None:
            await (pacer.submit_turn() if kind == "submit" else pacer.turn())
            self.sent.append((name or kind, self.clock.monotonic()))

        task = asyncio.create_task(caller())
        self.waiting.add(task)
        return task

    async def all_sent(self) -> None:
        await self.clock.run(_all(self.waiting))

    def times(self, *kinds: str) -> list[float]:
        return [at for kind, at in self.sent if not kinds or kind in kinds]

    def names(self) -> list[str]:
        return [name for name, _ in self.sent]

    def check(self, shorter_s: float = EXACT_S) -> None:
        """In any window of the unit at most N, and evenly spaced: for both rates."""
        for times, rate in ((self.times(), self.request), (self.times("submit"), self.submit)):
            assert _most_in_window(times, rate.per_s - shorter_s) <= rate.count, (rate, times)
            gaps = [b - a for a, b in pairwise(times)]
            assert min(gaps, default=rate.interval_s) >= rate.interval_s - shorter_s, (rate, times)


async def _all(tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks)


def _most_in_window(times: Sequence[float], width_s: float) -> int:
    """The largest number of times in any half-open window of this width."""
    ordered = sorted(times)
    return max(
        (sum(start <= t < start + width_s for t in ordered[i:]) for i, start in enumerate(ordered)),
        default=0,
    )


def on_a_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


class TestTheLimits:
    @quick
    @given(rates, rates, arrivals)
    def test_no_window_holds_more_than_the_rate_allows_whoever_comes_when(
        self, submit: Rate, request: Rate, arrivals: list[tuple[str, float]]
    ) -> None:
        async def work() -> None:
            traffic = Traffic(submit, request)
            pacer = traffic.pacer()
            for kind, pause_s in arrivals:
                traffic.call(pacer, kind)
                await traffic.clock.advance(pause_s)
            await traffic.all_sent()
            await pacer.close()
            assert len(traffic.sent) == len(arrivals)
            traffic.check()

        on_a_loop(work)

    @quick
    @given(rates, rates, arrivals, st.lists(st.integers(0, 39), max_size=4))
    def test_a_restart_with_the_same_store_is_no_burst(
        self, submit: Rate, request: Rate, arrivals: list[tuple[str, float]], restarts: list[int]
    ) -> None:
        async def work() -> None:
            traffic = Traffic(submit, request)
            pacer = traffic.pacer()
            for number, (kind, pause_s) in enumerate(arrivals):
                traffic.call(pacer, kind)
                await traffic.clock.advance(pause_s)
                if number in restarts:
                    await _killed(traffic, pacer)
                    pacer = traffic.pacer()
            await traffic.all_sent()
            await pacer.close()
            traffic.check()

        on_a_loop(work)

    @quick
    @given(st.integers(20, 400), rates, arrivals)
    def test_high_rates_are_kept_too_though_turns_are_reserved_in_blocks(
        self, per_second: int, submit: Rate, arrivals: list[tuple[str, float]]
    ) -> None:
        async def work() -> None:
            traffic = Traffic(submit, Rate(count=per_second, per_s=1.0))
            pacer = traffic.pacer()
            for kind, pause_s in arrivals:
                for _ in range(3):
                    traffic.call(pacer, kind)
                await traffic.clock.advance(pause_s)
            await traffic.all_sent()
            await pacer.close()
            traffic.check(shorter_s=min(LATE_S, 1.0 / per_second))

        on_a_loop(work)

    @quick
    @given(
        rates,
        rates,
        st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from(["submit", "free"]), pauses),
            min_size=1,
            max_size=40,
        ),
    )
    def test_three_processes_of_one_account_share_both_rates(
        self, submit: Rate, request: Rate, arrivals: list[tuple[int, str, float]]
    ) -> None:
        async def work() -> None:
            traffic = Traffic(submit, request)
            pacers = [traffic.pacer() for _ in range(3)]
            for process, kind, pause_s in arrivals:
                traffic.call(pacers[process], kind)
                await traffic.clock.advance(pause_s)
            await traffic.all_sent()
            for pacer in pacers:
                await pacer.close()
            assert len(traffic.sent) == len(arrivals)
            traffic.check(shorter_s=LATE_S + EXACT_S)

        on_a_loop(work)

    async def test_idling_saves_nothing_up(self) -> None:
        traffic = Traffic()
        pacer = traffic.pacer()
        traffic.call(pacer, "free")
        await traffic.clock.advance(3600)
        for _ in range(6):
            traffic.call(pacer, "free")
        await traffic.all_sent()
        await pacer.close()
        after = [round(at - traffic.times()[1], 6) for at in traffic.times()[1:]]
        assert after == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


class TestAlarmsThatAreNotExact:
    """Whatever a busy machine does to the alarms, measured when callers are let through."""

    @quick
    @given(st.sampled_from([PER_SECOND, FIVE_PER_SECOND, FAST]), rates, arrivals, errors_s)
    def test_no_window_of_one_process_holds_more_than_the_rates_allow(
        self, submit: Rate, request: Rate, arrivals: list[tuple[str, float]], errors_s: list[float]
    ) -> None:
        async def work() -> None:
            for allowed in (request, MANY):
                traffic = Traffic(submit, allowed, RoughClock(errors_s))
                pacer = traffic.pacer()
                for kind, pause_s in arrivals:
                    traffic.call(pacer, kind)
                    await traffic.clock.advance(pause_s)
                await traffic.all_sent()
                await pacer.close()
                for times, rate in ((traffic.times(), allowed), (traffic.times("submit"), submit)):
                    assert _most_in_window(times, rate.per_s - 2 * EXACT_S) <= rate.count

        on_a_loop(work)

    @quick
    @given(st.sampled_from([PER_SECOND, FIVE_PER_SECOND, FAST]), st.integers(2, 60), errors_s)
    def test_a_crowd_of_submits_breaks_no_window_and_stays_evenly_spaced(
        self, submit: Rate, crowd: int, errors_s: list[float]
    ) -> None:
        async def work() -> None:
            traffic = Traffic(submit, MANY, RoughClock(errors_s))
            pacer = traffic.pacer()
            for _ in range(crowd):
                traffic.call(pacer, "submit")
            await traffic.all_sent()
            await pacer.close()
            times = traffic.times()
            assert _most_in_window(times, submit.per_s - 2 * EXACT_S) <= submit.count
            nearest_s = submit.interval_s - LATE_S - 2 * EXACT_S
            assert all(b - a >= nearest_s for a, b in pairwise(times))

        on_a_loop(work)

    @quick
    @given(st.integers(1, 250), errors_s)
    def test_a_crowd_of_free_calls_breaks_no_window_though_turns_come_in_blocks(
        self, crowd: int, errors_s: list[float]
    ) -> None:
        async def work() -> None:
            traffic = Traffic(PER_SECOND, MANY, RoughClock(errors_s))
            pacer = traffic.pacer()
            for _ in range(crowd):
                traffic.call(pacer, "free")
            await traffic.all_sent()
            await pacer.close()
            assert _most_in_window(traffic.times(), MANY.per_s - 2 * EXACT_S) <= MANY.count

        on_a_loop(work)

    @quick
    @given(
        st.sampled_from([PER_SECOND, FIVE_PER_SECOND, FAST]),
        st.lists(st.tuples(st.integers(0, 2), pauses), min_size=1, max_size=60),
        errors_s,
    )
    def test_no_window_of_three_processes_holds_a_submit_too_many(
        self, submit: Rate, arrivals: list[tuple[int, float]], errors_s: list[float]
    ) -> None:
        async def work() -> None:
            traffic = Traffic(submit, MANY, RoughClock(errors_s))
            pacers = [traffic.pacer() for _ in range(3)]
            for process, pause_s in arrivals:
                traffic.call(pacers[process], "submit")
                traffic.call(pacers[process], "free")
                await traffic.clock.advance(pause_s)
            await traffic.all_sent()
            for pacer in pacers:
                await pacer.close()
            shorter_s = 2 * LATE_S + 2 * EXACT_S
            assert _most_in_window(traffic.times("submit"), submit.per_s - shorter_s) <= (
                submit.count
            )

        on_a_loop(work)

    @pytest.mark.parametrize("errors_s", [[0.001], [0.0002, 0.0013, 0.0008], [-0.0008, 0.0009]])
    @pytest.mark.parametrize("processes", [1, 2])
    async def test_small_ones_do_not_add_up(self, errors_s: list[float], processes: int) -> None:
        traffic = Traffic(FAST, MANY, RoughClock(errors_s))
        pacers = [traffic.pacer() for _ in range(processes)]
        for number in range(601):
            traffic.call(pacers[number % processes], "submit")
        await traffic.all_sent()
        for pacer in pacers:
            await pacer.close()
        used = 600 / (traffic.times()[-1] - traffic.times()[0]) / 20
        assert used >= 0.995

    async def test_one_long_stall_delays_what_follows_by_no_more_than_itself(self) -> None:
        traffic = Traffic(FAST, MANY, RoughClock([0.0] * 40 + [0.03] + [0.0] * 10_000))
        pacer = traffic.pacer()
        for _ in range(101):
            traffic.call(pacer, "submit")
        await traffic.all_sent()
        await pacer.close()
        assert 5.0 <= traffic.times()[-1] - traffic.times()[0] <= 5.03

    @pytest.mark.parametrize("kind", ["submit", "free"])
    @pytest.mark.parametrize("errors_s", [[0.001], [0.0002, 0.0013, 0.004]])
    async def test_the_turns_in_the_store_keep_up_with_what_was_sent(
        self, kind: str, errors_s: list[float]
    ) -> None:
        """Otherwise a process that begins later comes too near to what was sent before."""
        request = MANY if kind == "submit" else FIVE_PER_SECOND
        traffic = Traffic(FIVE_PER_SECOND, request, RoughClock(errors_s))
        pacer = traffic.pacer()
        for _ in range(5 * 300):
            traffic.call(pacer, kind)
        await traffic.all_sent()
        await pacer.close()
        after = traffic.pacer()
        traffic.waiting = {traffic.call(after, kind)}
        await traffic.all_sent()
        await after.close()
        before_last, last = traffic.times()[-2:]
        assert last - before_last >= FIVE_PER_SECOND.interval_s - LATE_S


async def _killed(traffic: Traffic, pacer: Pacer) -> None:
    """The process is gone: nobody waits any more."""
    for task in traffic.waiting:
        task.cancel()
    await asyncio.gather(*traffic.waiting, return_exceptions=True)
    traffic.waiting.clear()
    await pacer.close()


class TestThroughput:
    async def test_the_first_call_goes_at_once(self) -> None:
        traffic = Traffic()
        pacer = traffic.pacer()
        begun = traffic.clock.monotonic()
        traffic.call(pacer, "submit")
        await traffic.all_sent()
        await pacer.close()
        assert traffic.times() == [begun]

    async def test_free_calls_alone_get_the_whole_rate(self) -> None:
        traffic = Traffic()
        pacer = traffic.pacer()
        for _ in range(51):
            traffic.call(pacer, "free")
        await traffic.all_sent()
        await pacer.close()
        assert traffic.times()[-1] - traffic.times()[0] == pytest.approx(10.0)

    async def test_submits_alone_get_their_whole_rate_though_it_fits_no_request_turn(self) -> None:
        traffic = Traffic(submit=Rate(count=3, per_s=1.0))
        pacer = traffic.pacer()
        for _ in range(31):
            traffic.call(pacer, "submit")
        await traffic.all_sent()
        await pacer.close()
        assert traffic.times()[-1] - traffic.times()[0] == pytest.approx(10.0)

    async def test_a_wait_for_a_submit_turn_holds_no_free_call_up(self) -> None:
        traffic = Traffic(submit=Rate(count=1, per_s=60.0))
        pacer = traffic.pacer()
        for _ in range(2):
            traffic.call(pacer, "submit")
        await traffic.clock.advance(1.0)
        asked = traffic.clock.monotonic()
        traffic.call(pacer, "free")
        await traffic.all_sent()
        await pacer.close()
        assert traffic.times("free") == [asked]

    async def test_two_processes_together_use_the_submit_rate_up(self) -> None:
        traffic = Traffic()
        pacers = [traffic.pacer(), traffic.pacer()]
        for number in range(20):
            traffic.call(pacers[number % 2], "submit")
        await traffic.all_sent()
        for pacer in pacers:
            await pacer.close()
        traffic.check()
        assert traffic.times()[-1] - traffic.times()[0] <= 19 * 1.25


class TestHighRates:
    """Turns nearer than a sleep is exact: not evenly spaced, but no window holds more."""

    @quick
    @given(
        st.sampled_from([Rate(count=8, per_s=0.005), Rate(count=30, per_s=0.03)]),
        st.sampled_from([Rate(count=10, per_s=0.005), Rate(count=60, per_s=0.03)]),
        st.lists(
            st.tuples(
                st.sampled_from(["submit", "free", "free"]),
                st.integers(1, 12),
                st.sampled_from([0.0, 0.0003, 0.001, 0.004, 0.02, 0.2]),
            ),
            min_size=1,
            max_size=12,
        ),
    )
    def test_no_window_holds_more_than_the_rate_allows(
        self, submit: Rate, request: Rate, bursts: list[tuple[str, int, float]]
    ) -> None:
        async def work() -> None:
            traffic = Traffic(submit, request)
            pacer = traffic.pacer()
            for kind, count, pause_s in bursts:
                for _ in range(count):
                    traffic.call(pacer, kind)
                await traffic.clock.advance(pause_s)
            await traffic.all_sent()
            await pacer.close()
            for times, rate in ((traffic.times(), request), (traffic.times("submit"), submit)):
                assert _most_in_window(times, rate.per_s - EXACT_S) <= rate.count

        on_a_loop(work)

    async def test_turns_that_have_come_are_taken_without_waiting(self) -> None:
        traffic = Traffic(Rate(count=10_000, per_s=1.0), Rate(count=10_000, per_s=1.0))
        pacer = traffic.pacer()
        traffic.call(pacer, "submit")
        await traffic.all_sent()
        reserved = len(traffic.turns.calls)
        for turn in (pacer.turn, pacer.submit_turn, pacer.turn):
            await traffic.clock.advance(0.001)
            with pytest.raises(StopIteration):
                turn().send(None)
        assert len(traffic.turns.calls) == reserved
        await pacer.close()

    async def test_nobody_overtakes_those_who_wait(self) -> None:
        traffic = Traffic(Rate(count=10_000, per_s=1.0), Rate(count=10_000, per_s=1.0))
        pacer = traffic.pacer()
        for name in ("first", "second", "third"):
            traffic.call(pacer, "free", name)
            await traffic.clock.settle()
        await traffic.all_sent()
        await pacer.close()
        assert traffic.names() == ["first", "second", "third"]


class TestFairness:
    async def test_a_crowd_of_free_calls_does_not_hold_a_submit_up(self) -> None:
        traffic = Traffic()
        pacer = traffic.pacer()
        for _ in range(100):
            traffic.call(pacer, "free")
        await traffic.clock.advance(1.05)
        asked = traffic.clock.monotonic()
        traffic.call(pacer, "submit")
        await traffic.all_sent()
        await pacer.close()
        assert traffic.times("submit")[0] - asked <= 2 * FIVE_PER_SECOND.interval_s

    async def test_submits_at_the_full_request_rate_leave_every_other_turn_to_free_calls(
        self,
    ) -> None:
        traffic = Traffic(submit=FIVE_PER_SECOND)
        pacer = traffic.pacer()
        for _ in range(10):
            traffic.call(pacer, "submit")
        for _ in range(10):
            traffic.call(pacer, "free")
        await traffic.all_sent()
        await pacer.close()
        assert traffic.names() == ["submit", "free"] * 10

    async def test_two_processes_at_the_full_request_rate_starve_no_free_call(self) -> None:
        traffic = Traffic(submit=FIVE_PER_SECOND)
        pacers = [traffic.pacer(), traffic.pacer()]
        for number in range(40):
            traffic.call(pacers[number % 2], "submit")
        for number in range(4):
            traffic.call(pacers[number % 2], "free")
        begun = traffic.clock.monotonic()
        await traffic.all_sent()
        for pacer in pacers:
            await pacer.close()
        traffic.check()
        assert traffic.times("free")[-1] - begun <= 4.0

    @pytest.mark.parametrize("processes", [1, 2, 3, 4])
    async def test_crowds_of_several_processes_starve_no_submit_and_break_no_limit(
        self, processes: int
    ) -> None:
        traffic = Traffic()
        pacers = [traffic.pacer() for _ in range(processes)]
        for pacer in pacers:
            for _ in range(80):
                traffic.call(pacer, "free")
            for _ in range(8):
                traffic.call(pacer, "submit")
            await traffic.clock.advance(0.07)
        begun = traffic.clock.monotonic()
        await traffic.all_sent()
        for pacer in pacers:
            await pacer.close()
        traffic.check(shorter_s=LATE_S)
        assert traffic.times("submit")[-1] - begun <= 2 * 8 * processes

    async def test_each_kind_is_served_in_the_order_of_its_coming(self) -> None:
        traffic = Traffic(submit=FIVE_PER_SECOND)
        pacer = traffic.pacer()
        for number in range(4):
            traffic.call(pacer, "submit", f"s{number}")
            traffic.call(pacer, "free", f"f{number}")
        await traffic.all_sent()
        await pacer.close()
        assert [n for n in traffic.names() if n[0] == "s"] == ["s0", "s1", "s2", "s3"]
        assert [n for n in traffic.names() if n[0] == "f"] == ["f0", "f1", "f2", "f3"]


class TestTrouble:
    @quick
    @given(arrivals, st.lists(st.integers(0, 39), max_size=10))
    def test_cancelled_waiters_harm_nobody(
        self, arrivals: list[tuple[str, float]], cancelled: list[int]
    ) -> None:
        async def work() -> None:
            traffic = Traffic()
            pacer = traffic.pacer()
            tasks = []
            for kind, pause_s in arrivals:
                tasks.append(traffic.call(pacer, kind))
                await traffic.clock.advance(pause_s)
            given_up = {tasks[n] for n in cancelled if n < len(tasks) and not tasks[n].done()}
            for task in given_up:
                task.cancel()
            traffic.waiting -= given_up
            await traffic.all_sent()
            await pacer.close()
            assert len(traffic.sent) == len(arrivals) - len(given_up)
            traffic.check()

        on_a_loop(work)

    async def test_a_crowd_that_gave_up_does_not_delay_the_next(self) -> None:
        traffic = Traffic()
        pacer = traffic.pacer()
        crowd = [traffic.call(pacer, "free") for _ in range(50)]
        await traffic.clock.advance(0.1)
        for task in crowd[1:]:
            task.cancel()
        asked = traffic.clock.monotonic()
        last = traffic.call(pacer, "free", "last")
        traffic.waiting = {last}
        await traffic.all_sent()
        await pacer.close()
        assert traffic.times("last")[0] - asked <= FIVE_PER_SECOND.interval_s

    @pytest.mark.parametrize("kind", ["submit", "free"])
    async def test_an_error_of_the_store_reaches_everybody_who_waits(self, kind: str) -> None:
        traffic = Traffic()
        traffic.turns.error = StoreFull("no room")
        pacer = traffic.pacer()
        tasks = [traffic.call(pacer, kind) for _ in range(3)]
        await traffic.clock.settle()
        assert [str(task.exception()) for task in tasks] == ["no room"] * 3
        await pacer.close()

    async def test_after_an_error_of_the_store_the_next_caller_is_served(self) -> None:
        traffic = Traffic()
        traffic.turns.error = StoreFull("no room")
        pacer = traffic.pacer()
        failed = traffic.call(pacer, "submit", "first")
        await traffic.clock.settle()
        assert isinstance(failed.exception(), StoreFull)
        traffic.turns.error = None
        traffic.waiting = {traffic.call(pacer, "submit", "second")}
        await traffic.all_sent()
        await pacer.close()
        assert traffic.names() == ["second"]

    async def test_whoever_still_waits_when_it_closes_is_cancelled(self) -> None:
        traffic = Traffic()
        pacer = traffic.pacer()
        tasks = [traffic.call(pacer, kind) for kind in ("submit", "free", "submit", "free")]
        await traffic.clock.advance(0.05)
        await pacer.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task.cancelled() for task in tasks] == [False, True, True, True]
        assert traffic.clock.next_alarm() is None

    async def test_another_boot_does_not_take_over_times_of_a_clock_that_began_anew(self) -> None:
        traffic = Traffic(submit=Rate(count=1, per_s=60.0))
        before = traffic.pacer("boot one")
        traffic.call(before, "submit")
        await traffic.all_sent()
        await before.close()
        traffic.clock = FakeClock(monotonic=5.0)
        after = traffic.pacer("boot two")
        traffic.waiting = {traffic.call(after, "submit")}
        await traffic.clock.run(_all(traffic.waiting), most_s=60.0)
        await after.close()
        assert len(traffic.sent) == 2


class TestRecent:
    """What was sent here lately, whatever turns the store gives."""

    def test_a_window_that_is_full_opens_when_its_first_sending_leaves_it(self) -> None:
        recent = Recent(Rate(count=3, per_s=1.0))
        recent.sent(10.0, turn=10.0)
        recent.sent(10.1, turn=10.1)
        assert recent.open_at() <= 10.1
        recent.sent(10.2, turn=10.2)
        assert recent.open_at() == 11.0

    def test_after_a_slightly_late_sending_the_next_is_due_at_its_own_time(self) -> None:
        recent = Recent(Rate(count=4, per_s=2.0))
        recent.sent(10.308, turn=10.3)
        assert recent.evenly_at() == pytest.approx(10.8)

    def test_after_a_late_sending_the_next_keeps_an_interval_but_for_the_slack(self) -> None:
        recent = Recent(Rate(count=4, per_s=2.0))
        recent.sent(10.5, turn=10.3)
        assert recent.evenly_at() == pytest.approx(11.0 - LATE_S)

    def test_lateness_is_made_up_for_once_not_with_every_sending(self) -> None:
        recent = Recent(Rate(count=4, per_s=2.0))
        recent.sent(10.5, turn=10.3)
        recent.sent(recent.evenly_at(), turn=10.8)
        assert recent.evenly_at() == pytest.approx(11.5 - LATE_S)

    def test_however_late_it_is_a_full_window_waits_for_its_first_sending_to_leave(self) -> None:
        recent = Recent(Rate(count=2, per_s=1.0))
        recent.sent(10.009, turn=10.0)
        recent.sent(10.5, turn=10.5)
        assert recent.evenly_at() == pytest.approx(11.009)

    @pytest.mark.parametrize(
        ("rate", "slack_s"),
        [(PER_SECOND, LATE_S), (FAST, LATE_S), (Rate(count=100, per_s=1.0), 0.0025)],
    )
    def test_of_a_short_interval_a_quarter_is_slack(self, rate: Rate, slack_s: float) -> None:
        assert Recent(rate).slack_s == pytest.approx(slack_s)

    def test_under_another_rate_the_next_is_due_an_interval_of_that_rate_later(self) -> None:
        recent = Recent(Rate(count=4, per_s=2.0))
        recent.sent(10.0, turn=10.0)
        assert recent.at(Rate(count=4, per_s=8.0)).evenly_at() == pytest.approx(12.0)

    def test_before_the_first_sending_everything_is_open(self) -> None:
        assert Recent(PER_SECOND).evenly_at() == 0.0


class TestOtherRates:
    """Another run of the account begins or ends, and the lowest limits hold."""

    async def test_a_lower_rate_holds_at_once_and_remembers_what_was_sent(self) -> None:
        traffic = Traffic(request=Rate(count=100, per_s=1.0))
        pacer = traffic.pacer()
        for _ in range(3):
            traffic.call(pacer, "free")
        await traffic.all_sent()
        pacer.set_rates(submit=PER_SECOND, request=PER_SECOND)
        for _ in range(3):
            traffic.call(pacer, "free")
        await traffic.all_sent()
        await pacer.close()
        after = [at - traffic.times()[2] for at in traffic.times()[3:]]
        assert after == pytest.approx([1.0, 2.0, 3.0])

    async def test_a_lower_submit_rate_holds_too(self) -> None:
        traffic = Traffic(submit=FIVE_PER_SECOND)
        pacer = traffic.pacer()
        traffic.call(pacer, "submit")
        await traffic.all_sent()
        pacer.set_rates(submit=Rate(count=1, per_s=10.0), request=FIVE_PER_SECOND)
        for _ in range(2):
            traffic.call(pacer, "submit")
        await traffic.all_sent()
        await pacer.close()
        first, second, third = traffic.times("submit")
        assert (second - first, third - second) == pytest.approx((10.0, 10.0))

    async def test_a_higher_rate_is_used(self) -> None:
        traffic = Traffic(request=PER_SECOND)
        pacer = traffic.pacer()
        traffic.call(pacer, "free")
        await traffic.all_sent()
        pacer.set_rates(submit=PER_SECOND, request=Rate(count=10, per_s=1.0))
        begun = traffic.clock.monotonic()
        for _ in range(21):
            traffic.call(pacer, "free")
        await traffic.all_sent()
        await pacer.close()
        assert traffic.times()[-1] - begun == pytest.approx(3.0)

    async def test_the_same_rates_change_nothing(self) -> None:
        traffic = Traffic(request=Rate(count=100, per_s=1.0))
        pacer = traffic.pacer()
        for _ in range(100):
            traffic.call(pacer, "free")
            await traffic.clock.advance(0.01)
            pacer.set_rates(submit=PER_SECOND, request=Rate(count=100, per_s=1.0))
        await traffic.all_sent()
        await pacer.close()
        assert len(traffic.turns.calls) <= 11


class TestTheStore:
    async def test_nothing_is_reserved_while_nobody_waits(self) -> None:
        traffic = Traffic()
        pacer = traffic.pacer()
        traffic.call(pacer, "submit")
        await traffic.all_sent()
        reserved = len(traffic.turns.calls)
        await traffic.clock.advance(3600)
        await pacer.close()
        assert len(traffic.turns.calls) == reserved

    async def test_high_rates_are_reserved_in_blocks_to_spare_the_disk(self) -> None:
        traffic = Traffic(request=Rate(count=100, per_s=1.0))
        pacer = traffic.pacer()
        for _ in range(200):
            traffic.call(pacer, "free")
        await traffic.all_sent()
        await pacer.close()
        assert len(traffic.turns.calls) == 20

    async def test_times_are_kept_by_boot_since_monotonic_time_means_nothing_beyond(self) -> None:
        traffic = Traffic()
        pacer = traffic.pacer("boot-7")
        traffic.call(pacer, "submit")
        await traffic.all_sent()
        await pacer.close()
        assert {kind for kind, _, _ in traffic.turns.calls} == {"request@boot-7", "submit@boot-7"}

    async def test_a_slow_disk_delays_but_does_not_bunch(self) -> None:
        traffic = Traffic()

        async def slow_disk() -> None:
            await traffic.clock.sleep(0.15)

        traffic.turns.before = slow_disk
        pacer = traffic.pacer()
        for kind in ("submit", "free", "free", "submit", "free", "free", "submit"):
            traffic.call(pacer, kind)
        await traffic.all_sent()
        await pacer.close()
        assert _most_in_window(traffic.times("submit"), 1.0 - EXACT_S) == 1
        assert _most_in_window(traffic.times(), 1.0 - EXACT_S) <= 5
