"""What an operator's commands do to a job: every state, and never a second payment unasked."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from orchestrator.core import intervene
from orchestrator.core.intervene import Effect, Facts, Ruling, facts_of
from orchestrator.core.state import TRANSITIONS
from orchestrator.model import (
    AttemptKey,
    AudioKind,
    AvatarKind,
    Event,
    EventKind,
    Job,
    JobId,
    JobKey,
    JobSpec,
    Revision,
    State,
    TaskId,
)
from orchestrator.store.base import StoredEvent

NOW = 1_750_000_000.0
DAY = 86_400.0
S, E = State, EventKind
NOTHING = Facts(
    files_live=False, task_may_deliver=False, task_lost=False, doubt_open=False, file_there=False
)


def job(state: State, **more: object) -> Job:
    """A job of one attempt, whose task is known."""
    spec = JobSpec(
        job_id=JobId("hello"),
        avatar_kind=AvatarKind.PUBLIC,
        avatar="3327",
        audio_kind=AudioKind.TEXT,
        audio="Hello.",
        output=Path("/videos/hello.mp4"),
    )
    fixed: dict[str, object] = {
        "key": JobKey(1),
        "job_id": JobId("hello"),
        "version": 5,
        "spec": spec,
        "revision": Revision("r1"),
        "attempts": 1,
        "attempt": AttemptKey(7),
        "task_id": TaskId("9c3e"),
        "accepted_at": NOW - 60,
    }
    return Job(state=state, **{**fixed, **more})  # type: ignore[arg-type]


def history(*events: EventKind | tuple[EventKind, str], attempt: int = 7) -> list[StoredEvent]:
    """Events of one attempt, each with a reason where one is given."""
    pairs = [e if isinstance(e, tuple) else (e, "") for e in events]
    return [
        StoredEvent(
            job_id=JobId("hello"),
            before=S.PENDING,
            after=S.PENDING,
            event=Event(kind=kind, at=NOW, reason=reason),
            attempt=AttemptKey(attempt),
        )
        for kind, reason in pairs
    ]


def facts(of: Job, *events: EventKind | tuple[EventKind, str]) -> Facts:
    return facts_of(of, history(*events), files_live=True, file_there=False)


def outcome(ruling: Ruling) -> EventKind | Effect:
    """The event of a change, else the effect."""
    return ruling.kind or ruling.effect


EVERY_FACTS = [
    Facts(files_live=a, task_may_deliver=b, task_lost=c, doubt_open=d, file_there=e)
    for a, b, c, d, e in product((False, True), repeat=5)
]


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("command", ["retry", "cancel", "resubmit", "drop", "adopt"])
def test_whatever_a_command_changes_the_table_of_states_allows(state: State, command: str) -> None:
    rules = {
        "retry": lambda j, f: intervene.retry(j, f, NOW),
        "cancel": lambda j, _: intervene.cancel(j),
        "resubmit": intervene.resubmit,
        "drop": intervene.drop,
        "adopt": intervene.adopt,
    }
    tasks, orphans, revised = (None, TaskId("9c3e")), (False, True), (False, True)
    for known, task, orphan, changed in product(EVERY_FACTS, tasks, orphans, revised):
        ruling = rules[command](job(state, task_id=task, orphan=orphan, revised=changed), known)
        assert (ruling.kind is not None) == (ruling.effect is Effect.CHANGE)
        assert ruling.kind is None or ruling.kind in TRANSITIONS[state]
        assert ruling.words


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("known", EVERY_FACTS)
def test_retry_never_submits_what_may_have_been_paid_for(state: State, known: Facts) -> None:
    ruling = intervene.retry(job(state), known, NOW)
    if ruling.kind in (E.RETRY_SUBMIT, E.RETRY_UPLOAD):
        assert state in (S.FAILED, S.CANCELLED)
        assert not known.task_may_deliver
        assert not known.doubt_open


RETRY: list[tuple[State, Facts, EventKind | Effect]] = [
    (S.PENDING, NOTHING, Effect.LEAVE),
    (S.READY, NOTHING, Effect.LEAVE),
    (S.SUBMITTING, NOTHING, Effect.LEAVE),
    (S.SUBMITTED, NOTHING, Effect.LEAVE),
    (S.RENDERED, NOTHING, Effect.LEAVE),
    (S.IN_DOUBT, NOTHING, Effect.REFUSE),
    (S.FAILED, NOTHING, E.RETRY_UPLOAD),
    (S.FAILED, replace(NOTHING, files_live=True), E.RETRY_SUBMIT),
    (S.FAILED, replace(NOTHING, files_live=True, task_may_deliver=True), E.RETRY_POLL),
    (S.FAILED, replace(NOTHING, files_live=True, doubt_open=True), Effect.REFUSE),
    (S.CANCELLED, NOTHING, E.RETRY_UPLOAD),
    (S.CANCELLED, replace(NOTHING, task_may_deliver=True), E.RETRY_POLL),
    (S.CANCELLED, replace(NOTHING, doubt_open=True), Effect.REFUSE),
    (S.DONE, replace(NOTHING, task_may_deliver=True, file_there=True), Effect.LEAVE),
    (S.DONE, replace(NOTHING, task_may_deliver=True), E.FILE_GONE),
    (S.DONE, NOTHING, Effect.REFUSE),
]


@pytest.mark.parametrize(("state", "known", "expected"), RETRY)
def test_retry(state: State, known: Facts, expected: EventKind | Effect) -> None:
    assert outcome(intervene.retry(job(state), known, NOW)) == expected


def test_retry_names_the_way_out_of_a_doubt() -> None:
    assert "resolve" in intervene.retry(job(S.IN_DOUBT), NOTHING, NOW).words


def test_retry_does_not_fetch_what_the_vendor_has_thrown_away() -> None:
    old = job(S.DONE, accepted_at=NOW - 8 * DAY)
    known = replace(NOTHING, task_may_deliver=True, files_live=True)
    assert intervene.retry(old, known, NOW).effect is Effect.REFUSE


def test_retry_of_an_orphan_asks_about_its_task_but_submits_nothing() -> None:
    orphan = job(S.FAILED, orphan=True)
    assert outcome(intervene.retry(orphan, NOTHING, NOW)) is Effect.REFUSE
    alive = replace(NOTHING, task_may_deliver=True)
    assert outcome(intervene.retry(orphan, alive, NOW)) is E.RETRY_POLL


CANCEL: list[tuple[State, EventKind | Effect]] = [
    (S.PENDING, E.CANCELLED),
    (S.READY, E.CANCELLED),
    (S.SUBMITTED, E.CANCELLED),
    (S.IN_DOUBT, E.CANCELLED),
    (S.SUBMITTING, Effect.REFUSE),
    (S.RENDERED, Effect.LEAVE),
    (S.DONE, Effect.LEAVE),
    (S.FAILED, Effect.LEAVE),
    (S.CANCELLED, Effect.LEAVE),
]


@pytest.mark.parametrize(("state", "expected"), CANCEL)
def test_cancel(state: State, expected: EventKind | Effect) -> None:
    assert outcome(intervene.cancel(job(state))) == expected


@pytest.mark.parametrize("state", [S.SUBMITTED, S.IN_DOUBT])
def test_cancel_says_that_the_vendor_goes_on_and_charges(state: State) -> None:
    warning = intervene.cancel(job(state)).warning
    assert "cannot be told" in warning
    assert "charge" in warning


def test_cancel_leaves_a_task_alone_whose_job_waits_for_another_revision() -> None:
    assert intervene.cancel(job(S.SUBMITTED, revised=True)).effect is Effect.REFUSE


@pytest.mark.parametrize("state", [s for s in State if s is not S.IN_DOUBT])
def test_only_a_job_in_doubt_is_resolved(state: State) -> None:
    for rule in (intervene.resubmit, intervene.drop, intervene.adopt):
        assert rule(job(state), NOTHING).effect is not Effect.CHANGE


def test_resolve_settles_a_job_in_doubt() -> None:
    doubtful = job(S.IN_DOUBT, task_id=None)
    assert outcome(intervene.resubmit(doubtful, NOTHING)) is E.DOUBT_CLEARED
    assert outcome(intervene.drop(doubtful, NOTHING)) is E.DOUBT_DROPPED
    assert outcome(intervene.adopt(doubtful, NOTHING)) is E.DOUBT_ADOPTED


def test_resubmit_warns_of_a_second_payment() -> None:
    assert "second time" in intervene.resubmit(job(S.IN_DOUBT, task_id=None), NOTHING).warning


def test_a_doubt_whose_task_is_known_after_all_is_not_submitted_anew() -> None:
    assert intervene.resubmit(job(S.IN_DOUBT), NOTHING).effect is Effect.REFUSE


@pytest.mark.parametrize("state", [S.FAILED, S.CANCELLED])
def test_a_job_given_up_in_doubt_can_still_be_resolved(state: State) -> None:
    given_up = job(state, task_id=None)
    known = replace(NOTHING, doubt_open=True, files_live=True)
    assert outcome(intervene.adopt(given_up, known)) is E.RETRY_POLL
    assert outcome(intervene.resubmit(given_up, known)) is E.RETRY_SUBMIT
    assert outcome(intervene.drop(given_up, known)) is Effect.LEAVE


def test_a_task_that_ended_well_or_not_at_all_may_deliver() -> None:
    failed = job(S.FAILED)
    assert facts(failed, E.SUBMIT_ACCEPTED).task_may_deliver
    assert facts(failed, E.TASK_SUCCEEDED, E.DOWNLOAD_FAILED).task_may_deliver
    assert not facts(failed, E.TASK_FAILED).task_may_deliver
    assert not facts(failed, (E.TASK_LOST, "task:unknown")).task_may_deliver


def test_a_success_without_a_video_is_asked_about_once_more_before_it_is_paid_for_anew() -> None:
    failed, lost = job(S.FAILED), (E.TASK_LOST, intervene.NO_URL)
    assert facts(failed, lost).task_may_deliver
    twice = facts(failed, lost, E.RETRY_POLL, lost)
    assert not twice.task_may_deliver
    assert "charged" in intervene.retry(failed, twice, NOW).warning


def test_the_end_of_an_older_attempt_says_nothing_about_the_current_one() -> None:
    older = history(E.TASK_FAILED, attempt=6)
    known = facts_of(job(S.FAILED), older, files_live=True, file_there=False)
    assert known.task_may_deliver


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((E.SUBMIT_UNKNOWN, E.DOUBT_DROPPED), True),
        ((E.SUBMIT_INTERRUPTED, E.CANCELLED), True),
        ((E.SUBMIT_UNKNOWN, E.DOUBT_CLEARED, E.CANCELLED), False),
        ((E.SUBMIT_UNKNOWN, E.CANCELLED, E.RETRY_SUBMIT, E.CANCELLED), False),
        ((E.SUBMIT_REFUSED,), False),
        ((), False),
    ],
)
def test_a_doubt_stays_open_until_somebody_settles_it(
    events: tuple[EventKind, ...], expected: bool
) -> None:
    assert facts(job(S.FAILED, task_id=None), *events).doubt_open is expected
