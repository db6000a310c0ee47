"""A sample holds every kind before it holds any twice, spread over each kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.sample import sample

JOBS = [(f"a{n}", "file") for n in range(9)] + [("b0", "text")] + [("c0", "image"), ("c1", "image")]


@pytest.mark.parametrize(
    ("count", "chosen"),
    [
        (1, {"a0"}),
        (3, {"a0", "b0", "c0"}),
        (4, {"a0", "a8", "b0", "c0"}),
        (6, {"a0", "a4", "a8", "b0", "c0", "c1"}),
        (99, {name for name, _ in JOBS}),
    ],
)
def test_every_kind_comes_first_and_then_each_is_spread(count: int, chosen: set[str]) -> None:
    assert sample(JOBS, count) == chosen


def test_of_nothing_there_is_no_sample() -> None:
    assert sample([], 3) == frozenset()


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(1, 70))
def test_a_sample_has_its_size_and_as_many_kinds_as_it_can(kinds: list[int], count: int) -> None:
    chosen = sample(enumerate(kinds), count)
    assert len(chosen) == min(count, len(kinds))
    assert len({kinds[n] for n in chosen}) == min(count, len(set(kinds)))
