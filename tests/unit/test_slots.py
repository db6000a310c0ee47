"""Finding an account's cap: tables of single events, and whole nights against both vendors."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.slots import (
    KNOCK_ENDS,
    KNOCK_PATIENCE,
    LONGEST_GAP_S,
    PROBE_GAP_S,
    AutoSlots,
    Surplus,
    certainly_queued,
    from_json,
)

HOUR_S = 3600.0
FULL = AutoSlots(limit=8, cap=8, surplus=Surplus.REFUSED, probe_at=1e6, rendering=8)


def test_a_new_account_starts_with_two() -> None:
    assert AutoSlots().room(0, 0.0) == 2


def test_the_limit_grows_by_one_when_a_submit_reaches_it() -> None:
    assert AutoSlots().accepted(0, 0.0).limit == 2
    assert AutoSlots().accepted(1, 0.0).limit == 3


def test_nothing_grows_far_before_a_task_was_seen_to_render() -> None:
    slots = AutoSlots()
    for unfinished in range(20):
        slots = slots.accepted(unfinished, 0.0)
    assert slots.limit == 3
    assert slots.running(3, 3).limit == 4


@pytest.mark.parametrize(("unfinished", "limit"), [(8, 8), (5, 5), (1, 1), (0, 1)])
def test_a_refusal_shrinks_the_limit_at_once_to_what_was_unfinished(
    unfinished: int, limit: int
) -> None:
    refused = AutoSlots(limit=9, rendering=9).refused(unfinished, 10.0, 30.0)
    assert (refused.limit, refused.cap, refused.surplus) == (limit, limit, Surplus.REFUSED)
    assert refused.probe_at == 10.0 + PROBE_GAP_S


@given(st.integers(0, 100), st.integers(1, 50))
def test_a_refusal_never_raises_the_limit(unfinished: int, limit: int) -> None:
    for slots in (AutoSlots(limit=limit), replace(FULL, limit=limit, cap=limit)):
        assert slots.refused(unfinished, 0.0, 30.0).limit <= limit


def test_where_others_hold_every_slot_the_pauses_grow_until_a_submit_is_taken() -> None:
    slots, pauses, now = AutoSlots(), [], 0.0
    for _ in range(7):
        slots = slots.refused(0, now, 30.0)
        pauses.append(slots.open_at - now)
        now = slots.open_at
    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    assert slots.accepted(0, now).open_at == 0.0


def test_a_cap_is_tried_again_only_after_the_gap() -> None:
    slots = AutoSlots(limit=8, rendering=8).refused(8, 0.0, 30.0)
    assert slots.room(8, PROBE_GAP_S - 1) == 8
    assert slots.room(8, PROBE_GAP_S) == 9


def test_the_gap_doubles_with_each_refused_probe_up_to_six_hours() -> None:
    slots, gaps = AutoSlots(limit=8, rendering=8).refused(8, 0.0, 30.0), []
    for _ in range(6):
        slots = slots.refused(8, slots.probe_at, 30.0)
        gaps.append(slots.probe_gap_s / PROBE_GAP_S)
    assert gaps == [2, 4, 8, 12, 12, 12]
    assert slots.probe_gap_s == LONGEST_GAP_S


def test_a_probe_that_is_taken_goes_on_growing_by_one() -> None:
    slots = replace(FULL, probe_at=5.0).accepted(8, 5.0)
    assert (slots.limit, slots.cap) == (9, None)
    assert slots.accepted(8, 6.0).accepted(9, 6.0).limit == 11


def test_a_task_that_waits_shows_how_many_render() -> None:
    slots = AutoSlots(limit=14, rendering=8).queued(8, 0.0)
    assert (slots.cap, slots.limit, slots.surplus) == (8, 10, Surplus.QUEUED)


@pytest.mark.parametrize(("cap", "limit"), [(1, 3), (2, 4), (8, 10), (16, 18), (30, 34)])
def test_one_or_two_wait_ahead_at_a_vendor_that_queues(cap: int, limit: int) -> None:
    assert AutoSlots(limit=60, rendering=cap).queued(cap, 0.0).limit == limit


def test_only_a_tighter_bound_on_what_renders_is_news() -> None:
    slots = AutoSlots(limit=14, rendering=8).queued(8, 0.0)
    assert slots.queued(9, 1.0) == slots
    assert slots.queued(7, 1.0).cap == 7


def test_words_of_a_vendor_that_never_says_running_are_not_believed() -> None:
    slots = AutoSlots().queued(0, 0.0)
    assert (slots.wordless, slots.limit) == (True, 2)
    assert slots.queued(3, 0.0) == slots
    assert not slots.running(1, 1).wordless


@pytest.mark.parametrize(
    ("age_s", "mean_s", "queued"),
    [(5.0, None, False), (11.0, None, True), (11.0, 100.0, False), (21.0, 100.0, True)],
)
def test_a_moment_of_init_is_no_queue(age_s: float, mean_s: float | None, queued: bool) -> None:
    assert certainly_queued(age_s, 5.0, mean_s) is queued


def test_a_knock_goes_out_when_an_end_is_likely_enough() -> None:
    assert FULL.room(8, 0.0, KNOCK_ENDS - 0.01) == 8
    assert FULL.room(8, 0.0, KNOCK_ENDS) == 9
    assert FULL.room(9, 0.0, KNOCK_ENDS) == 10
    assert FULL.room(8, 0.0, None) == 8


def test_knocks_do_not_pile_up_tasks_without_bound() -> None:
    assert FULL.room(40, 0.0, 99.0) == 12


@pytest.mark.parametrize("surplus", [Surplus.UNKNOWN, Surplus.QUEUED])
def test_a_vendor_that_does_not_refuse_is_not_knocked_at(surplus: Surplus) -> None:
    assert replace(FULL, surplus=surplus).room(8, 0.0, 99.0) == 8


def test_a_knock_teaches_nothing_about_the_cap() -> None:
    assert FULL.accepted(8, 0.0).limit == 8
    assert FULL.refused(8, 0.0, 30.0) == replace(FULL, knocks_refused=1)


def test_knocks_that_nobody_answers_become_rare() -> None:
    slots = FULL
    for _ in range(KNOCK_PATIENCE + 3):
        slots = slots.refused(8, 0.0, 30.0)
    assert slots.knock_ends == KNOCK_ENDS * 8
    assert not slots.knocks_pay
    assert slots.accepted(7, 0.0).knock_ends == KNOCK_ENDS


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("accepted"), st.integers(0, 60)),
        st.tuples(st.just("refused"), st.integers(0, 60)),
        st.tuples(st.just("running"), st.integers(0, 60)),
        st.tuples(st.just("queued"), st.integers(0, 60)),
        st.tuples(st.just("finished"), st.integers(1, 600)),
    ),
    max_size=80,
)


def told(slots: AutoSlots, name: str, number: int, now: float) -> AutoSlots:
    match name:
        case "accepted":
            return slots.accepted(number, now)
        case "refused":
            return slots.refused(number, now, 30.0)
        case "running":
            return slots.running(number, number)
        case "queued":
            return slots.queued(number, now)
        case _:
            return slots.finished(float(number), now)


@given(EVENTS)
def test_whatever_happens_the_limit_is_at_least_one_and_is_remembered(
    events: list[tuple[str, int]],
) -> None:
    slots = AutoSlots()
    for step, (name, number) in enumerate(events):
        before, slots = slots, told(slots, name, number, step * 600.0)
        assert slots.limit >= 1
        assert slots.limit <= before.limit + max(2, math.ceil(before.limit / 8))
        assert slots.cap is None or 1 <= slots.cap <= slots.limit
        again = from_json(slots.to_json(), step * 600.0)
        assert again.to_json() == slots.to_json()


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"version": 2, "limit": 8},
        {"version": 1, "limit": 8},
        {**FULL.to_json(), "limit": "many"},
        {**FULL.to_json(), "surplus": "sold"},
        {**FULL.to_json(), "probe_at": None},
        {**FULL.to_json(), "limit": float("inf")},
    ],
)
def test_an_unreadable_memory_is_a_fresh_start(data: dict[str, object] | None) -> None:
    assert from_json(data, 0.0) == AutoSlots()


def test_a_probe_far_in_the_future_comes_from_a_clock_that_jumped() -> None:
    assert from_json(FULL.to_json(), 0.0).probe_at == PROBE_GAP_S


@dataclass(slots=True)
class Night:
    """A night of submits against a vendor in virtual time; every end is noticed at once.

    ``others``: slots that others hold, by the hour from which they do.
    """

    cap: int
    queues: bool = False
    words: bool = True
    others: dict[float, int] = field(default_factory=dict)
    slots: AutoSlots = field(default_factory=AutoSlots)
    now: float = 0.0
    refusals: list[float] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    steps: int = 0
    ends: list[tuple[float, float, float]] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(7))

    def renderers(self) -> int:
        held = [count for hour, count in self.others.items() if hour * HOUR_S <= self.now]
        return self.cap - (held[-1] if held else 0)

    def until(self, hours: float) -> Night:
        while self.now < hours * HOUR_S:
            self.step()
        return self

    def step(self) -> None:
        self.steps += 1
        self.limits.append(self.slots.limit)
        room = self.slots.room(len(self.ends), self.now)
        if len(self.ends) < room and self.now >= self.slots.open_at:
            self.submit()
            self.now += 1.0
            return
        waiting = self.slots.open_at if self.slots.open_at > self.now else self.now + 60.0
        self.now = max(self.now, min([waiting] + [end for end, _, _ in self.ends[:1]]))
        self.notice()

    def submit(self) -> None:
        unfinished = len(self.ends)
        if not self.queues and unfinished >= self.renderers():
            self.refusals.append(self.now)
            self.slots = self.slots.refused(unfinished, self.now, 30.0)
            return
        ends = sorted(end for end, _, _ in self.ends)
        free = self.now if unfinished < self.cap else max(self.now, ends[unfinished - self.cap])
        end = free + self.dice.lognormvariate(5.0, 0.3)
        heapq.heappush(self.ends, (end, free, self.now))
        self.slots = self.slots.accepted(unfinished, self.now)

    def notice(self) -> None:
        while self.ends and self.ends[0][0] <= self.now:
            end, _, accepted = heapq.heappop(self.ends)
            self.slots = self.slots.finished(end - accepted, self.now)
        self.look()

    def look(self) -> None:
        """As polls do: tasks that render say so, the first that waits says so after 20 s."""
        running = sum(start <= self.now for _, start, _ in self.ends) if self.words else 0
        if running:
            self.slots = self.slots.running(running, len(self.ends))
        late = [
            a for _, s, a in self.ends if (s > self.now or not self.words) and self.now > a + 20
        ]
        if late:
            before = sum(accepted < min(late) for _, _, accepted in self.ends)
            self.slots = self.slots.queued(before, self.now)


@pytest.mark.parametrize("cap", [1, 2, 3, 8, 12, 30])
def test_the_cap_of_a_vendor_that_refuses_is_found_within_an_hour_by_one_refusal(cap: int) -> None:
    night = Night(cap=cap).until(0.45)
    assert (night.slots.limit, night.slots.cap) == (cap, cap)
    assert len(night.refusals) == 1


@pytest.mark.parametrize("cap", [1, 2, 3, 8, 12, 30])
def test_the_cap_of_a_vendor_that_queues_is_found_and_a_few_wait_ahead(cap: int) -> None:
    night = Night(cap=cap, queues=True).until(3)
    assert night.slots.cap == cap
    assert cap + 2 <= night.slots.limit <= cap + 4
    assert max(night.limits) <= 2 * cap + 5


@pytest.mark.parametrize("cap", [2, 8, 30])
def test_where_words_say_nothing_durations_find_a_cap_near_the_true_one(cap: int) -> None:
    night = Night(cap=cap, queues=True, words=False).until(12)
    assert night.slots.wordless
    assert 0.8 * cap <= night.slots.limit <= 1.4 * cap + 4


def test_a_night_at_a_known_cap_costs_a_handful_of_refusals() -> None:
    night = Night(cap=8).until(12)
    assert len(night.refusals) <= 6
    assert set(night.limits[night.steps // 10 :]) <= {8, 9}


def test_the_cap_is_found_from_memory_without_a_refusal() -> None:
    first = Night(cap=30).until(1)
    memory = from_json(first.slots.to_json(), 0.0)
    second = Night(cap=30, slots=memory).until(0.4)
    assert second.refusals == []
    assert max(second.limits) == 30


def test_slots_that_others_take_are_given_up_at_once_and_won_back_when_they_leave() -> None:
    night = Night(cap=8, others={2.0: 3, 4.0: 0}).until(3)
    assert night.slots.limit == 5
    taken = [at for at in night.refusals if 2 * HOUR_S <= at < 3 * HOUR_S]
    assert 3 <= len(taken) <= 5
    assert night.until(6).slots.limit == 8


def test_no_hour_of_a_troubled_night_sees_a_storm_of_refusals() -> None:
    others = {hour / 2: (hour * 5) % 9 for hour in range(1, 24)}
    night = Night(cap=8, others=others).until(12)
    for hour in range(12):
        within = [at for at in night.refusals if hour <= at / HOUR_S < hour + 1]
        assert len(within) <= 14


def test_waiting_tells_nothing_while_none_is_seen_to_render() -> None:
    slots = AutoSlots()
    assert slots.queued(1, 0.0) == slots


def test_more_at_once_than_the_cap_that_waiting_told_of_has_it_found_anew() -> None:
    slots = AutoSlots(limit=14, rendering=2).queued(2, 0.0)
    anew = slots.at_once(3)
    assert (anew.cap, anew.limit, anew.surplus) == (None, 4, Surplus.UNKNOWN)
    assert slots.at_once(2) is slots


def test_a_cap_that_refusals_told_of_stands_whatever_renders() -> None:
    assert FULL.at_once(20) is FULL


def test_a_task_that_says_init_as_long_as_others_that_had_their_slots_is_in_no_queue() -> None:
    assert certainly_queued(12.0, 5.0, None)
    assert not certainly_queued(12.0, 5.0, None, init_s=9.0)
    assert certainly_queued(14.0, 5.0, None, init_s=9.0)
