"""Waits between repeated free calls, pauses after doubt, and rows of equal failures."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.retry import (
    FAILURES,
    LONGEST_RETRY_AFTER_S,
    Backoff,
    Streak,
    doubt_pause_s,
    heeded_s,
    how_to_revive,
)
from orchestrator.model import EventKind

STEPS_S = {1: 1.0, 2: 2.0, 3: 4.0, 4: 8.0, 5: 16.0, 6: 32.0, 7: 60.0, 8: 60.0, 10**6: 60.0}


class Always(random.Random):
    """Random numbers that are always the same share of their range."""

    def __init__(self, share: float) -> None:
        super().__init__(0)
        self.share = share

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self.share


class TestBackoff:
    @pytest.mark.parametrize(("failures", "step_s"), STEPS_S.items())
    def test_steps_double_up_to_the_ceiling(self, failures: int, step_s: float) -> None:
        assert Backoff().wait_s(failures, Always(1.0)) == step_s

    @pytest.mark.parametrize(("failures", "step_s"), STEPS_S.items())
    def test_jitter_goes_down_to_half_a_step_at_the_ceiling_too(
        self, failures: int, step_s: float
    ) -> None:
        assert Backoff().wait_s(failures, Always(0.0)) == step_s / 2

    @given(
        st.integers(1, 10**6),
        st.floats(0.01, 100),
        st.floats(1, 100),
        st.integers(),
        st.none() | st.floats(0, 1e12),
    )
    def test_a_wait_is_within_its_bounds_whatever_happens(
        self, failures: int, first_s: float, growth: float, seed: int, wish_s: float | None
    ) -> None:
        ceiling_s = first_s * growth
        backoff = Backoff(first_s=first_s, ceiling_s=ceiling_s)
        wait_s = backoff.wait_s(failures, random.Random(seed), wish_s)
        assert wait_s >= first_s / 2
        assert wait_s <= max(ceiling_s, heeded_s(wish_s))

    def test_a_million_failures_overflow_nothing(self) -> None:
        assert Backoff(first_s=1e-3).wait_s(10**6, random.Random(1)) <= 60.0

    @pytest.mark.parametrize(
        ("retry_after_s", "wait_s"),
        [(None, 4.0), (0.0, 4.0), (3.0, 4.0), (90.0, 90.0), (1e9, LONGEST_RETRY_AFTER_S)],
    )
    def test_a_longer_wish_of_the_server_wins_up_to_an_hour(
        self, retry_after_s: float | None, wait_s: float
    ) -> None:
        assert Backoff().wait_s(3, Always(1.0), retry_after_s) == wait_s

    def test_two_callers_do_not_come_back_together(self) -> None:
        rng = random.Random(7)
        assert Backoff().wait_s(5, rng) != Backoff().wait_s(5, rng)


@pytest.mark.parametrize(
    ("unknowns", "pause_s"), [(1, 10.0), (2, 60.0), (3, 300.0), (4, 1800.0), (5, 1800.0)]
)
def test_pauses_after_doubt_grow_to_half_an_hour(unknowns: int, pause_s: float) -> None:
    assert doubt_pause_s(unknowns, 1.0) == pause_s
    assert doubt_pause_s(unknowns, 0.01) == pytest.approx(pause_s / 100)


def streak(reasons: str) -> Streak:
    """A streak after one failure for each letter; "." is a success."""
    found = Streak()
    for reason in reasons:
        found = found.succeeded() if reason == "." else found.failed(reason)
    return found


@pytest.mark.parametrize(
    ("reasons", "length"),
    [("", 0), ("a", 1), ("aaa", 3), ("aab", 1), ("abab", 1), ("aa.a", 1), ("aaa.", 0), ("baaa", 3)],
)
def test_a_streak_counts_failures_in_a_row_for_one_reason(reasons: str, length: int) -> None:
    assert streak(reasons).length == length


def test_a_failure_without_a_reason_counts_like_any_other() -> None:
    assert Streak().failed("").failed("").length == 2


def test_only_failures_of_the_vendor_or_of_files_count_for_stop_after() -> None:
    assert {
        EventKind.UPLOAD_FAILED,
        EventKind.SUBMIT_REFUSED,
        EventKind.TASK_FAILED,
        EventKind.TASK_LOST,
        EventKind.DOWNLOAD_FAILED,
    } == FAILURES


@pytest.mark.parametrize(
    ("task_may_deliver", "files_live", "event"),
    [
        (True, True, EventKind.RETRY_POLL),
        (True, False, EventKind.RETRY_POLL),
        (False, True, EventKind.RETRY_SUBMIT),
        (False, False, EventKind.RETRY_UPLOAD),
    ],
)
def test_a_retry_goes_on_from_what_is_held(
    task_may_deliver: bool, files_live: bool, event: EventKind
) -> None:
    assert how_to_revive(task_may_deliver=task_may_deliver, files_live=files_live) is event
