"""The transition table: what it allows, what it refuses, and what design.md says of it."""

from __future__ import annotations

from itertools import product

import pytest

from orchestrator.core.state import TASK_ENDED, TRANSITIONS, VERDICT_OF, next_state
from orchestrator.errors import IllegalTransition
from orchestrator.model import PAID_FOR, TERMINAL, EventKind, JobId, State, Verdict

E, S = EventKind, State

LEGAL = [(s, e, after) for s, row in TRANSITIONS.items() for e, after in row.items()]
ILLEGAL = [(s, e) for s, e in product(S, E) if e not in TRANSITIONS[s]]

LEAVES_TO = {
    S.PENDING: {S.PENDING, S.READY, S.FAILED, S.CANCELLED},
    S.READY: {S.SUBMITTING, S.PENDING, S.CANCELLED},
    S.SUBMITTING: {S.SUBMITTED, S.READY, S.PENDING, S.IN_DOUBT, S.FAILED},
    S.SUBMITTED: {S.SUBMITTED, S.RENDERED, S.READY, S.FAILED, S.CANCELLED},
    S.RENDERED: {S.DONE, S.FAILED},
    S.IN_DOUBT: {S.SUBMITTED, S.READY, S.FAILED, S.CANCELLED},
    S.DONE: {S.SUBMITTED, S.READY, S.PENDING, S.DONE},
    S.FAILED: {S.SUBMITTED, S.READY, S.PENDING},
    S.CANCELLED: {S.SUBMITTED, S.READY, S.PENDING, S.CANCELLED},
}
"""Some may also be left to themselves: revised, overdue, moved, the task of a cancelled job."""

REVIVES = {E.RETRY_POLL, E.RETRY_SUBMIT, E.RETRY_UPLOAD, E.REVISED}
WATCHED = {E.TASK_SUCCEEDED, E.TASK_OVERDUE, E.TASK_FAILED, E.TASK_LOST}


def reachable(begin: State) -> set[State]:
    seen, fresh = {begin}, {begin}
    while fresh:
        fresh = {after for s in fresh for after in TRANSITIONS[s].values()} - seen
        seen |= fresh
    return seen


@pytest.mark.parametrize(("state", "to"), LEAVES_TO.items(), ids=[*LEAVES_TO])
def test_a_state_is_left_to_these_states_and_no_others(state: State, to: set[State]) -> None:
    assert set(TRANSITIONS[state].values()) == to


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(S)


def test_every_state_is_reached_from_pending() -> None:
    assert reachable(S.PENDING) == set(S)


def test_from_every_state_a_job_can_still_be_done() -> None:
    assert [s for s in S if S.DONE not in reachable(s)] == []


def test_every_event_can_happen_somewhere() -> None:
    assert {event for _, event, _ in LEGAL} == set(E)


@pytest.mark.parametrize(("state", "event", "after"), LEGAL)
def test_a_legal_pair_leads_where_the_table_says(
    state: State, event: EventKind, after: State
) -> None:
    assert next_state(state, event) is after


def test_an_illegal_pair_is_refused_whichever_it_is() -> None:
    for state, event in ILLEGAL:
        with pytest.raises(IllegalTransition):
            next_state(state, event)
    assert len(ILLEGAL) + len(LEGAL) == len(S) * len(E)


def test_the_refusal_names_job_state_and_event() -> None:
    with pytest.raises(IllegalTransition) as caught:
        next_state(S.DONE, E.SUBMIT_INTENT, job=JobId("anna-en"))
    error = caught.value
    assert (error.job, error.state, error.event) == ("anna-en", S.DONE, E.SUBMIT_INTENT)
    assert str(error) == "job anna-en: event submit_intent cannot happen in state done"


@pytest.mark.parametrize(
    ("state", "events"),
    [
        (S.DONE, REVIVES | {E.FILE_GONE, E.MOVED}),
        (S.FAILED, REVIVES),
        (S.CANCELLED, REVIVES | WATCHED),
    ],
)
def test_a_final_state_is_left_only_by_request(state: State, events: set[EventKind]) -> None:
    assert set(TRANSITIONS[state]) == events


def test_a_cancelled_job_stays_so_whatever_becomes_of_its_task() -> None:
    assert {TRANSITIONS[S.CANCELLED][event] for event in WATCHED} == {S.CANCELLED}


def test_final_states_are_those_that_the_model_calls_so() -> None:
    assert {s for s in S if set(TRANSITIONS[s]) >= REVIVES} == TERMINAL


def test_the_paid_request_begins_at_ready_and_nowhere_else() -> None:
    assert [s for s, e, _ in LEGAL if e is E.SUBMIT_INTENT] == [S.READY]
    assert [s for s, _, after in LEGAL if after is S.SUBMITTING] == [S.READY]


def test_a_job_is_not_revised_while_an_attempt_may_be_alive() -> None:
    assert [s for s in PAID_FOR if E.REVISED in TRANSITIONS[s]] == []


def test_submitting_found_at_start_up_is_in_doubt() -> None:
    assert next_state(S.SUBMITTING, E.SUBMIT_INTERRUPTED) is S.IN_DOUBT


def test_a_doubt_is_never_submitted_without_being_cleared() -> None:
    ways = {e for e, after in TRANSITIONS[S.IN_DOUBT].items() if after in (S.READY, S.PENDING)}
    assert ways == {E.DOUBT_CLEARED}


@pytest.mark.parametrize("state", [S.SUBMITTING, S.IN_DOUBT])
def test_every_way_out_of_an_open_attempt_but_cancelling_says_what_became_of_it(
    state: State,
) -> None:
    assert [e for e in TRANSITIONS[state] if e not in VERDICT_OF] in ([], [E.CANCELLED])


def test_an_attempt_counts_as_accepted_exactly_where_its_task_is_known() -> None:
    accepted = {e for e, verdict in VERDICT_OF.items() if verdict is Verdict.ACCEPTED}
    into_submitted = {
        e for s, e, after in LEGAL if s in (S.SUBMITTING, S.IN_DOUBT) and after is S.SUBMITTED
    }
    assert accepted == into_submitted


def test_a_task_ends_with_every_event_that_leaves_submitted_but_cancelling() -> None:
    leaving = {e for e, after in TRANSITIONS[S.SUBMITTED].items() if after is not S.SUBMITTED}
    assert leaving - {E.CANCELLED} == TASK_ENDED
