"""The flow of a run: when to ask, how many slots there are, and what is remembered of both."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any, cast

import pytest

from orchestrator.core.hazard import Sample
from orchestrator.core.slots import AutoSlots, Surplus
from orchestrator.engine.flow import DURATIONS, SLOTS, Flow, InFlight, Young
from orchestrator.engine.neighbours import lowest, note_of
from orchestrator.model import AccountKey, BatchKey, Limits, Rate
from orchestrator.store.base import EngineStore

NOW, WALL = 5_000.0, 1_800_000_000.0
ACCOUNT = AccountKey(1)
KINDS = ("avatar1", "any")
LIMITS = Limits(request_rate=Rate(count=20, per_s=1.0))
FULL = AutoSlots(limit=8, cap=8, surplus=Surplus.REFUSED, probe_at=WALL + 1000, rendering=8)


class Facts:
    """The account's facts of a store, in memory."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.writes: list[str] = []

    async def fact(self, account: AccountKey, key: str) -> Any:
        return self.values.get(key)

    async def set_fact(self, account: AccountKey, key: str, value: Any) -> None:
        self.writes.append(key)
        self.values[key] = value

    async def swap_fact(self, account: AccountKey, key: str, value: Any, was: Any) -> bool:
        if self.values.get(key) != was:
            return False
        await self.set_fact(account, key, value)
        return True

    def store(self) -> EngineStore:
        return cast(EngineStore, self)


def flow(in_flight: int | None = None, slots: AutoSlots | None = None) -> Flow:
    found = Flow(replace(LIMITS, in_flight=in_flight), random.Random(1))
    found.slots = slots or found.slots
    return found


def taught(found: Flow, *durations_s: float) -> Flow:
    for at in durations_s:
        sample = Sample(low_s=at - 0.5, high_s=at + 0.5)
        found.taught(KINDS, sample, now=NOW - 1000, wall=WALL)
    return found


def wait_s(found: Flow, age_s: float, *, asked: int = 1, tasks: int = 8) -> float:
    return found.poll_wait_s(KINDS, age_s=age_s, asked=asked, tasks=tasks, now=NOW)


EVEN = [100.0 + n for n in range(40)]


class TestQuestions:
    def test_before_anything_is_learned_they_come_at_the_poll_interval(self) -> None:
        assert wait_s(flow(8), 0.0, asked=0) == pytest.approx(5.0, rel=0.11)

    def test_the_first_one_comes_when_ends_become_likely(self) -> None:
        assert 40.0 < wait_s(taught(flow(8), *EVEN), 0.0, asked=0) < 100.0

    def test_they_come_often_where_ends_are_likely(self) -> None:
        found = taught(flow(8), *EVEN)
        assert wait_s(found, 120.0) < wait_s(found, 20.0) / 4

    def test_with_no_job_waiting_they_come_rarely(self) -> None:
        found = taught(flow(8), *EVEN)
        often = wait_s(found, 120.0)
        found.jobs_wait = False
        assert wait_s(found, 120.0) > 2 * often

    def test_while_the_cap_is_being_found_out_a_new_task_is_looked_at_soon(self) -> None:
        assert wait_s(taught(flow(), *EVEN), 0.0, asked=0) == 11.0

    def test_while_knocks_are_taken_they_come_less_often(self) -> None:
        knocking, told = taught(flow(slots=FULL), *EVEN), taught(flow(8), *EVEN)
        assert wait_s(knocking, 120.0) > 1.5 * wait_s(told, 120.0)

    def test_they_are_due_earlier_by_the_time_that_they_wait_for_their_turn(self) -> None:
        found = taught(flow(8), *EVEN)
        before = wait_s(found, 20.0)
        for _ in range(200):
            found.answered(NOW - 0.5, NOW)
        assert before - wait_s(found, 20.0) == pytest.approx(0.5, rel=0.01)

    def test_an_hour_without_answers_counts_as_three_intervals_at_the_most(self) -> None:
        found = taught(flow(8), *EVEN)
        before = wait_s(found, 20.0)
        found.answered(NOW - 3600, NOW)
        assert before - wait_s(found, 20.0) < 1.0

    def test_an_end_that_nobody_could_ask_about_for_an_hour_teaches_nothing(self) -> None:
        found = taught(flow(8), *EVEN)
        before = found.learner.history()
        found.taught(KINDS, Sample(low_s=100.0, high_s=3700.0), now=NOW, wall=WALL)
        assert found.learner.history() == before

    def test_an_end_that_came_before_anybody_asked_is_learned_from(self) -> None:
        found = taught(flow(8), *EVEN)
        found.taught(KINDS, Sample(low_s=0.0, high_s=100.0), now=NOW, wall=WALL)
        last = found.learner.history()["any"][-1]
        assert 50.0 < last.low_s < last.high_s <= 100.0


def young(*ages_s: float, told_at: tuple[float, ...] = ()) -> InFlight:
    def give() -> list[Young]:
        return [(KINDS, age) for age in ages_s]

    def told(since: float) -> int:
        return sum(at > since for at in told_at)

    return InFlight(changes=len(ages_s), young=give, told=told)


def free(found: Flow, used: int, *, claiming: bool = False, tasks: Any = None) -> int:
    return found.reckon(used, now=NOW, wall=WALL, claiming=claiming, tasks=tasks)


OLD = young(*[115.0 + n for n in range(8)])
FRESH = young(*[1.0 + n for n in range(8)])


class TestSlots:
    def test_a_number_is_the_room_whatever_was_found_out(self) -> None:
        found = taught(flow(5, slots=replace(FULL, limit=20, cap=20)), *EVEN)
        assert (free(found, 4, tasks=OLD), found.room, found.knock_at) == (1, 5, None)

    def test_a_number_is_not_changed_by_what_the_vendor_says(self) -> None:
        found = flow(5)
        found.accepted(4, NOW, WALL)
        found.refused(3, NOW, now=NOW, wall=WALL, pause_s=30.0)
        found.running(5, 5)
        found.waiting(KINDS, 1000.0, 2, WALL)
        assert (found.at_once, found.open_at(NOW, WALL)) == (5, 0.0)

    def test_auto_begins_with_two_and_grows_with_every_submit_that_reaches_the_limit(self) -> None:
        found = flow()
        limits = []
        for held in range(4):
            limits.append(found.at_once)
            found.accepted(held, NOW, WALL)
            found.running(held + 1, held)
        assert limits == [2, 2, 3, 4]

    def test_a_refusal_is_the_cap_at_once(self) -> None:
        found = flow(slots=AutoSlots(limit=6))
        found.refused(4, NOW, now=NOW, wall=WALL, pause_s=30.0)
        assert (found.at_once, free(found, 4)) == (4, 0)

    def test_just_after_an_end_a_refusal_may_be_about_that_slot(self) -> None:
        found = taught(flow(slots=FULL))
        found.noticed(NOW - 1.0)
        found.refused(7, NOW, now=NOW, wall=WALL, pause_s=30.0)
        assert found.at_once == 8
        assert NOW < found.open_at(NOW, WALL) <= NOW + 5.0

    def test_polls_that_come_rarely_do_not_make_that_moment_longer(self) -> None:
        found = Flow(replace(LIMITS, in_flight=None, poll_interval_s=60.0), random.Random(1))
        found.slots = FULL
        found.noticed(NOW - 1.0)
        found.refused(7, NOW, now=NOW, wall=WALL, pause_s=30.0)
        assert NOW < found.open_at(NOW, WALL) <= NOW + 2.5

    def test_a_refusal_long_after_an_end_is_somebody_elses_slot(self) -> None:
        found = flow(slots=FULL)
        found.noticed(NOW - 60.0)
        found.refused(7, NOW, now=NOW, wall=WALL, pause_s=30.0)
        assert found.at_once == 7

    def test_with_nothing_of_ours_to_end_submits_pause(self) -> None:
        found = flow()
        found.refused(0, NOW, now=NOW, wall=WALL, pause_s=30.0)
        assert found.open_at(NOW, WALL) == pytest.approx(NOW + 30.0)

    def test_a_task_that_waits_shows_how_many_render(self) -> None:
        found = flow(slots=AutoSlots(limit=6, rendering=4))
        found.waiting(KINDS, 11.0, 4, WALL)
        assert (found.slots.cap, found.at_once) == (4, 6)

    def test_a_task_that_has_just_begun_to_wait_shows_nothing(self) -> None:
        found = flow(slots=AutoSlots(limit=6, rendering=4))
        found.waiting(KINDS, 9.0, 4, WALL)
        assert found.slots.cap is None

    def test_another_run_with_a_number_bounds_what_is_found_out(self) -> None:
        found = flow(slots=replace(FULL, limit=20, cap=20))
        found.ceiling = 6
        assert (free(found, 6), found.room, found.at_once) == (0, 6, 6)


class TestKnocks:
    def test_one_goes_out_when_ends_are_expected(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        assert (free(found, 8, tasks=OLD), found.room) == (1, 9)

    def test_none_goes_out_while_ends_are_unlikely_but_it_is_known_when_to_look(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        assert free(found, 8, tasks=FRESH) == 0
        assert found.knock_at is not None and NOW < found.knock_at <= NOW + 10.0

    def test_none_goes_out_while_another_submit_is_on_its_way(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        assert (free(found, 8, tasks=None), found.knock_at) == (0, None)

    def test_none_goes_out_to_a_vendor_that_queues(self) -> None:
        queues = replace(FULL, surplus=Surplus.QUEUED)
        assert free(taught(flow(slots=queues), *EVEN), 8, tasks=OLD) == 0

    def test_none_goes_out_before_durations_are_known(self) -> None:
        assert free(flow(slots=FULL), 8, tasks=OLD) == 0

    def test_none_goes_beyond_the_number_of_another_run(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        found.ceiling = 8
        assert free(found, 8, tasks=OLD) == 0

    def test_the_room_of_one_that_waits_for_its_turn_is_kept_for_its_claim(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        free(found, 8, tasks=OLD)
        assert (free(found, 8, claiming=True), found.room) == (1, 9)
        found.room = 10
        assert free(found, 8, claiming=True) == 1, "and no other goes out beside it"
        assert free(found, 5, claiming=True) == 3, "but slots that are free are free"
        assert (free(found, 9), found.room) == (-1, 8)

    def test_after_a_refusal_the_next_waits_until_ends_are_expected_again(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        free(found, 8, tasks=OLD)
        found.refused(8, NOW, now=NOW, wall=WALL, pause_s=30.0)
        assert (free(found, 8, tasks=OLD), found.at_once) == (0, 8)
        assert found.knock_at is not None and found.knock_at > NOW

    def test_nothing_is_reckoned_twice_before_it_can_have_changed(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        asked = 0

        def counted() -> Any:
            nonlocal asked
            asked += 1
            return FRESH.young()

        for _ in range(5):
            free(found, 8, tasks=replace(FRESH, young=counted))
        assert asked == 1

    def test_one_goes_out_as_soon_as_a_notice_tells_of_an_end(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        told = replace(FRESH, told=young(told_at=(NOW - 1,)).told)
        assert free(found, 8, tasks=told) == 1

    def test_a_notice_from_before_the_vendor_was_full_is_no_reason(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        found.refused(8, NOW, now=NOW, wall=WALL, pause_s=30.0)
        told = replace(FRESH, changes=99, told=young(told_at=(NOW - 1,)).told)
        assert free(found, 8, tasks=told) == 0

    def test_none_is_a_guess_while_notices_tell_of_the_ends(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        for _ in range(16):
            found.ended(told=True)
        assert found.notices_come
        assert free(found, 8, tasks=OLD) == 0

    def test_when_notices_get_lost_guesses_come_back(self) -> None:
        found = taught(flow(slots=FULL), *EVEN)
        for told in (True,) * 16 + (False,) * 2:
            found.ended(told=told)
        assert not found.notices_come
        assert free(found, 8, tasks=OLD) == 1

    def test_a_few_notices_are_not_relied_on(self) -> None:
        found = flow(slots=FULL)
        for _ in range(7):
            found.ended(told=True)
        assert not found.notices_come


class TestMemory:
    async def test_the_next_run_begins_with_what_this_one_found_out(self) -> None:
        facts = Facts()
        first = taught(flow(), *EVEN)
        first.refused(4, NOW, now=NOW, wall=WALL, pause_s=30.0)
        await first.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL)
        second = flow()
        await second.recall(facts.store(), ACCOUNT, WALL)
        assert second.slots.to_json() == first.slots.to_json()
        assert second.learner.history() == first.learner.history()

    async def test_what_is_unreadable_counts_as_nothing(self) -> None:
        for odd in ("x", 7, {"version": 2}, {"version": 1, "kinds": {"any": [1]}}, {"version": 1}):
            found = flow()
            await found.recall(Facts(**{SLOTS: odd, DURATIONS: odd}).store(), ACCOUNT, WALL)
            assert (found.slots, found.learner.history()) == (AutoSlots(), {})

    async def test_nothing_new_is_not_written(self) -> None:
        facts, found = Facts(), flow()
        await found.recall(facts.store(), ACCOUNT, WALL)
        assert not found.unkept(NOW)
        await found.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL)
        assert facts.writes == []

    async def test_slots_are_written_once_a_second_at_the_most(self) -> None:
        facts, found = Facts(), flow()
        found.accepted(1, NOW, WALL)
        assert found.unkept(NOW)
        await found.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL)
        found.running(3, 3)
        assert (found.unkept(NOW + 0.9), found.unkept(NOW + 1.0)) == (False, True)

    async def test_durations_are_written_every_ten_seconds_at_the_most(self) -> None:
        facts, found = Facts(), flow(4)
        taught(found, 100.0)
        await found.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL)
        taught(found, 100.0)
        assert facts.writes == [DURATIONS]
        assert (found.unkept(NOW + 9.9), found.unkept(NOW + 10.0)) == (False, True)

    async def test_what_another_process_found_out_is_taken_over(self) -> None:
        facts, mine, other = Facts(), flow(), flow()
        await mine.recall(facts.store(), ACCOUNT, WALL)
        other.refused(1, NOW, now=NOW, wall=WALL, pause_s=30.0)
        await other.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL)
        await mine.heed(facts.store(), ACCOUNT, WALL)
        assert mine.at_once == 1
        assert not mine.unkept(NOW)

    async def test_what_is_not_written_yet_is_not_forgotten_for_it(self) -> None:
        facts, mine = Facts(), flow()
        await mine.recall(facts.store(), ACCOUNT, WALL)
        mine.accepted(1, NOW, WALL)
        facts.values[SLOTS] = FULL.to_json()
        await mine.heed(facts.store(), ACCOUNT, WALL)
        assert mine.at_once == 3

    async def test_a_cap_that_another_found_at_the_same_time_is_not_written_over(self) -> None:
        facts, mine, other = Facts(), flow(), flow()
        for found in (mine, other):
            await found.recall(facts.store(), ACCOUNT, WALL)
        mine.accepted(1, NOW, WALL)
        other.refused(1, NOW, now=NOW, wall=WALL, pause_s=30.0)
        for found in (other, mine):
            await found.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL)
        assert facts.values[SLOTS] == other.slots.to_json() == mine.slots.to_json()
        assert not mine.unkept(NOW + 1.0)

    async def test_of_two_that_grew_at_the_same_time_the_larger_limit_holds(self) -> None:
        facts, mine, other = Facts(), flow(), flow(slots=AutoSlots(limit=7, rendering=7))
        mine.accepted(1, NOW, WALL)
        for found in (other, mine):
            await found.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL)
        assert mine.at_once == 7
        assert facts.values[SLOTS]["limit"] == 7

    async def test_a_pause_and_knocks_are_every_processs_own(self) -> None:
        facts, mine, other = Facts(), flow(), flow()
        mine.slots = replace(mine.slots, limit=3, open_at=WALL + 30, pauses=2, knocks_refused=5)
        other.refused(1, NOW, now=NOW, wall=WALL, pause_s=30.0)
        for found in (other, mine):
            await found.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL)
        kept = mine.slots
        assert (kept.cap, kept.open_at, kept.pauses, kept.knocks_refused) == (1, WALL + 30, 2, 5)

    async def test_one_word_is_written_once_however_long_that_takes(self) -> None:
        facts, found = Facts(), taught(flow(), *EVEN)
        found.accepted(1, NOW, WALL)
        let_go, swap = asyncio.Event(), facts.swap_fact

        async def slow(*what: Any) -> bool:
            await let_go.wait()
            return await swap(*what)

        facts.swap_fact = slow  # type: ignore[method-assign]
        keeping = asyncio.create_task(found.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL))
        await asyncio.sleep(0)
        assert not found.unkept(NOW + 60.0)
        let_go.set()
        await keeping
        assert facts.writes == [SLOTS, DURATIONS]

    async def test_a_cap_takes_the_place_of_growth_that_another_wrote_meanwhile(self) -> None:
        facts, mine, other = Facts(), flow(), flow()
        for found in (mine, other):
            await found.recall(facts.store(), ACCOUNT, WALL)
        mine.refused(1, NOW, now=NOW, wall=WALL, pause_s=30.0)
        other.accepted(1, NOW, WALL)
        for found in (other, mine):
            await found.keep(facts.store(), ACCOUNT, now=NOW, wall=WALL)
        assert facts.values[SLOTS] == mine.slots.to_json()
        assert mine.slots.cap == 1


class TestNeighbours:
    @pytest.mark.parametrize(
        ("own", "others", "holds"),
        [(None, [], None), (4, [], 4), (4, [None], 4), (None, [3, None, 6], 3), (4, [6, 3], 3)],
    )
    def test_the_lowest_number_holds_and_auto_has_none(
        self, own: int | None, others: list[int | None], holds: int | None
    ) -> None:
        notes = [
            note_of(BatchKey(1), replace(LIMITS, in_flight=other))["limits"] for other in others
        ]
        assert lowest(replace(LIMITS, in_flight=own), notes).in_flight == holds
