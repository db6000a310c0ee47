"""The planner as a table: facts in, decisions out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.decide import (
    AHEAD_BYTES,
    Decision,
    Facts,
    Gate,
    Ready,
    Waiting,
    decide,
)
from orchestrator.model import ContentHash, JobKey

NOW = 100.0
LATER = 130.0
CLOSED = Gate(closed=True)
PAUSED = Gate(open_at=LATER)
CAUTIOUS = Gate(at_once=1)
PROBE = Gate(at_once=1, probe=True)


def key(*numbers: int) -> tuple[JobKey, ...]:
    return tuple(JobKey(n) for n in numbers)


def ready(*numbers: int) -> tuple[Ready, ...]:
    """Ready jobs, no two alike in what the vendor shows of them."""
    return tuple(Ready(key=JobKey(n), visible=f"file-{n}") for n in numbers)


def alike(*numbers: int, visible: str = "/") -> tuple[Ready, ...]:
    """Ready jobs that the vendor would show alike: text on a public avatar."""
    return tuple(Ready(key=JobKey(n), visible=visible) for n in numbers)


def waiting(number: int, *missing: str) -> Waiting:
    return Waiting(key=JobKey(number), missing=tuple(ContentHash(m) for m in missing))


def decided(**facts: Any) -> Decision:
    return decide(Facts(now=NOW, **facts))


def hashes(*names: str) -> frozenset[ContentHash]:
    return frozenset(ContentHash(name) for name in names)


SUBMITS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("one free slot, one submit", {"ready": ready(1, 2), "slots_free": 1}, (1,)),
    ("in the order of the window", {"ready": ready(7, 3), "slots_free": 1}, (7,)),
    ("two unanswered at most", {"ready": ready(1, 2, 3), "slots_free": 9}, (1, 2)),
    ("one is unanswered", {"ready": ready(1, 2), "slots_free": 9, "unanswered": 1}, (1,)),
    ("two are unanswered", {"ready": ready(1, 2), "slots_free": 9, "unanswered": 2}, ()),
    ("no free slot", {"ready": ready(1), "slots_free": 0}, ()),
    ("the limit was lowered", {"ready": ready(1), "slots_free": -3}, ()),
    (
        "a started one has no row yet: its slot is not free",
        {"ready": ready(1), "slots_free": 1, "unclaimed": 1, "unanswered": 1},
        (),
    ),
    (
        "a claimed one holds its slot by its row, not twice",
        {"ready": ready(1), "slots_free": 1, "unclaimed": 0, "unanswered": 1},
        (1,),
    ),
    ("alike ones go one at a time", {"ready": alike(1, 2), "slots_free": 9}, (1,)),
    (
        "an alike one lets the next pass",
        {"ready": (*alike(1, 2), *ready(3)), "slots_free": 9},
        (1, 3),
    ),
    (
        "alike to one that is unanswered",
        {
            "ready": alike(1, 2),
            "slots_free": 9,
            "unanswered": 1,
            "unanswered_visible": frozenset({"/"}),
        },
        (),
    ),
    (
        "another than the one that is unanswered",
        {
            "ready": (*alike(1), *ready(2)),
            "slots_free": 9,
            "unanswered": 1,
            "unanswered_visible": frozenset({"/"}),
        },
        (2,),
    ),
    ("a pause", {"ready": ready(1), "slots_free": 1, "gate": PAUSED}, ()),
    ("a pause that is over", {"ready": ready(1), "slots_free": 1, "gate": Gate(open_at=NOW)}, (1,)),
    ("a probe first", {"ready": ready(1), "slots_free": 1, "gate": PROBE}, ()),
    ("one at a time after doubt", {"ready": ready(1, 2), "slots_free": 9, "gate": CAUTIOUS}, (1,)),
    (
        "one at a time, and one is unanswered",
        {"ready": ready(1), "slots_free": 9, "gate": CAUTIOUS, "unanswered": 1},
        (),
    ),
    ("a closed gate", {"ready": ready(1), "slots_free": 9, "gate": CLOSED}, ()),
    ("draining", {"ready": ready(1), "slots_free": 9, "draining": True}, ()),
]


@pytest.mark.parametrize(("facts", "jobs"), [r[1:] for r in SUBMITS], ids=[r[0] for r in SUBMITS])
def test_submits(facts: dict[str, Any], jobs: tuple[int, ...]) -> None:
    assert decided(**facts).submits == jobs


PROBES: list[tuple[str, dict[str, Any], bool]] = [
    ("wanted before the next submit", {"ready": ready(1), "slots_free": 1, "gate": PROBE}, True),
    ("not wanted", {"ready": ready(1), "slots_free": 1}, False),
    (
        "one is under way",
        {"ready": ready(1), "slots_free": 1, "gate": PROBE, "probing": True},
        False,
    ),
    (
        "not before the pause is over",
        {"ready": ready(1), "slots_free": 1, "gate": replace(PROBE, open_at=LATER)},
        False,
    ),
    ("nothing to submit", {"slots_free": 1, "gate": PROBE}, False),
    ("no slot to submit into", {"ready": ready(1), "slots_free": 0, "gate": PROBE}, False),
    (
        "nothing is submitted any more",
        {"ready": ready(1), "slots_free": 1, "gate": replace(PROBE, closed=True)},
        False,
    ),
    ("draining", {"ready": ready(1), "slots_free": 1, "gate": PROBE, "draining": True}, False),
]


@pytest.mark.parametrize(("facts", "probe"), [r[1:] for r in PROBES], ids=[r[0] for r in PROBES])
def test_probes(facts: dict[str, Any], probe: bool) -> None:
    assert decided(**facts).probe is probe


POLLS: list[tuple[str, dict[str, Any], int]] = [
    ("nothing is planned", {}, 0),
    ("not due", {"next_poll_at": LATER}, 0),
    ("due: as many as there are hands", {"next_poll_at": NOW}, 4),
    ("some hands are busy", {"next_poll_at": NOW - 9, "polling": 3}, 1),
    ("all hands are busy", {"next_poll_at": NOW, "polling": 4}, 0),
    ("the host is silent", {"next_poll_at": NOW, "polls_open_at": LATER}, 0),
    ("submits pause: polls do not", {"next_poll_at": NOW, "gate": PAUSED}, 4),
    ("no more submits: polls go on", {"next_poll_at": NOW, "gate": CLOSED}, 4),
    ("draining", {"next_poll_at": NOW, "draining": True}, 0),
]


@pytest.mark.parametrize(("facts", "polls"), [r[1:] for r in POLLS], ids=[r[0] for r in POLLS])
def test_polls(facts: dict[str, Any], polls: int) -> None:
    assert decided(**facts).polls == polls


DOWNLOADS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("as many as the window allows", {"rendered": key(1, 2, 3, 4, 5)}, (1, 2, 3, 4)),
    ("some are under way", {"rendered": key(1, 2, 3), "downloading": 3}, (1,)),
    ("all hands are busy", {"rendered": key(1), "downloading": 4}, ()),
    ("the host is silent", {"rendered": key(1), "downloads_open_at": LATER}, ()),
    ("no slot is needed", {"rendered": key(1), "slots_free": 0}, (1,)),
    ("what is paid for comes home, gate or no gate", {"rendered": key(1), "gate": CLOSED}, (1,)),
    ("draining", {"rendered": key(1), "draining": True}, ()),
]


@pytest.mark.parametrize(
    ("facts", "jobs"), [r[1:] for r in DOWNLOADS], ids=[r[0] for r in DOWNLOADS]
)
def test_downloads(facts: dict[str, Any], jobs: tuple[int, ...]) -> None:
    assert decided(**facts).downloads == jobs


ENOUGH = AHEAD_BYTES // 2 + 1
SIZES = {
    **dict.fromkeys(hashes("a", "b", "c"), AHEAD_BYTES // 2),
    **dict.fromkeys(hashes("tiny"), 1),
    **dict.fromkeys(hashes("huge"), 3 * AHEAD_BYTES),
}
FULL: dict[str, Any] = {"ready": ready(7), "ahead_bytes": ENOUGH, "sizes": SIZES}
"""A job is next in line already, and its files are half of what may lie ahead."""
UPLOADS: list[tuple[str, dict[str, Any], tuple[str, ...], tuple[int, ...]]] = [
    ("what a job lacks", {"pending": [waiting(1, "a", "b")]}, ("a", "b"), ()),
    ("nothing lacks: it becomes ready", {"pending": [waiting(1)]}, (), (1,)),
    (
        "once, however many jobs share it",
        {"pending": [waiting(1, "a"), waiting(2, "a", "b"), waiting(3, "b")]},
        ("a", "b"),
        (),
    ),
    (
        "not what is under way",
        {"pending": [waiting(1, "a", "b")], "uploading": hashes("a")},
        ("b",),
        (),
    ),
    (
        "as many as the window allows",
        {"pending": [waiting(n, f"{n}x", f"{n}y") for n in (1, 2, 3)]},
        ("1x", "1y", "2x", "2y"),
        (),
    ),
    (
        "some are under way",
        {"pending": [waiting(1, "a", "b")], "uploading": hashes("p", "q", "r")},
        ("a",),
        (),
    ),
    (
        "more are under way than the window allows",
        {"pending": [waiting(1, "a")], "uploading": hashes("p", "q", "r", "s", "t")},
        (),
        (),
    ),
    (
        "the host is silent: nothing is uploaded, the others become ready",
        {"pending": [waiting(1, "a"), waiting(2)], "uploads_open_at": LATER},
        (),
        (2,),
    ),
    (
        "not further than the look-ahead",
        {"pending": [waiting(1), waiting(2), waiting(3, "a")], "look_ahead": 2},
        (),
        (1, 2),
    ),
    (
        "ready jobs count for the look-ahead",
        {"pending": [waiting(8), waiting(9)], "ready": ready(1), "look_ahead": 2},
        (),
        (8,),
    ),
    (
        "ready jobs that leave now do not",
        {"pending": [waiting(8), waiting(9)], "ready": ready(1), "slots_free": 1, "look_ahead": 2},
        (),
        (8, 9),
    ),
    (
        "jobs that are becoming ready count too",
        {"pending": [waiting(8), waiting(9)], "promoting": 1, "look_ahead": 2},
        (),
        (8,),
    ),
    (
        "more are ready than the look-ahead asks for",
        {"pending": [waiting(8, "a")], "ready": ready(1, 2, 3), "look_ahead": 2},
        (),
        (),
    ),
    ("before a slot is free", {"pending": [waiting(1, "a")], "slots_free": 0}, ("a",), ()),
    (
        "no more bytes than the look-ahead",
        {"pending": [waiting(1, "a"), waiting(2, "b")], **FULL},
        (),
        (),
    ),
    (
        "bytes that begin now count",
        {"pending": [waiting(1, "a"), waiting(2, "b"), waiting(3, "c")], "sizes": SIZES},
        ("a", "b"),
        (),
    ),
    (
        "a smaller one does not overtake one that does not fit",
        {"pending": [waiting(1, "a"), waiting(2, "tiny")], **FULL},
        (),
        (),
    ),
    (
        "one that is larger than all of that is uploaded alone",
        {"pending": [waiting(1, "huge"), waiting(2, "a")], "sizes": SIZES},
        ("huge",),
        (),
    ),
    (
        "bytes do not keep a free slot waiting",
        {
            "pending": [waiting(1, "a"), waiting(2, "b")],
            "ready": ready(7),
            "slots_free": 2,
            "unanswered": 2,
            "ahead_bytes": ENOUGH,
            "sizes": SIZES,
        },
        ("a",),
        (),
    ),
    (
        "nor the next in line, if nothing is ready",
        {"pending": [waiting(1, "huge")], "ahead_bytes": ENOUGH, "sizes": SIZES},
        ("huge",),
        (),
    ),
    (
        "nor jobs that lack nothing",
        {"pending": [waiting(1, "a"), waiting(2)], **FULL},
        (),
        (2,),
    ),
    ("while submits pause", {"pending": [waiting(1, "a")], "gate": PAUSED}, ("a",), ()),
    ("nothing is submitted any more", {"pending": [waiting(1), waiting(2, "a")], "gate": CLOSED},
     (), ()),
    ("draining", {"pending": [waiting(1), waiting(2, "a")], "draining": True}, (), ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "uploads", "promotes"), [r[1:] for r in UPLOADS], ids=[r[0] for r in UPLOADS]
)
def test_uploads_and_what_becomes_ready(
    facts: dict[str, Any], uploads: tuple[str, ...], promotes: tuple[int, ...]
) -> None:
    decision = decided(**facts)
    assert (decision.uploads, decision.promotes) == (uploads, promotes)


def test_the_stages_hold_nothing_of_one_another() -> None:
    """Each has its own window: all start at once, whatever the others wait for."""
    decision = decided(
        pending=[waiting(1, "a")],
        ready=ready(2),
        rendered=key(3),
        next_poll_at=NOW,
        slots_free=1,
        live_tasks=1,
    )
    started = (decision.uploads, decision.submits, decision.downloads, decision.polls)
    assert started == (("a",), (2,), (3,), 4)


LOOKS: list[tuple[str, dict[str, Any], bool]] = [
    ("nothing is in doubt", {"next_look_at": NOW}, False),
    ("in doubt, and it is time", {"doubts": 1, "next_look_at": NOW}, True),
    ("in doubt, but not yet", {"doubts": 1, "next_look_at": LATER}, False),
    ("somebody is looking", {"doubts": 1, "next_look_at": NOW, "looking": True}, False),
    ("nothing is submitted any more", {"doubts": 1, "next_look_at": NOW, "gate": CLOSED}, True),
    ("draining", {"doubts": 1, "next_look_at": NOW, "draining": True}, False),
]


@pytest.mark.parametrize(("facts", "look"), [r[1:] for r in LOOKS], ids=[r[0] for r in LOOKS])
def test_looks_for_evidence(facts: dict[str, Any], look: bool) -> None:
    assert decided(**facts).look is look


WAKES: list[tuple[str, dict[str, Any], float | None]] = [
    ("nothing is planned", {}, None),
    ("the next poll", {"next_poll_at": LATER}, LATER),
    ("the silent host, if later", {"next_poll_at": 110.0, "polls_open_at": LATER}, LATER),
    ("a due poll with all hands busy: when one is back",
     {"next_poll_at": 90.0, "polling": 4}, None),
    ("a coming poll with all hands busy: when one is back",
     {"next_poll_at": LATER, "polling": 4}, None),
    ("the end of the pause", {"ready": ready(1), "slots_free": 1, "gate": PAUSED}, LATER),
    ("a pause with nothing to submit", {"slots_free": 1, "gate": PAUSED}, None),
    ("a pause without a slot", {"ready": ready(1), "gate": PAUSED}, None),
    ("a pause of a closed gate",
     {"ready": ready(1), "slots_free": 1, "gate": replace(PAUSED, closed=True)}, None),
    ("when a submit at a full vendor may be worth it",
     {"ready": ready(1), "knock_at": LATER}, LATER),
    ("no such submit without a job", {"knock_at": LATER}, None),
    ("no such submit during a pause",
     {"ready": ready(1), "knock_at": 101.0, "gate": PAUSED}, LATER),
    ("no such submit at a closed gate",
     {"ready": ready(1), "knock_at": LATER, "gate": Gate(closed=True)}, None),
    ("the download host", {"rendered": key(1), "downloads_open_at": LATER}, LATER),
    ("the upload host", {"pending": [waiting(1, "a")], "uploads_open_at": LATER}, LATER),
    ("the upload host with nothing to upload", {"uploads_open_at": LATER}, None),
    ("the next look for evidence", {"doubts": 1, "next_look_at": LATER}, LATER),
    ("a look under way", {"doubts": 1, "next_look_at": LATER, "looking": True}, None),
    ("the first of several",
     {"next_poll_at": 120.0, "rendered": key(1), "downloads_open_at": 110.0,
      "pending": [waiting(1, "a")], "uploads_open_at": LATER}, 110.0),
    ("never a time that is past",
     {"next_poll_at": NOW, "rendered": key(1), "downloads_open_at": 5.0}, None),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "wake_at"), [r[1:] for r in WAKES], ids=[r[0] for r in WAKES])
def test_wakes_at(facts: dict[str, Any], wake_at: float | None) -> None:
    assert decided(**facts).wake_at == wake_at


RESTS: list[tuple[str, dict[str, Any], bool]] = [
    ("nothing left", {}, True),
    ("a task is rendering", {"live_tasks": 1, "next_poll_at": LATER}, False),
    ("only overdue tasks, all asked", {"next_poll_at": LATER}, True),
    ("an overdue task is asked about just now", {"next_poll_at": NOW}, False),
    ("a video waits for its host", {"rendered": key(1), "downloads_open_at": LATER}, False),
    ("a job waits for a slot", {"ready": ready(1)}, False),
    ("a job waits for the pause to end", {"ready": ready(1), "gate": PAUSED}, False),
    ("a file waits for its host", {"pending": [waiting(1, "a")], "uploads_open_at": LATER}, False),
    ("the rest stays ready", {"ready": ready(1), "pending": [waiting(2)], "gate": CLOSED}, True),
    ("what is in flight is finished first",
     {"ready": ready(1), "gate": CLOSED, "live_tasks": 1, "next_poll_at": LATER}, False),
    ("a job is in doubt and looked for", {"doubts": 1, "next_look_at": LATER}, False),
    ("somebody is looking", {"looking": True}, False),
    ("a submit is unanswered", {"unanswered": 1}, False),
    ("a poll is unanswered", {"polling": 1}, False),
    ("a probe is unanswered", {"probing": True}, False),
    ("a transfer runs", {"downloading": 1}, False),
    ("an upload runs", {"uploading": hashes("a")}, False),
    ("a job is becoming ready", {"promoting": 1}, False),
    ("draining: nothing runs", {"draining": True, "ready": ready(1), "live_tasks": 5}, True),
    ("draining: a submit is unanswered", {"draining": True, "unanswered": 1}, False),
    ("draining: a transfer runs", {"draining": True, "downloading": 1}, False),
    ("draining: an upload runs", {"draining": True, "uploading": hashes("a")}, False),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "rest"), [r[1:] for r in RESTS], ids=[r[0] for r in RESTS])
def test_the_run_ends(facts: dict[str, Any], rest: bool) -> None:
    assert decided(**facts).rest is rest


MANY = st.integers(0, 6)
TIMES = st.sampled_from([0.0, 50.0, NOW, 100.5, LATER])
GATES = st.builds(
    Gate,
    open_at=TIMES,
    at_once=st.integers(1, 2),
    probe=st.booleans(),
    closed=st.booleans(),
)


@st.composite
def all_facts(draw: st.DrawFn) -> Facts:
    pending = [
        Waiting(key=JobKey(100 + n), missing=tuple(ContentHash(h) for h in missing))
        for n, missing in enumerate(draw(st.lists(st.sets(st.sampled_from("abcdef"), max_size=2))))
    ]
    shown = draw(st.lists(st.sampled_from(["/", "v/a", "v/b", "w/a"]), max_size=6))
    unclaimed = draw(st.integers(0, 2))
    unanswered = unclaimed + draw(st.integers(0, 2))
    return Facts(
        now=NOW,
        draining=draw(st.booleans()),
        gate=draw(GATES),
        pending=pending,
        ready=[Ready(key=JobKey(n), visible=v) for n, v in enumerate(shown)],
        rendered=key(*range(200, 200 + draw(MANY))),
        live_tasks=draw(MANY),
        next_poll_at=draw(st.none() | TIMES),
        doubts=draw(st.integers(0, 2)),
        next_look_at=draw(TIMES),
        looking=draw(st.booleans()),
        slots_free=draw(st.integers(-2, 4)),
        look_ahead=draw(MANY),
        ahead_bytes=draw(st.sampled_from([0, 1, ENOUGH, 2 * AHEAD_BYTES])),
        sizes=SIZES,
        uploading=hashes(*draw(st.sets(st.sampled_from("abcdef")))),
        promoting=draw(MANY),
        unclaimed=unclaimed,
        unanswered=unanswered,
        unanswered_visible=frozenset(
            draw(st.sets(st.sampled_from(["/", "v/a"]), max_size=min(2, unanswered)))
        ),
        polling=draw(MANY),
        probing=draw(st.booleans()),
        downloading=draw(MANY),
        uploads_open_at=draw(TIMES),
        polls_open_at=draw(TIMES),
        downloads_open_at=draw(TIMES),
    )


def started(decision: Decision) -> bool:
    return any((decision.uploads, decision.promotes, decision.submits, decision.downloads,
                decision.polls, decision.probe, decision.look))  # fmt: skip


@given(all_facts())
def test_no_limit_is_passed_whatever_the_facts(facts: Facts) -> None:
    decision = decide(facts)
    submits = len(decision.submits)
    shown = {job.key: job.visible for job in facts.ready}
    unanswered = [*facts.unanswered_visible, *(shown[k] for k in decision.submits)]
    assert submits == 0 or facts.unanswered + submits <= facts.gate.at_once <= 2
    assert submits == 0 or facts.unclaimed + submits <= facts.slots_free
    assert submits == 0 or not (facts.gate.probe or facts.gate.closed or facts.draining)
    assert len(set(unanswered)) == len(unanswered)
    assert not (decision.probe and submits)
    assert decision.downloads == () or len(decision.downloads) + facts.downloading <= 4
    assert decision.uploads == () or len(decision.uploads) + len(facts.uploading) <= 4
    assert decision.polls == 0 or decision.polls + facts.polling <= facts.max_polls
    assert len(set(decision.uploads)) == len(decision.uploads)
    assert not set(decision.uploads) & set(facts.uploading)


@given(all_facts())
def test_a_run_neither_ends_with_something_to_do_nor_waits_for_nothing(facts: Facts) -> None:
    decision = decide(facts)
    busy = bool(
        facts.unanswered + facts.polling + facts.downloading + facts.promoting
        or facts.uploading
        or facts.probing
        or facts.looking
    )
    if decision.rest:
        assert not started(decision)
        assert not busy
    elif not started(decision) and not busy:
        waits_for_slot = bool(facts.ready) and facts.slots_free <= facts.unclaimed
        waits_for_poll = facts.live_tasks > 0 and facts.next_poll_at is None
        full = facts.look_ahead <= len(facts.ready)
        assert decision.wake_at is not None or waits_for_slot or waits_for_poll or full


@given(all_facts())
def test_it_never_asks_to_be_woken_in_the_past(facts: Facts) -> None:
    wake_at = decide(facts).wake_at
    assert wake_at is None or wake_at > facts.now


@given(all_facts())
def test_equal_facts_give_equal_decisions(facts: Facts) -> None:
    assert decide(facts) == decide(replace(facts))
