"""Learned durations against drawn ones, and the placing of questions against its theory."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.hazard import (
    FEWEST,
    IDLE_POLLS,
    LEAST_SHARE,
    MOST,
    MOST_POLLS,
    Durations,
    Ends,
    Learner,
    Sample,
    Spare,
    expected_ends,
    kinds_of,
    learn,
    lesson,
    poll_wait_s,
    polls_per_task,
)
from orchestrator.model import Mode


def exact(seconds: float) -> Sample:
    return Sample(low_s=seconds, high_s=seconds)


def draw(count: int, mean_s: float = 8.0, sigma: float = 0.3, seed: int = 1) -> list[float]:
    dice = random.Random(seed)
    mu = math.log(mean_s) - sigma**2 / 2
    return [dice.lognormvariate(mu, sigma) for _ in range(count)]


def learned(seconds: list[float], coarser: list[float] | None = None) -> Durations:
    found = learn([exact(s) for s in seconds], [exact(s) for s in coarser or []])
    assert found is not None
    return found


def seen_every(step_s: float, seconds: float) -> Sample:
    """What questions at even distances show of a duration."""
    number = math.ceil(seconds / step_s)
    return Sample(low_s=(number - 1) * step_s, high_s=number * step_s)


def ask(wait_s: Callable[[float], float], ends_s: list[float]) -> tuple[float, float]:
    """Questions per task and mean time an end is unnoticed."""
    asked = unnoticed_s = 0.0
    for end_s in ends_s:
        age_s = 0.0
        while age_s < end_s:
            age_s += wait_s(age_s)
            asked += 1
        unnoticed_s += age_s - end_s
    return asked / len(ends_s), unnoticed_s / len(ends_s)


def waits(durations: Durations, polls: float) -> Callable[[float], float]:
    return lambda age_s: poll_wait_s(durations, age_s=age_s, polls=polls, interval_s=0.25)


@pytest.mark.parametrize(
    ("audio_s", "kinds"),
    [
        (None, ("avatar1", "any")),
        (0.0, ("avatar1", "any")),
        (0.3, ("avatar1 1-2s", "avatar1", "any")),
        (15.9, ("avatar1 8-16s", "avatar1", "any")),
        (16.0, ("avatar1 16-32s", "avatar1", "any")),
    ],
)
def test_a_kind_is_a_mode_and_audio_of_about_one_length(
    audio_s: float | None, kinds: tuple[str, ...]
) -> None:
    assert kinds_of(Mode.AVATAR1, audio_s) == kinds


def test_two_samples_teach_nothing_and_three_something() -> None:
    two = [exact(8.0)] * (FEWEST - 1)
    assert learn(two) is None
    assert learn(two, two) is None, "the same two, of the kind and of its coarser kind"
    assert learned([8.0, 8.0, 8.0]).quantile_s(0.5) == pytest.approx(8.0, rel=0.1)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.75, 0.95])
def test_many_samples_show_the_distribution_they_come_from(share: float) -> None:
    durations = learned(draw(200))
    mu = math.log(8.0) - 0.3**2 / 2
    true_s = math.exp(mu + 0.3 * statistics.NormalDist().inv_cdf(share))
    assert durations.quantile_s(share) == pytest.approx(true_s, rel=0.1)
    assert durations.unfinished(true_s) == pytest.approx(1 - share, abs=0.08)


def test_ends_seen_late_by_even_questions_do_not_look_more_scattered_than_they_are() -> None:
    sharp = learned(draw(200))
    found = learn([seen_every(3.0, s) for s in draw(200)])
    assert found is not None
    for share in (0.1, 0.5, 0.9):
        assert found.quantile_s(share) == pytest.approx(sharp.quantile_s(share), rel=0.12)


def test_what_is_recent_weighs_more() -> None:
    durations = learned(draw(100, mean_s=8.0) + draw(100, mean_s=16.0))
    assert durations.quantile_s(0.5) > 12.5


def test_a_kind_with_few_samples_leans_on_its_coarser_kind() -> None:
    alone, helped = learned([8.0] * 4), learned([8.0] * 4, draw(100, mean_s=16.0))
    assert alone.quantile_s(0.5) < helped.quantile_s(0.5) < 16.0
    assert learned([8.0] * 4, [16.0] * 2).quantile_s(0.5) < 12.0


def test_a_kind_with_enough_samples_stands_alone() -> None:
    assert learned(draw(12), draw(100, mean_s=80.0)) == learned(draw(12))


@given(
    st.lists(
        st.tuples(st.floats(0.0, 5000.0), st.floats(0.0, 100.0)).map(
            lambda pair: Sample(low_s=pair[0], high_s=pair[0] + pair[1])
        ),
        min_size=FEWEST,
        max_size=40,
    ),
    st.floats(0.0, 20_000.0),
    st.floats(1.0, 99.0),
)
def test_whatever_was_seen_the_next_question_lies_ahead_and_not_beyond_the_bound(
    samples: list[Sample], age_s: float, polls: float
) -> None:
    durations = learn(samples)
    if durations is None:
        assert all(sample.high_s == 0 for sample in samples)
        return
    wait_s = poll_wait_s(durations, age_s=age_s, polls=polls, interval_s=5.0)
    stale_s = max(15.0, 0.2 * durations.mean_s, 2 * durations.mean_s / polls)
    early_s = max(0.0, durations.quantile_s(0.01) - age_s)
    assert 0.0 < wait_s <= early_s + stale_s + 1e-6
    assert list(durations.wear) == sorted(durations.wear)
    assert durations.ends(age_s, age_s + 1) >= 0.0


@pytest.mark.parametrize("polls", [4.0, 8.0, 16.0])
def test_questions_cost_what_was_granted_and_miss_what_theory_says(polls: float) -> None:
    durations = learned(draw(200))
    asked, unnoticed_s = ask(waits(durations, polls), draw(4000, seed=2))
    assert asked == pytest.approx(polls, rel=0.1)
    assert asked * unnoticed_s == pytest.approx(durations.strain_s, rel=0.1)
    assert durations.strain_s == pytest.approx(2.04, rel=0.1)


def test_placed_questions_halve_the_cost_of_even_ones() -> None:
    ends_s = draw(4000, seed=2)
    even, even_late_s = ask(lambda _: 0.25, ends_s)
    placed, placed_late_s = ask(waits(learned(draw(200)), 16.0), ends_s)
    assert placed < even / 2
    assert placed_late_s < even_late_s * 1.15


def test_the_first_question_comes_at_an_early_quantile() -> None:
    durations = learned(draw(200))
    first_s = poll_wait_s(durations, age_s=0.0, polls=16.0, interval_s=0.25)
    assert 0.001 < 1 - durations.unfinished(first_s) < 0.05


def test_questions_are_closest_where_ends_are_likeliest() -> None:
    wait_s = waits(learned(draw(200)), 16.0)
    assert wait_s(8.0) < wait_s(5.0) < wait_s(0.0)


def test_beyond_everything_seen_waits_grow_up_to_the_staleness_bound() -> None:
    durations = learned(draw(200))
    waited = [waits(durations, 16.0)(durations.longest_s * n) for n in (1.2, 1.3, 1.4, 3, 10)]
    assert waited == sorted(waited)
    assert waited[-1] == waited[-2] == pytest.approx(0.2 * durations.mean_s)


def test_a_question_is_due_earlier_by_the_wait_for_its_turn_but_never_at_once() -> None:
    durations = learned(draw(200))
    planned = poll_wait_s(durations, age_s=6.0, polls=8.0, interval_s=0.25)
    earlier = poll_wait_s(durations, age_s=6.0, polls=8.0, interval_s=0.25, turn_wait_s=0.1)
    hurried = poll_wait_s(durations, age_s=6.0, polls=8.0, interval_s=0.25, turn_wait_s=9.0)
    assert earlier == pytest.approx(planned - 0.1)
    assert 0 < hurried < earlier


def test_durations_that_fell_to_a_third_are_learned_from_within_a_hundred_tasks() -> None:
    learner = Learner({"any": [exact(s) for s in draw(200)]})
    for seconds in draw(100, mean_s=8.0 / 3, seed=3):
        durations = learner.durations(("any",))
        assert durations is not None
        _, late_s = ask(waits(durations, 16.0), [seconds])
        assert late_s < 5.0
        learner.seen(("any",), exact(seconds))
    after = learner.durations(("any",))
    assert after is not None
    assert after.quantile_s(0.5) < 3.5


def test_the_finest_kind_of_which_something_is_known_answers() -> None:
    learner = Learner()
    kinds = kinds_of(Mode.AVATAR2, 10.0)
    assert learner.durations(kinds) is None
    for seconds in draw(20, mean_s=50.0):
        learner.seen(("avatar2", "any"), exact(seconds))
    found = learner.durations(kinds)
    assert found is not None
    assert found.mean_s == pytest.approx(50.0, rel=0.15)
    for seconds in draw(20, mean_s=8.0):
        learner.seen(kinds, exact(seconds))
    finest = learner.durations(kinds)
    assert finest is not None
    assert finest.mean_s == pytest.approx(8.0, rel=0.15)


def test_learning_is_put_off_until_one_sample_in_five_is_new() -> None:
    learner = Learner({"any": [exact(s) for s in draw(MOST)]})
    before = learner.durations(("any",))
    for seconds in draw(MOST // 5, mean_s=30.0):
        learner.seen(("any",), exact(seconds))
        assert learner.durations(("any",)) is before
    learner.seen(("any",), exact(30.0))
    assert learner.durations(("any",)) is not before


@pytest.mark.parametrize(
    ("low_s", "high_s", "taught"),
    [
        (7.0, 9.0, True),
        (0.0, 2.0, True),
        (0.5, 5.0, True),
        (0.0, 5.0, True),
        (0.0, 20.0, True),
        (2.0, 9.0, False),
    ],
    ids=[
        "near",
        "young",
        "early and far apart",
        "never asked about",
        "never asked about and old",
        "late and far apart",
    ],
)
def test_what_an_end_teaches(low_s: float, high_s: float, taught: bool) -> None:
    seen = lesson(Sample(low_s=low_s, high_s=high_s), learned(draw(MOST)), 2.0)
    assert (seen is not None) == taught
    assert seen is None or low_s <= seen.low_s <= seen.high_s <= high_s


def test_far_apart_bounds_teach_nothing_before_anything_is_known() -> None:
    assert lesson(Sample(low_s=0.0, high_s=5.0), None, 2.0) is None


@given(low_s=st.floats(0.0, 60.0), width_s=st.floats(0.0, 60.0), mean_s=st.floats(0.5, 50.0))
def test_narrower_bounds_lie_within_the_old(low_s: float, width_s: float, mean_s: float) -> None:
    old = Sample(low_s=low_s, high_s=low_s + width_s)
    new = learned(draw(30, mean_s)).within(old)
    assert old.low_s <= new.low_s <= new.high_s <= old.high_s


def test_half_of_the_tasks_that_end_between_two_ages_end_between_the_narrower_ones() -> None:
    durations, old = learned(draw(MOST)), Sample(low_s=4.0, high_s=9.0)
    new = durations.within(old)
    between = durations.unfinished(new.low_s) - durations.unfinished(new.high_s)
    whole = durations.unfinished(old.low_s) - durations.unfinished(old.high_s)
    assert between == pytest.approx(whole / 2, rel=0.01)


def test_one_question_in_a_life_is_enough_not_to_ask_later_and_later() -> None:
    """With many slots and a low rate the first question comes when most tasks have ended."""
    learner, late_s = Learner({"any": [exact(s) for s in draw(60)]}), 0.0
    for seconds in draw(1_500, seed=3):
        known = learner.durations(("any",))
        assert known is not None
        asked_s = age_s = 0.0
        while age_s < seconds:
            wait_s = poll_wait_s(known, age_s=age_s, polls=1.0, interval_s=0.25)
            asked_s, age_s = age_s, age_s + wait_s
        late_s += age_s - seconds
        if (seen := lesson(Sample(low_s=asked_s, high_s=age_s), known, 2.25)) is not None:
            learner.seen(("any",), seen)
    assert late_s / 1_500 < 0.6 * 8.0


def test_early_ends_stay_as_likely_as_they_are_though_nobody_asked_in_time() -> None:
    """Each task is first asked about when one in twenty should have ended."""
    early_s = sorted(draw(20_000, seed=9))[1_000]
    learner = Learner({"any": [exact(s) for s in draw(60)]})
    for seconds in draw(1_000, seed=2):
        known = learner.durations(("any",))
        assert known is not None
        look_s = known.quantile_s(0.05)
        bounds = exact(seconds) if seconds > look_s else Sample(low_s=0.0, high_s=look_s)
        if (seen := lesson(bounds, known, 1.0)) is not None:
            learner.seen(("any",), seen)
    after = learner.durations(("any",))
    assert after is not None
    assert 0.02 < 1 - after.unfinished(early_s) < 0.09


def test_other_calls_leave_the_rest_of_the_rate_to_polls() -> None:
    spare = Spare(20.0)
    assert spare.for_polls_per_s(0.0) == pytest.approx(19.0)
    for call in range(300):
        spare.other_call(call / 5)
    assert spare.for_polls_per_s(60.0) == pytest.approx(14.0, abs=0.3)
    assert spare.for_polls_per_s(200.0) == pytest.approx(19.0, abs=0.1)


def test_polls_keep_a_share_however_busy_the_others_are() -> None:
    spare = Spare(20.0)
    for call in range(1000):
        spare.other_call(call / 40)
    assert spare.for_polls_per_s(25.0) == LEAST_SHARE * 20.0


@pytest.mark.parametrize(
    ("per_s", "tasks", "most", "polls"),
    [
        (16.0, 8, 99.0, 16.0),
        (16.0, 8, MOST_POLLS, 16.0),
        (16.0, 8, IDLE_POLLS, 4.0),
        (16.0, 0, MOST_POLLS, 16.0),
        (16.0, 5000, MOST_POLLS, 1.0),
    ],
)
def test_the_budget_is_shared_among_the_tasks(
    per_s: float, tasks: int, most: float, polls: float
) -> None:
    durations = learned([8.0] * 50)
    granted = polls_per_task(durations, polls_per_s=per_s, tasks=tasks, most=most)
    assert granted == pytest.approx(polls)


def test_expected_ends_are_those_that_come() -> None:
    durations, ages = learned(draw(200)), [4.0, 6.0, 8.0, 10.0]
    ends = expected_ends([(durations, age) for age in ages], since_s=0.5, ahead_s=0.5)
    drawn = draw(60_000, seed=5)
    come = 0.0
    for age in ages:
        alive = [s for s in drawn if s > age - 0.5]
        come += sum(s <= age for s in alive) / len(alive)
    assert ends.expected == pytest.approx(come, rel=0.15)


def test_of_many_tasks_some_stand_for_all() -> None:
    durations = learned(draw(200))
    few = expected_ends([(durations, 8.0)] * 64, since_s=0.5, ahead_s=0.5)
    many = expected_ends([(durations, 8.0)] * 640, since_s=0.5, ahead_s=0.5)
    assert many.expected == pytest.approx(10 * few.expected)
    assert many.per_s == pytest.approx(10 * few.per_s)
    assert expected_ends([], since_s=0.5, ahead_s=0.5) == Ends(expected=0.0, per_s=0.0)


@pytest.mark.parametrize(
    ("expected", "per_s", "wait_s"), [(0.2, 1.0, 0.0), (0.1, 0.5, 0.2), (0.1, 0.0, None)]
)
def test_the_wait_for_enough_ends(expected: float, per_s: float, wait_s: float | None) -> None:
    assert Ends(expected=expected, per_s=per_s).wait_s(0.2) == pytest.approx(wait_s)
