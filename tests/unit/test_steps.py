"""What to type next: true for the way a run ended, and typed as a shell takes it."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from orchestrator.core.outage import Stop
from orchestrator.model import State
from orchestrator.report.commands import Typing
from orchestrator.report.headline import headline
from orchestrator.report.steps import Situation, next_steps
from orchestrator.report.told import Told

S = State
TYPING = Typing(batch="spring", manifest="jobs.yaml")


def steps(counts: dict[State, int], typing: Typing = TYPING, **more: Any) -> tuple[str, ...]:
    return next_steps(Situation(counts=counts, **more), typing)


def test_a_batch_that_is_done_needs_nothing() -> None:
    assert steps({S.DONE: 3}) == ()


def test_every_word_of_a_command_is_quoted_for_the_shell() -> None:
    typing = Typing(
        batch="spring",
        manifest="my jobs.yaml",
        state="st 3",
        rehearsal=("--emulator", "--faults", "odd faults.yaml", "--time-scale", "60"),
    )
    counts = {S.READY: 1, S.FAILED: 2, S.IN_DOUBT: 2}
    for step in steps(counts, typing, given_up=1, left_out=3):
        typed = shlex.split(step.partition("    # ")[0])
        assert typed[0] == "orchestrator"
        assert typed[typed.index("--state") + 1] == "st 3"
        if typed[1] == "run":
            assert typed[2:8] == ["my jobs.yaml", *typing.rehearsal]


def test_a_rehearsal_goes_on_with_its_faults_and_its_pace() -> None:
    typing = Typing(batch="b", manifest="m.yaml", rehearsal=("--emulator", "--time-scale", "60"))
    again, why, settle = steps({S.READY: 1, S.IN_DOUBT: 1}, typing, doubtful="x")
    assert again.startswith("orchestrator run m.yaml --emulator --time-scale 60    # goes on")
    assert why.startswith("orchestrator why b/x --emulator    # ")
    assert settle.startswith("orchestrator resolve b/x --task-id ID --emulator    # ")


def test_a_spent_budget_has_to_be_raised_before_the_run_goes_on() -> None:
    first, again = steps({S.DONE: 1, S.READY: 2}, stops=[Stop.BUDGET], budget=10.0)
    assert first == "raise budget.credits in jobs.yaml (now 10): it does not cover the next job"
    assert again == "orchestrator run jobs.yaml    # then goes on where this run stopped"


def test_a_spent_limit_of_the_run_is_named_with_what_it_was() -> None:
    [again] = steps({S.READY: 2}, stops=[Stop.BUDGET], max_credits=5.0)
    assert again == (
        "orchestrator run jobs.yaml --max-credits N    # goes on; N: what that run may cost "
        "(this one: 5)"
    )


def test_of_two_limits_both_are_named() -> None:
    first, again = steps({S.READY: 2}, stops=[Stop.BUDGET], budget=10.0, max_credits=5.0)
    assert first.endswith("it does not cover the next job, unless only --max-credits is spent")
    assert "--max-credits N" in again


def test_an_empty_account_has_to_be_filled_before_the_run_goes_on() -> None:
    first, again = steps({S.READY: 2}, stops=[Stop.CREDIT])
    assert first.startswith("buy credit for the account first")
    assert again.endswith("# then goes on where this run stopped")


def test_status_says_that_a_batch_out_of_credit_needs_some() -> None:
    [again] = steps({S.READY: 2}, out_of_credit=True)
    assert again.endswith("# goes on, once budget.credits is raised or credit is bought")


def test_jobs_in_doubt_are_looked_at_with_why_and_settled_with_resolve() -> None:
    shown = steps({S.DONE: 1, S.IN_DOUBT: 2}, doubtful="hello")
    assert [shlex.split(step.partition("    # ")[0])[1:] for step in shown] == [
        ["jobs", "spring", "--in", "in_doubt"],
        ["why", "spring/hello"],
        ["resolve", "spring/hello", "--task-id", "ID"],
    ]


def test_what_a_killed_run_was_submitting_is_looked_for_by_the_next() -> None:
    assert steps({S.SUBMITTING: 1}, cut_off=True) == (
        "orchestrator run jobs.yaml    # goes on where the last run was cut off",
    )


def test_jobs_that_were_left_out_are_made_by_a_run_without_the_flag() -> None:
    assert steps({S.DONE: 3}, left_out=1_009) == (
        "orchestrator run jobs.yaml    # makes the 1,009 not selected this time, too",
    )


def test_refused_credentials_are_checked_first() -> None:
    assert steps({S.READY: 1}, stops=[Stop.AUTH])[0] == "check TOPVIEW_API_KEY and TOPVIEW_UID"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            Told(jobs=12, existing=12),
            "all 12 jobs were left out, since the output files exist (--skip-existing)",
        ),
        (
            Told(jobs=1, existing=1),
            "the only job was left out, since the output files exist (--skip-existing)",
        ),
        (
            Told(jobs=12, existing=3, by=("--only",)),
            "every job was left out (--only, --skip-existing)",
        ),
    ],
)
def test_a_run_that_left_out_everything_says_so(told: Told, said: str) -> None:
    line = headline("spring", {}, overdue=0, stops=(), did=0, told=told)
    assert line == f"spring: nothing to do: {said}"
