"""Exit codes, in the order in which they win."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations

import pytest

from orchestrator.core.outage import Stop
from orchestrator.core.verdict import exit_code
from orchestrator.model import State

S = State

ROWS: list[tuple[str, Mapping[State, int], int, Collection[Stop], int]] = [
    ("every job done", {S.DONE: 3}, 0, [], 0),
    ("cancelled jobs do not count", {S.DONE: 1, S.CANCELLED: 9}, 0, [], 0),
    ("no job selected", {}, 0, [], 0),
    ("states with no job do not count", dict.fromkeys(S, 0), 0, [], 0),
    ("some failed", {S.DONE: 3, S.FAILED: 1}, 0, [], 3),
    ("a streak stopped it", {S.DONE: 3, S.READY: 90}, 0, [Stop.STREAK], 3),
    ("a gateway stopped it", {S.READY: 90}, 0, [Stop.GATEWAY], 3),
    ("some in doubt", {S.DONE: 3, S.IN_DOUBT: 1}, 0, [], 4),
    ("found in submitting at the end", {S.SUBMITTING: 1}, 0, [], 4),
    ("some overdue", {S.SUBMITTED: 1}, 1, [], 4),
    ("doubt before failure", {S.IN_DOUBT: 1, S.FAILED: 5}, 0, [Stop.STREAK], 4),
    ("out of credit", {S.READY: 5}, 0, [Stop.CREDIT], 5),
    ("the budget is spent", {S.READY: 5, S.DONE: 3}, 0, [Stop.BUDGET], 5),
    ("its time was up", {S.READY: 5, S.FAILED: 1, S.IN_DOUBT: 1}, 0, [Stop.WINDOW], 6),
    ("the budget before the time", {S.READY: 5}, 0, [Stop.WINDOW, Stop.BUDGET], 5),
    ("credit before doubt", {S.READY: 5, S.IN_DOUBT: 2}, 1, [Stop.CREDIT], 5),
    ("Ctrl-C", {S.READY: 5}, 0, [Stop.SIGINT], 130),
    ("asked to end", {S.READY: 5}, 0, [Stop.SIGTERM], 143),
    ("an interrupt before credit", {S.READY: 5}, 0, [Stop.CREDIT, Stop.SIGTERM], 143),
    ("an interrupt though all is done", {S.DONE: 5}, 0, [Stop.SIGINT], 130),
    ("credentials refused", {S.READY: 5}, 0, [Stop.AUTH], 8),
    ("credentials before an interrupt", {S.READY: 5}, 0, [Stop.SIGINT, Stop.AUTH], 8),
    ("the store failed", {S.DONE: 5}, 0, [Stop.STORE], 9),
    ("the store before all others", {S.FAILED: 1}, 1, [*set(Stop) - {Stop.BUG}], 9),
    ("an unexpected error", {S.DONE: 5}, 0, [Stop.BUG], 1),
    ("unfinished without a reason", {S.READY: 1, S.DONE: 5}, 0, [], 1),
]


@pytest.mark.parametrize(
    ("counts", "overdue", "stops", "code"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_the_exit_code_is(
    counts: Mapping[State, int], overdue: int, stops: Collection[Stop], code: int
) -> None:
    assert exit_code(counts, overdue, stops) == code


IN_ORDER: list[tuple[int, Stop | State]] = [
    (9, Stop.STORE),
    (8, Stop.AUTH),
    (130, Stop.SIGINT),
    (143, Stop.SIGTERM),
    (5, Stop.CREDIT),
    (4, S.IN_DOUBT),
    (3, S.FAILED),
    (0, S.DONE),
]


@pytest.mark.parametrize(("first", "second"), list(combinations(IN_ORDER, 2)), ids=str)
def test_of_two_reasons_the_first_in_the_order_of_the_design_wins(
    first: tuple[int, Stop | State], second: tuple[int, Stop | State]
) -> None:
    reasons = [first[1], second[1]]
    stops = [r for r in reasons if isinstance(r, Stop)]
    counts = {r: 1 for r in reasons if isinstance(r, State)}
    assert exit_code(counts, 0, stops) == first[0]


@pytest.mark.parametrize("stop", Stop)
def test_no_reason_to_stop_ends_in_zero(stop: Stop) -> None:
    assert exit_code({S.DONE: 1}, 0, [stop]) != 0


@pytest.mark.parametrize("state", sorted(set(S) - {S.DONE, S.CANCELLED}))
def test_no_job_left_over_ends_in_zero(state: State) -> None:
    assert exit_code({S.DONE: 99, state: 1}, 0, []) != 0
