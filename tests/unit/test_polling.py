"""The polling schedule against a simple model, and the waits before anything is learned."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.polling import PollSchedule, untaught_wait_s
from orchestrator.model import JobKey

KEYS = st.integers(1, 8).map(JobKey)
TIMES = st.integers(0, 20).map(float)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, TIMES),
        st.tuples(st.just("drop"), KEYS, TIMES),
        st.tuples(st.just("take"), st.integers(0, 4).map(JobKey), TIMES),
    ),
    max_size=200,
)


@given(STEPS)
def test_the_schedule_does_what_a_plain_dictionary_would(
    steps: list[tuple[str, JobKey, float]],
) -> None:
    schedule, model = PollSchedule(), dict[JobKey, float]()
    for step, number, at in steps:
        match step:
            case "put":
                schedule.put(number, at)
                model[number] = at
            case "drop":
                schedule.drop(number)
                model.pop(number, None)
            case _:
                expected = sorted((due, k) for k, due in model.items() if due <= at)[:number]
                assert schedule.take_due(at, number) == [k for _, k in expected]
                for _, key in expected:
                    del model[key]
        assert schedule.next_due() == min(model.values(), default=None)
        assert (len(schedule), set(schedule)) == (len(model), set(model))
        assert all(key in schedule for key in model)


def test_the_longest_waiting_comes_first() -> None:
    schedule = PollSchedule()
    for key, due in ((1, 30.0), (2, 10.0), (3, 20.0), (4, 99.0)):
        schedule.put(JobKey(key), due)
    assert schedule.take_due(50.0, 10) == [2, 3, 1]


def test_a_task_that_is_put_off_a_thousand_times_is_asked_about_once() -> None:
    schedule = PollSchedule()
    for n in range(1000):
        schedule.put(JobKey(1), float(n))
    assert schedule.take_due(1e9, 10) == [1]
    assert schedule.next_due() is None


def test_putting_off_for_ever_costs_no_memory() -> None:
    schedule = PollSchedule()
    for n in range(10_000):
        schedule.put(JobKey(n % 10), float(n))
    assert len(schedule._heap) <= 64 + 2 * 10


@pytest.mark.parametrize(
    ("asked", "wait_s"), [(0, 5.0), (1, 6.25), (2, 7.8125), (5, 15.0), (6, 15.0), (10**6, 15.0)]
)
def test_waits_grow_from_five_seconds_to_fifteen(asked: int, wait_s: float) -> None:
    waits = [untaught_wait_s(asked, 5.0, random.Random(seed)) for seed in range(200)]
    assert sum(waits) / len(waits) == pytest.approx(wait_s, rel=0.02)
    assert min(waits) >= 0.9 * wait_s
    assert max(waits) <= 1.1 * wait_s


def test_waits_scale_with_the_poll_interval() -> None:
    long_s = untaught_wait_s(3, 5.0, random.Random(1))
    assert untaught_wait_s(3, 0.05, random.Random(1)) == pytest.approx(long_s / 100)


def test_tasks_accepted_together_are_not_asked_about_together_for_ever() -> None:
    rng = random.Random(1)
    assert len({untaught_wait_s(4, 5.0, rng) for _ in range(50)}) == 50
