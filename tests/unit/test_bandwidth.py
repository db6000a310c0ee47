"""The arithmetic of bandwidth: what may pass in any window, and that none of it is wasted."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.core.limits import BURST_BYTES, Throttle, pass_bytes
from orchestrator.manifest.scalars import bandwidth

RATES = st.sampled_from([1e3, 5e4, 1e6, 1e8])
PIECES = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 65_536)), min_size=1, max_size=60)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(RATES, PIECES)
@example(1e3, [(0.0, 2), *[(0.0, 65_536)] * 4])
def test_no_window_takes_more_than_its_share_and_a_burst(
    per_s: float, pieces: list[tuple[float, int]]
) -> None:
    now, free_at = 100.0, None
    passed: list[tuple[float, int]] = []
    for pause_s, size in pieces:
        now += pause_s
        at, free_at = pass_bytes(free_at, now, size, per_s)
        assert at >= now
        passed.append((at, size))
    for first, last in itertools.combinations_with_replacement(range(len(passed)), 2):
        span_s = passed[last][0] - passed[first][0]
        size = sum(size for _, size in passed[first : last + 1])
        assert size <= BURST_BYTES + per_s * span_s + 1.0


@given(RATES, st.integers(1, 4), st.floats(0, 0.002))
def test_a_busy_line_is_used_in_full(per_s: float, streams: int, late_s: float) -> None:
    """Whoever wakes a little late makes up for it: nothing is lost over many pieces."""
    clock = Clock()
    throttle = Throttle(per_s, clock)
    size, total = throttle.piece_bytes, 0
    ready = [clock.now] * streams
    for _ in range(200):
        ready.sort()
        clock.now = max(clock.now, ready[0])
        ready[0] = clock.now + throttle.wait_s(size) + late_s
        total += size
    spent_s = max(ready) - 100.0
    if streams * size / per_s > late_s:
        assert total >= 0.95 * per_s * spent_s - streams * size


def test_the_first_pieces_pass_at_once_up_to_a_burst_and_the_rest_is_spaced() -> None:
    throttle = Throttle(65_536.0, Clock())
    waits = [throttle.wait_s(65_536) for _ in range(6)]
    assert waits == pytest.approx([0.0, 0.0, 0.0, 0.0, 1.0, 2.0])


def test_a_piece_larger_than_a_burst_waits_for_what_is_above_it() -> None:
    throttle = Throttle(1e6, Clock())
    assert throttle.wait_s(BURST_BYTES + 2_000_000) == pytest.approx(2.0)
    assert throttle.wait_s(1_000_000) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("per_s", "piece_bytes"), [(1e3, 1024), (80_000.0, 10_000), (1e6, 65_536), (1e9, 65_536)]
)
def test_pieces_are_small_enough_for_a_narrow_line(per_s: float, piece_bytes: int) -> None:
    assert Throttle(per_s, Clock()).piece_bytes == piece_bytes


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [("10MB/s", 1e7), ("500kB/s", 5e5), ("2.5 MB / s", 2.5e6), ("1GB/s", 1e9), ("1kB/s", 1e3)],
)
def test_a_bandwidth_is_understood(text: str, bytes_per_s: float) -> None:
    assert bandwidth(text) == bytes_per_s


@pytest.mark.parametrize(
    "text", ["", "10", "10MB", "0MB/s", "0.5kB/s", "10Mbit/s", "10 mb/s", "-1MB/s", "10MB/min"]
)
def test_what_is_no_bandwidth_is_refused(text: str) -> None:
    assert bandwidth(text) is None
