"""The limiter's arithmetic as a table."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.limits import reserve

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
        (NOW + 3, 1.0, 0, (), NOW + 3),
    ],
)
def test_reservations(
    next_at: float | None, interval_s: float, count: int, times: tuple[float, ...], left: float
) -> None:
    assert reserve(next_at, NOW, interval_s, count) == (times, left)


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
        times, next_at = reserve(next_at, now, interval_s, count)
        assert all(at >= now for at in times)
        sent += times
    gaps = [b - a for a, b in itertools.pairwise(sent)]
    assert all(gap >= interval_s - 1e-6 for gap in gaps)
