"""The limiter's arithmetic as a table."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.limits import TurnQueue, Turns, reserve

NOW = 1_000.0


@pytest.mark.parametrize(
    ("next_at", "interval_s", "count", "times", "left"),
    [
        (None, 1.0, 1, (NOW,), NOW + 1),
        (None, 0.5, 3, (NOW, NOW + 0.5, NOW + 1), NOW + 1.5),
        (NOW - 50, 1.0, 1, (NOW,), NOW + 1),
        (NOW, 1.0, 1, (NOW,), NOW + 1),
        (NOW + 3, 1.0, 2, (NOW + 3, NOW + 4), NOW + 5),
        (NOW + 600, 1.0, 1, (NOW + 600,), NOW + 601),
        (NOW + 600.1, 1.0, 1, (NOW,), NOW + 1),
        (NOW + 3_600, 3_600.0, 1, (NOW + 3_600,), NOW + 7_200),
        (NOW + 80_000, 3_600.0, 1, (NOW,), NOW + 3_600),
    ],
)
def test_reservations(
    next_at: float | None, interval_s: float, count: int, times: tuple[float, ...], left: float
) -> None:
    turns = reserve(next_at, NOW, interval_s, count)
    assert (tuple(turns), turns.next_at) == (times, left)


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), min_size=1, max_size=5),
    st.sampled_from([0.0001, 0.05, 1.0]),
    st.lists(st.tuples(st.sampled_from(["pop", "passed", "last"]), st.floats(-1, 60)), max_size=12),
)
def test_a_queue_of_turns_is_the_list_of_their_times(
    rows: list[tuple[float, int]], interval_s: float, steps: list[tuple[str, float]]
) -> None:
    queue, times, at = TurnQueue(), list[float](), NOW
    for gap, count in rows:
        turns = Turns(at + gap, interval_s, count)
        queue.add(turns)
        times += turns
        at = turns.next_at
    for step, intervals in steps:
        moment = NOW + math.floor(intervals) * interval_s
        # At a turn itself, rounding may decide either way.
        if any(abs(t - moment) < interval_s / 100 for t in times):
            moment += interval_s / 2
        passed = len([t for t in times if t <= moment])
        if step == "pop" and times:
            assert queue.pop() == pytest.approx(times.pop(0))
        elif step == "passed":
            queue.drop_passed(moment)
            times = times[passed:]
        elif step == "last":
            queue.drop_all_but_last(moment)
            times = times[max(0, passed - 1) :]
        assert bool(queue) == bool(times)
        if times:
            assert queue.first == pytest.approx(times[0])
            assert queue.second == (pytest.approx(times[1]) if len(times) > 1 else None)


@given(
    st.sampled_from([0.05, 0.2, 1.0, 3.0, 60.0, 3_600.0]),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 3)), max_size=6),
)
def test_no_two_reserved_times_are_closer_than_the_interval(
    interval_s: float, calls: list[tuple[float, int]]
) -> None:
    now, next_at = NOW, None
    sent: list[float] = []
    for wait, count in calls:
        now += wait
        turns = reserve(next_at, now, interval_s, count)
        next_at = turns.next_at
        assert all(at >= now for at in turns)
        sent += turns
    gaps = [b - a for a, b in itertools.pairwise(sent)]
    assert all(gap >= interval_s - 1e-6 for gap in gaps)
