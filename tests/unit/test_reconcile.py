"""Whose task is it: tables of what settles an attempt in doubt, and of what must not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.reconcile import (
    SLACK_S,
    Doubt,
    Findings,
    Unclaimed,
    could_be,
    log_since,
    may_resubmit,
    proves,
    settle,
    weigh,
)
from orchestrator.model import Attempt, AttemptKey, FileId, JobKey, OnDoubt, Revision, TaskId

T0 = 1_800_000_000.0


def file_id(name: str | None) -> FileId | None:
    return None if name is None else FileId(name)


def doubt(
    key: int,
    video: str | None = None,
    audio: str | None = None,
    *,
    at: float = 0.0,
    revision: str | None = None,
) -> Doubt:
    """An attempt; without a revision it is like no other."""
    return Doubt(
        attempt=AttemptKey(key),
        revision=Revision(revision or f"revision of {key}"),
        started_at=T0 + at,
        video=file_id(video),
        audio=file_id(audio),
    )


def task(
    name: str,
    video: str | None = None,
    audio: str | None = None,
    *,
    at: float = 10.0,
    blank: bool = False,
) -> Unclaimed:
    """A task; without ids it shows none."""
    return Unclaimed(
        task_id=TaskId(name),
        logged_at=T0 + at,
        video=file_id(video),
        audio=file_id(audio),
        blank=blank,
    )


def pairs(found: Findings) -> dict[int, str]:
    """Who got what."""
    return {s.attempt: s.task_id for s in found.settled}


def left(found: Findings) -> dict[int, tuple[str, ...]]:
    """Who got nothing, and what could be theirs."""
    return {key: tuple(tasks) for key, tasks in found.open.items()}


# --- one attempt, one task


@pytest.mark.parametrize(
    ("sent", "shown", "possible", "proof"),
    [
        ((None, None), (None, None), True, True),
        ((None, None), ("v", None), False, False),
        ((None, None), (None, "a"), False, False),
        ((None, "a"), (None, "a"), True, True),
        ((None, "a"), (None, "b"), False, False),
        ((None, "a"), (None, None), True, False),
        ((None, "a"), ("v", "a"), False, False),
        (("v", "a"), ("v", "a"), True, True),
        (("v", "a"), ("v", None), True, True),
        (("v", "a"), (None, "a"), True, True),
        (("v", "a"), ("v", "b"), False, False),
        (("v", "a"), ("w", "a"), False, False),
        (("v", "a"), ("a", "v"), False, False),
        (("v", None), (None, None), True, False),
        (("v", None), ("v", None), True, True),
    ],
)
def test_every_file_id_that_a_task_shows_has_to_be_the_attempts_own(
    sent: tuple[str | None, str | None],
    shown: tuple[str | None, str | None],
    possible: bool,
    proof: bool,
) -> None:
    one, other = doubt(1, *sent), task("T", *shown)
    assert (could_be(one, other), proves(one, other)) == (possible, proof)
    found = settle([one], [other])
    assert pairs(found) == ({1: "T"} if proof else {})
    assert left(found) == ({} if proof else {1: ("T",) if possible else ()})


@pytest.mark.parametrize(
    ("at", "possible"),
    [
        (-SLACK_S - 1.0, False),
        (-SLACK_S, True),
        (-1.0, True),
        (0.0, True),
        (7200.0, True),
        (86_400.0, True),
    ],
)
def test_a_task_may_be_logged_a_quarter_of_an_hour_before_its_attempt_and_any_time_later(
    at: float, possible: bool
) -> None:
    assert pairs(settle([doubt(1)], [task("T", at=at)])) == ({1: "T"} if possible else {})


def test_the_evidence_is_told_in_words() -> None:
    [plain] = settle([doubt(1)], [task("T")]).settled
    [files] = settle([doubt(1, "v", "a")], [task("T", "v", "a")]).settled
    both = settle([doubt(1, revision="r"), doubt(2, revision="r")], [task("T"), task("U")])
    assert "only unclaimed task" in plain.evidence
    assert "video and audio" in files.evidence
    assert "2 submits alike" in both.settled[0].evidence


# --- who cannot be told from whom

TABLE: list[
    tuple[str, Sequence[Doubt], Sequence[Unclaimed], dict[int, str], dict[int, tuple[str, ...]]]
] = [
    ("no trace", [doubt(1)], [], {}, {1: ()}),
    ("nobody in doubt", [], [task("T")], {}, {}),
    ("two texts, one task", [doubt(1), doubt(2)], [task("T")], {}, {1: ("T",), 2: ("T",)}),
    ("one text, two tasks", [doubt(1)], [task("T"), task("U")], {}, {1: ("T", "U")}),
    (
        "a task of another tool beside a text's own",
        [doubt(1)],
        [task("ours"), task("foreign")],
        {},
        {1: ("ours", "foreign")},
    ),
    (
        "another tool's text is no proof for uploaded audio, but stops a second submit",
        [doubt(1, None, "a")],
        [task("foreign")],
        {},
        {1: ("foreign",)},
    ),
    (
        "another tool's files are nobody's",
        [doubt(1, None, "a"), doubt(2)],
        [task("foreign", None, "x")],
        {},
        {1: (), 2: ()},
    ),
    (
        "an own file id is proof among any number of foreign tasks",
        [doubt(1, None, "a")],
        [task("F"), task("G"), task("T", None, "a"), task("H", None, "x")],
        {1: "T"},
        {},
    ),
    (
        "uploaded audio is settled first, and leaves the text its task",
        [doubt(1, None, "a"), doubt(2)],
        [task("text"), task("sound", None, "a")],
        {1: "sound", 2: "text"},
        {},
    ),
    (
        "a text task that an upload could have made stays open while that one is",
        [doubt(1, None, "a"), doubt(2)],
        [task("T")],
        {},
        {1: ("T",), 2: ("T",)},
    ),
    (
        "one audio with two avatars: alike to the vendor, not to us",
        [doubt(1, None, "a"), doubt(2, None, "a")],
        [task("T", None, "a"), task("U", None, "a")],
        {},
        {1: ("T", "U"), 2: ("T", "U")},
    ),
    (
        "a video tells two of one audio apart",
        [doubt(1, "v", "a"), doubt(2, "w", "a")],
        [task("T", "w", "a"), task("U", "v", "a")],
        {1: "U", 2: "T"},
        {},
    ),
    (
        "two alike, two tasks",
        [doubt(1, revision="r"), doubt(2, revision="r")],
        [task("T"), task("U")],
        {1: "T", 2: "U"},
        {},
    ),
    (
        "two alike, one task: the first has it, the other no candidate",
        [doubt(1, revision="r"), doubt(2, revision="r")],
        [task("T")],
        {1: "T"},
        {2: ()},
    ),
    (
        "two alike, three tasks: one of them is somebody else's",
        [doubt(1, revision="r"), doubt(2, revision="r")],
        [task("T"), task("U"), task("V")],
        {},
        {1: ("T", "U", "V"), 2: ("T", "U", "V")},
    ),
    (
        "the same, where the later attempt could have made only two of them",
        [doubt(1, revision="r"), doubt(2, at=2 * SLACK_S, revision="r")],
        [task("T", at=0), task("U", at=2 * SLACK_S), task("V", at=2 * SLACK_S)],
        {},
        {1: ("T", "U", "V"), 2: ("U", "V")},
    ),
    (
        "two alike, far apart, and a task for each",
        [doubt(1, revision="r"), doubt(2, at=2 * SLACK_S, revision="r")],
        [task("T", at=0), task("U", at=2 * SLACK_S)],
        {1: "T", 2: "U"},
        {},
    ),
    (
        "two alike and a third that is not",
        [doubt(1, revision="r"), doubt(2, revision="r"), doubt(3)],
        [task("T"), task("U")],
        {},
        {1: ("T", "U"), 2: ("T", "U"), 3: ("T", "U")},
    ),
    (
        "the time tells a later text from an earlier one's task",
        [doubt(1, at=0), doubt(2, at=2 * SLACK_S)],
        [task("T", at=10)],
        {1: "T"},
        {2: ()},
    ),
    (
        "a chain: each settlement frees the next",
        [doubt(1, at=0), doubt(2, at=2 * SLACK_S), doubt(3, at=4 * SLACK_S, audio="a")],
        [task("T", at=10), task("A", None, "a", at=4 * SLACK_S)],
        {1: "T", 3: "A"},
        {2: ()},
    ),
    (
        "a task of which nothing is known is nobody's yet",
        [doubt(1)],
        [task("T", blank=True)],
        {},
        {1: ("T",)},
    ),
    (
        "and leaves a text's task uncertain",
        [doubt(1)],
        [task("T"), task("B", blank=True)],
        {},
        {1: ("T", "B")},
    ),
    (
        "but not an upload's",
        [doubt(1, None, "a"), doubt(2)],
        [task("T", None, "a"), task("B", blank=True)],
        {1: "T"},
        {2: ("B",)},
    ),
    (
        "nor does it matter to those who began after it was charged",
        [doubt(1, at=2 * SLACK_S)],
        [task("T", at=2 * SLACK_S), task("B", at=0, blank=True)],
        {1: "T"},
        {},
    ),
    (
        "the unread rest of a log could hold anything",
        [doubt(1), doubt(2, None, "a")],
        [task("T"), task("A", None, "a"), task("rest", at=math.inf, blank=True)],
        {2: "A"},
        {1: ("T", "rest")},
    ),
]


@pytest.mark.parametrize(
    ("doubts", "tasks", "settled", "still"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_whose_task_it_is(
    doubts: Sequence[Doubt],
    tasks: Sequence[Unclaimed],
    settled: dict[int, str],
    still: dict[int, tuple[str, ...]],
) -> None:
    found = settle(doubts, tasks)
    assert (pairs(found), left(found)) == (settled, still)


# --- whatever happens

NAMES = st.sampled_from([None, "a", "b"])
TIMES = st.sampled_from([0.0, SLACK_S, 2 * SLACK_S + 1, 5 * SLACK_S])


@st.composite
def evidence(draw: st.DrawFn) -> tuple[list[Doubt], list[Unclaimed]]:
    """A few attempts in doubt and a few tasks; equal revisions sent equal ids."""
    doubts = []
    for key in range(draw(st.integers(0, 4))):
        video, audio = draw(NAMES), draw(NAMES)
        like = draw(st.sampled_from(["", f" of {key}"]))
        revision = f"{video}/{audio}{like}"
        doubts.append(doubt(key, video, audio, at=draw(TIMES), revision=revision))
    shown = st.tuples(NAMES, NAMES, TIMES, st.booleans())
    tasks = []
    for number, (video, audio, at, blank) in enumerate(draw(st.lists(shown, max_size=4))):
        ids = (None, None) if blank else (video, audio)
        tasks.append(task(f"T{number}", *ids, at=at, blank=blank))
    return sorted(doubts, key=lambda d: d.started_at), tasks


@given(evidence())
def test_a_settlement_contradicts_nothing_and_nobody_gets_two(
    given_: tuple[list[Doubt], list[Unclaimed]],
) -> None:
    doubts, tasks = given_
    found = settle(doubts, tasks)
    by_key, by_name = {d.attempt: d for d in doubts}, {t.task_id: t for t in tasks}
    for settlement in found.settled:
        settled = by_name[settlement.task_id]
        assert proves(by_key[settlement.attempt], settled) and not settled.blank
    names = [s.task_id for s in found.settled]
    assert len(names) == len(set(names))
    assert {s.attempt for s in found.settled} | set(found.open) == set(by_key)
    assert not {s.attempt for s in found.settled} & set(found.open)


@given(evidence())
def test_what_stays_open_names_every_task_that_could_be_it_and_nobody_has(
    given_: tuple[list[Doubt], list[Unclaimed]],
) -> None:
    doubts, tasks = given_
    found = settle(doubts, tasks)
    taken = {s.task_id for s in found.settled}
    for d in doubts:
        if d.attempt in found.open:
            free = tuple(t.task_id for t in tasks if could_be(d, t) and t.task_id not in taken)
            assert found.open[d.attempt] == free


@given(evidence(), st.integers(0, 2), st.data())
def test_whatever_really_happened_is_never_contradicted(
    given_: tuple[list[Doubt], list[Unclaimed]], foreign: int, data: st.DataObject
) -> None:
    """A truth is drawn first: who made a task, and when the log had it. Then every settlement has
    the right video. Texts of another tool are like our own: among those only uploads are certain.
    """
    doubts, _ = given_
    tasks = [task(f"foreign {n}", at=data.draw(TIMES)) for n in range(foreign)]
    maker: dict[TaskId, Doubt] = {}
    for d in doubts:
        if data.draw(st.booleans(), label=f"{d.attempt} made a task"):
            at = d.started_at - T0 + data.draw(TIMES, label="logged later by")
            tasks.append(task(f"made by {d.attempt}", d.video, d.audio, at=at))
            maker[tasks[-1].task_id] = d
    by_key = {d.attempt: d for d in doubts}
    for settlement in settle(doubts, data.draw(st.permutations(tasks))).settled:
        sent = by_key[settlement.attempt]
        if not foreign or sent.video is not None or sent.audio is not None:
            assert maker[settlement.task_id].revision == sent.revision


# --- sending anew


def allowed(**changes: object) -> bool:
    """Everything speaks for sending anew, but for the changes."""
    facts: dict[str, object] = {
        "on_doubt": OnDoubt.RESUBMIT,
        "started_at": T0,
        "horizon_s": 7200.0,
        "deadline_s": 7200.0,
        "log_read_at": T0 + 7200.0,
        "candidates": 0,
    }
    return may_resubmit(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"on_doubt": OnDoubt.HOLD}, False),
        ({"deadline_s": 7200.1}, False),
        ({"deadline_s": 0.0}, True),
        ({"log_read_at": None}, False),
        ({"log_read_at": T0 + 7199.9}, False),
        ({"log_read_at": T0 + 90_000.0}, True),
        ({"candidates": 1}, False),
        ({"candidates": 7}, False),
        ({"horizon_s": 3600.0, "deadline_s": 3600.0, "log_read_at": T0 + 3600.0}, True),
        ({"horizon_s": 3600.0}, False),
    ],
    ids=str,
)
def test_a_job_in_doubt_is_sent_anew_only_if_everything_speaks_for_it(
    changes: dict[str, object], may: bool
) -> None:
    assert allowed(**changes) is may


@given(
    st.sampled_from(OnDoubt),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.none() | st.floats(0, 1e7),
    st.integers(0, 3),
)
def test_waiting_longer_never_forbids_what_was_allowed(
    on_doubt: OnDoubt, horizon_s: float, deadline_s: float, read_at: float | None, candidates: int
) -> None:
    waits = [read_at, *(None if read_at is None else read_at + n for n in (1.0, 60.0, 1e5))]
    verdicts = [
        may_resubmit(
            on_doubt=on_doubt,
            started_at=0.0,
            horizon_s=horizon_s,
            deadline_s=deadline_s,
            log_read_at=at,
            candidates=candidates,
        )
        for at in waits
    ]
    assert all(later or not sooner for sooner, later in pairwise(verdicts))
    assert not any(verdicts) or (on_doubt is OnDoubt.RESUBMIT and candidates == 0)


# --- what the store keeps, as evidence


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An attempt in doubt as the store keeps it."""

    attempt: Attempt
    job: object | None = "a job"
    clock_offset_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """A task without an owner, as the store keeps it."""

    task_id: TaskId
    charged_at: float = T0 + 10
    video_file_id: FileId | None = None
    audio_file_id: FileId | None = None


def stored(key: int, video: str | None = None, revision: str = "r1", **more: object) -> Stored:
    sent = Attempt(
        key=AttemptKey(key),
        job=JobKey(key),
        number=1,
        revision=Revision(revision),
        token="token",
        started_at=T0,
        video_file_id=file_id(video),
    )
    return Stored(attempt=sent, **more)  # type: ignore[arg-type]


def line(name: str, video: str | None = None) -> Line:
    return Line(task_id=TaskId(name), video_file_id=file_id(video))


def weighed(
    every: Sequence[Stored],
    seen: Sequence[Line],
    unseen: Sequence[Line] = (),
    *,
    whole: bool = True,
) -> Findings:
    return weigh(every, seen, unseen, whole_log=whole)


def test_what_a_query_described_settles_an_attempt() -> None:
    assert pairs(weighed([stored(1, "v")], [line("T", "v"), line("U", "w")])) == {1: "T"}


def test_a_charge_of_which_nothing_is_known_could_be_the_task_of_a_job_without_files() -> None:
    found = weighed([stored(1)], [line("T")], [line("U")])
    assert (pairs(found), left(found)) == ({}, {1: ("T", "U")})


def test_a_charge_of_which_nothing_is_known_does_not_outweigh_a_file_of_the_jobs_own() -> None:
    assert pairs(weighed([stored(1, "v")], [line("T", "v")], [line("U")])) == {1: "T"}


def test_a_log_that_was_not_read_whole_proves_nothing_for_a_job_without_files() -> None:
    found = weighed([stored(1)], [line("T")], whole=False)
    assert (pairs(found), left(found)) == ({}, {1: ("T",)})
    assert pairs(weighed([stored(1)], [line("T")], whole=True)) == {1: "T"}


def test_of_alike_attempts_the_one_that_a_job_waits_for_is_served() -> None:
    given_up, waiting = stored(1, "v", job=None), stored(2, "v")
    assert pairs(weighed([given_up, waiting], [line("T", "v")])) == {2: "T"}


def test_the_log_is_looked_at_from_before_the_first_attempt_on_the_vendors_clock() -> None:
    attempts = [stored(1, clock_offset_s=50.0), stored(2, clock_offset_s=-20.0)]
    assert log_since(attempts) == T0 - 20.0 - SLACK_S
