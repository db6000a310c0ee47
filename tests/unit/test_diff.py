"""What a manifest changes about a batch: a row for each case of design.md, section 7."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.diff import (
    KEPT_BY_VENDOR_S,
    Case,
    Look,
    Past,
    changed_fields,
    rule_known,
    rule_new,
)
from orchestrator.core.state import TRANSITIONS
from orchestrator.model import EventKind, State

E, S = EventKind, State

NOTHING_THERE = Look(wanted=None)
ITS_VIDEO = Look(wanted=1000, stored=1000)
DAY_S = 86400.0

DONE = Past(
    state=S.DONE,
    same_revision=True,
    changes="",
    same_output=True,
    output_bytes=1000,
    task_age_s=DAY_S,
    task_may_deliver=True,
    revival=E.RETRY_POLL,
)
MOVED = replace(DONE, same_output=False)
CHANGED = replace(DONE, same_revision=False, changes="audio.text (a -> b)")


NEW: list[tuple[str, Look, bool, bool, Case]] = [
    ("no file there", NOTHING_THERE, False, False, Case.NEW),
    ("no file there, whatever is allowed", NOTHING_THERE, True, True, Case.NEW),
    ("a file there", Look(wanted=5), False, False, Case.CONFLICT),
    ("an empty file there", Look(wanted=0), False, False, Case.CONFLICT),
    ("a file there, --overwrite", Look(wanted=5), True, False, Case.NEW),
    ("a file there, --skip-existing", Look(wanted=5), False, True, Case.SKIPPED),
    ("a file there, both: nothing is lost", Look(wanted=5), True, True, Case.SKIPPED),
]


@pytest.mark.parametrize(
    ("look", "overwrite", "skip_existing", "case"), [r[1:] for r in NEW], ids=[r[0] for r in NEW]
)
def test_a_job_that_the_store_does_not_know(
    look: Look, overwrite: bool, skip_existing: bool, case: Case
) -> None:
    assert rule_new(look, overwrite=overwrite, skip_existing=skip_existing).case is case


KNOWN: list[tuple[str, Past, Look, Case, EventKind | None]] = [
    ("done and there", DONE, ITS_VIDEO, Case.KEEP, None),
    ("done; the file was changed since", DONE, Look(wanted=7, stored=7), Case.KEEP, None),
    ("done; the file is gone", DONE, NOTHING_THERE, Case.ADOPT, E.FILE_GONE),
    (
        "done; the file is gone, on the last day",
        replace(DONE, task_age_s=KEPT_BY_VENDOR_S - 1),
        NOTHING_THERE,
        Case.ADOPT,
        E.FILE_GONE,
    ),
    (
        "done; the file is gone, after seven days: reported, never submitted",
        replace(DONE, task_age_s=KEPT_BY_VENDOR_S),
        NOTHING_THERE,
        Case.LOST_FILE,
        None,
    ),
    (
        "done; the file is gone, of a task of unknown age",
        replace(DONE, task_age_s=None),
        NOTHING_THERE,
        Case.LOST_FILE,
        None,
    ),
    (
        "done; the file is gone, and so is the task",
        replace(DONE, task_may_deliver=False),
        NOTHING_THERE,
        Case.LOST_FILE,
        None,
    ),
    ("done; another path", MOVED, Look(wanted=None, stored=1000), Case.MOVE, E.MOVED),
    ("done; already at its new path", MOVED, Look(wanted=1000), Case.MOVE, E.MOVED),
    (
        "done; another path, where something else is",
        MOVED,
        Look(wanted=5, stored=1000),
        Case.CONFLICT,
        None,
    ),
    (
        "done, of unknown length; another path, where something is",
        replace(MOVED, output_bytes=None),
        Look(wanted=5, stored=1000),
        Case.CONFLICT,
        None,
    ),
    ("done; another path, and the file is gone", MOVED, NOTHING_THERE, Case.ADOPT, E.FILE_GONE),
    (
        "done; another path, and the file is gone for good",
        replace(MOVED, task_age_s=KEPT_BY_VENDOR_S),
        NOTHING_THERE,
        Case.LOST_FILE,
        None,
    ),
    ("failed before", replace(DONE, state=S.FAILED), NOTHING_THERE, Case.RESTING, None),
    ("cancelled", replace(DONE, state=S.CANCELLED), NOTHING_THERE, Case.RESTING, None),
    ("in doubt", replace(DONE, state=S.IN_DOUBT), NOTHING_THERE, Case.IN_DOUBT, None),
    ("found submitting", replace(DONE, state=S.SUBMITTING), NOTHING_THERE, Case.IN_DOUBT, None),
    ("rendering", replace(DONE, state=S.SUBMITTED), NOTHING_THERE, Case.GOING, None),
    ("to be fetched", replace(DONE, state=S.RENDERED), NOTHING_THERE, Case.GOING, None),
    ("not submitted", replace(DONE, state=S.READY), NOTHING_THERE, Case.GOING, None),
    ("not uploaded", replace(DONE, state=S.PENDING), NOTHING_THERE, Case.GOING, None),
    ("changed, done", CHANGED, ITS_VIDEO, Case.CHANGED, E.REVISED),
    ("changed, failed", replace(CHANGED, state=S.FAILED), NOTHING_THERE, Case.CHANGED, E.REVISED),
    ("changed, ready", replace(CHANGED, state=S.READY), NOTHING_THERE, Case.CHANGED, E.REVISED),
    ("changed, pending", replace(CHANGED, state=S.PENDING), NOTHING_THERE, Case.CHANGED, E.REVISED),
    (
        "changed, cancelled",
        replace(CHANGED, state=S.CANCELLED),
        NOTHING_THERE,
        Case.CHANGED,
        E.REVISED,
    ),
    ("changed in mid-submit", replace(CHANGED, state=S.SUBMITTING), NOTHING_THERE,
     Case.CHANGED_LATER, None),
    ("changed in doubt", replace(CHANGED, state=S.IN_DOUBT), NOTHING_THERE,
     Case.CHANGED_LATER, None),
    ("changed while rendering", replace(CHANGED, state=S.SUBMITTED), NOTHING_THERE,
     Case.CHANGED_LATER, None),
    ("changed while fetched", replace(CHANGED, state=S.RENDERED), NOTHING_THERE,
     Case.CHANGED_LATER, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("past", "look", "case", "event"), [r[1:] for r in KNOWN], ids=[r[0] for r in KNOWN]
)
def test_a_job_that_the_store_knows(
    past: Past, look: Look, case: Case, event: EventKind | None
) -> None:
    ruling = rule_known(past, look, retry_failed=False, overwrite=False)
    assert (ruling.case, ruling.event) == (case, event)


@pytest.mark.parametrize("revival", [E.RETRY_POLL, E.RETRY_SUBMIT, E.RETRY_UPLOAD])
def test_retry_failed_goes_on_from_what_is_held(revival: EventKind) -> None:
    past = replace(DONE, state=S.FAILED, revival=revival)
    ruling = rule_known(past, NOTHING_THERE, retry_failed=True, overwrite=False)
    assert (ruling.case, ruling.event) == (Case.RETRY, revival)


@pytest.mark.parametrize("state", sorted(set(S) - {S.FAILED}))
def test_retry_failed_is_for_failed_jobs_only(state: State) -> None:
    past = replace(DONE, state=state)
    with_flag = rule_known(past, ITS_VIDEO, retry_failed=True, overwrite=False)
    assert with_flag == rule_known(past, ITS_VIDEO, retry_failed=False, overwrite=False)


def test_overwrite_lets_a_moved_video_replace_what_is_there() -> None:
    look = Look(wanted=5, stored=1000)
    ruling = rule_known(MOVED, look, retry_failed=False, overwrite=True)
    assert (ruling.case, ruling.event) == (Case.MOVE, E.MOVED)


def test_no_case_is_without_a_row() -> None:
    cases = {row[4] for row in NEW} | {row[3] for row in KNOWN} | {Case.RETRY}
    assert cases == set(Case)


def test_no_ruling_names_an_event_that_cannot_happen() -> None:
    for _, past, look, _, event in KNOWN:
        ruling = rule_known(past, look, retry_failed=True, overwrite=True)
        assert ruling.event is None or ruling.event in TRANSITIONS[past.state]
        assert event is None or event in TRANSITIONS[past.state]


def test_what_may_have_been_paid_for_is_never_started_again_by_a_manifest() -> None:
    for state in (S.SUBMITTING, S.IN_DOUBT, S.SUBMITTED, S.RENDERED):
        for same in (True, False):
            past = replace(DONE, state=state, same_revision=same)
            for look in (NOTHING_THERE, ITS_VIDEO):
                ruling = rule_known(past, look, retry_failed=True, overwrite=True)
                assert ruling.event is None


def test_a_changed_job_says_what_changed() -> None:
    ruling = rule_known(CHANGED, ITS_VIDEO, retry_failed=False, overwrite=False)
    assert ruling.reason == "changed: audio.text (a -> b)"


def test_a_job_changed_under_way_says_that_it_waits() -> None:
    past = replace(CHANGED, state=S.SUBMITTED)
    ruling = rule_known(past, NOTHING_THERE, retry_failed=False, overwrite=False)
    assert ruling.reason == (
        "changed: audio.text (a -> b); made anew when the version under way has come to rest"
    )


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ([], ""),
        ([("mode", "avatar1", "avatar2")], "mode (avatar1 -> avatar2)"),
        ([("caption", None, "c1")], "caption (none -> c1)"),
        ([("audio.voice", "v", None), ("mode", "a", "b")],
         "audio.voice (v -> none), mode (a -> b)"),
        ([("audio.text", "x" * 24, "y" * 24)], f"audio.text ({'x' * 24} -> {'y' * 24})"),
        ([("audio.text", "x" * 24, "y" * 35)],
         'audio.text ("' + 'x' * 24 + '" -> "' + 'y' * 30 + '…")'),
        ([("audio.text", None, "y" * 35)], 'audio.text (none -> "' + 'y' * 30 + '…")'),
        ([("audio.text", "Hello customer number 7.", "Hello customer number 7. Bye.")],
         'audio.text ("…number 7." -> "…number 7. Bye.")'),
        ([("audio.text", "Hello customer number 7. Bye.", "Hello customer number 17. Bye.")],
         'audio.text ("…number 7. Bye." -> "…number 17. Bye.")'),
        ([("audio.text", f"{'a' * 50}b{'c' * 50}", f"{'a' * 50}d{'c' * 50}")],
         'audio.text ("…{0}b{1}…" -> "…{0}d{1}…")'.format('a' * 14, 'c' * 15)),
    ],
)  # fmt: skip
def test_differences_are_named_briefly(
    differences: list[tuple[str, str | None, str | None]], words: str
) -> None:
    assert changed_fields(differences) == words
