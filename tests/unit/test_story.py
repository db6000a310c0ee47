"""The story of a job: a sentence for every event, and for every state what is known and next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.evidence import Billed, Looked, Rival
from orchestrator.core.intervene import Facts, facts_of
from orchestrator.core.prospects import Scene
from orchestrator.core.story import EVENT_WORDS, Story, sentence, tell
from orchestrator.model import (
    Attempt,
    AttemptKey,
    AudioKind,
    AvatarKind,
    ContentHash,
    Event,
    EventKind,
    FileId,
    Job,
    JobId,
    JobKey,
    JobSpec,
    OnDoubt,
    Revision,
    Settings,
    State,
    TaskId,
    Verdict,
)
from orchestrator.store.base import StoredEvent

T0 = 1_750_000_000.0  # 2025-06-15 15:06:40 UTC
HOUR = 3600.0
S, E = State, EventKind


def job(state: State, **more: Any) -> Job:
    spec = JobSpec(
        job_id=JobId("hello"),
        avatar_kind=AvatarKind.VIDEO,
        avatar="/media/anna.mp4",
        audio_kind=AudioKind.TEXT,
        audio="Hello.",
        output=Path("/videos/hello.mp4"),
    )
    fixed: dict[str, Any] = {
        "key": JobKey(1),
        "job_id": JobId("hello"),
        "version": 5,
        "spec": spec,
        "revision": Revision("r1"),
        "avatar_hash": ContentHash("h1"),
        "attempts": 0,
    }
    return Job(state=state, **{**fixed, **more})


def submitted(state: State, **more: Any) -> Job:
    """A job whose only attempt was accepted as task 9c3e, an hour after T0."""
    known = {
        "attempts": 1,
        "attempt": AttemptKey(7),
        "task_id": TaskId("9c3e"),
        "accepted_at": T0 + HOUR,
    }
    return job(state, **{**known, **more})


def attempt(**more: Any) -> Attempt:
    fixed: dict[str, Any] = {
        "key": AttemptKey(7),
        "job": JobKey(1),
        "number": 1,
        "revision": Revision("r1"),
        "token": "secret-token",
        "started_at": T0 + HOUR,
        "video_file_id": FileId("f00d"),
    }
    return Attempt(**{**fixed, **more})


def event(kind: EventKind, before: State, after: State, at: float, **more: Any) -> StoredEvent:
    return StoredEvent(
        job_id=JobId("hello"),
        before=before,
        after=after,
        event=Event(kind=kind, at=at, **more),
        attempt=AttemptKey(7),
    )


DOUBT = job(S.IN_DOUBT, attempts=1, attempt=AttemptKey(7), message="No reply came to the request")
UNKNOWN = event(E.SUBMIT_UNKNOWN, S.SUBMITTING, S.IN_DOUBT, T0 + HOUR + 300)


def scene(**more: Any) -> Scene:
    fixed: dict[str, Any] = {
        "name": "spring/hello",
        "manifest": "jobs.yaml",
        "now": T0 + 2 * HOUR,
        "zone": UTC,
        "settings": Settings(),
    }
    return Scene(**{**fixed, **more})


def story(
    of: Job,
    *events: StoredEvent,
    attempts: tuple[Attempt, ...] = (),
    facts: Facts | None = None,
    **more: Any,
) -> Story:
    known = facts or facts_of(of, events, files_live=True, file_there=of.state is S.DONE)
    return tell(of, attempts, events, known, scene(**more))


def doubt(**more: Any) -> Story:
    return story(DOUBT, UNKNOWN, attempts=(attempt(verdict=Verdict.UNKNOWN),), **more)


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_event_has_its_sentence(kind: EventKind) -> None:
    assert len(EVENT_WORDS[kind]) > 5
    told = sentence(Event(kind=kind, at=T0, message="so it is", task_id=TaskId("9c3e")))
    assert told == f"{EVENT_WORDS[kind]}: task 9c3e; so it is"


def test_no_sentence_stands_for_two_events() -> None:
    assert len(set(EVENT_WORDS.values())) == len(EventKind)


def test_an_event_tells_its_evidence_cost_and_size() -> None:
    adopted = Event(kind=E.DOUBT_ADOPTED, at=T0, data={"evidence": "the only one"})
    assert sentence(adopted) == "its task was found: evidence: the only one"
    rendered = Event(kind=E.TASK_SUCCEEDED, at=T0, data={"credits": 1.5})
    assert sentence(rendered) == "the vendor finished it: it cost 1.5 credits"
    fetched = Event(kind=E.DOWNLOADED, at=T0, data={"bytes": 1_500_000, "seconds": 2.0})
    assert sentence(fetched).endswith("its final name: 1.5 MB")


def test_an_event_without_a_message_tells_its_reason() -> None:
    refused = Event(kind=E.SUBMIT_REFUSED, at=T0, reason="vendor:4003")
    assert sentence(refused).endswith("nothing was paid: vendor:4003")


RENDERING = event(E.SUBMIT_ACCEPTED, S.SUBMITTING, S.SUBMITTED, T0 + HOUR, task_id=TaskId("9c3e"))
FAILED = event(E.TASK_FAILED, S.SUBMITTED, S.FAILED, T0 + HOUR + 60)
SINCE = "since 2025-06-15 16:06:40 (1 h ago)"

STATES: list[tuple[Job, tuple[StoredEvent, ...], str, str, str]] = [
    (
        job(S.PENDING),
        (),
        "waits for its files to be at the vendor",
        "The next run uploads what is missing, then submits it as soon as it is its turn and the "
        "account has a slot free.",
        "orchestrator run jobs.yaml",
    ),
    (
        job(S.READY),
        (event(E.ASSETS_LIVE, S.PENDING, S.READY, T0 + HOUR),),
        f"waits to be submitted, {SINCE}",
        "The next run submits it as soon as it is its turn and the account has a slot free.",
        "orchestrator run jobs.yaml",
    ),
    (
        job(S.SUBMITTING, attempts=1, attempt=AttemptKey(7)),
        (event(E.SUBMIT_INTENT, S.READY, S.SUBMITTING, T0 + HOUR),),
        f"is being submitted: a paid request may be on its way, {SINCE}",
        "The run that sent it has ended. The next run puts it in doubt and looks for its task; it "
        "is not simply sent again.",
        "orchestrator run jobs.yaml",
    ),
    (
        submitted(S.SUBMITTED),
        (RENDERING,),
        f"is being made by the vendor as task 9c3e, {SINCE}",
        "Nobody asks about it now. The next run does so first; that costs nothing.",
        "orchestrator run jobs.yaml",
    ),
    (
        submitted(S.RENDERED),
        (event(E.TASK_SUCCEEDED, S.SUBMITTED, S.RENDERED, T0 + HOUR),),
        f"is finished at the vendor and has to be downloaded, {SINCE}",
        "The next run downloads the video, checks it and gives it its final name.",
        "orchestrator run jobs.yaml",
    ),
    (
        DOUBT,
        (UNKNOWN,),
        "is in doubt: nobody knows whether the vendor made a task of it, and bills it, since "
        "2025-06-15 16:11:40 (55 min ago)",
        "The account's credit log has not been read whole since the submit began.",
        "orchestrator resolve spring/hello --task-id TASK_ID",
    ),
    (
        submitted(S.DONE),
        (event(E.DOWNLOADED, S.RENDERED, S.DONE, T0 + HOUR),),
        f"is done, {SINCE}",
        "Nothing: it is done, and is not made again as long as its manifest entry stays.",
        "",
    ),
    (
        submitted(S.FAILED),
        (RENDERING, FAILED),
        "failed, since 2025-06-15 16:07:40 (59 min ago)",
        "It stays so until you type 'retry'. Then: submitted anew (the new task is paid for; the "
        "vendor does not charge for one that failed).",
        "orchestrator retry spring/hello",
    ),
    (
        job(S.CANCELLED),
        (event(E.CANCELLED, S.READY, S.CANCELLED, T0 + HOUR),),
        f"was cancelled, {SINCE}",
        "It stays so until you type 'retry'. Then: submitted anew.",
        "orchestrator retry spring/hello",
    ),
]


def test_the_table_of_states_is_whole() -> None:
    assert {row[0].state for row in STATES} == set(State)


@pytest.mark.parametrize(("of", "events", "standing", "comes", "command"), STATES)
def test_every_state_says_how_it_stands_what_comes_and_what_to_type(
    of: Job, events: tuple[StoredEvent, ...], standing: str, comes: str, command: str
) -> None:
    told = story(of, *events)
    assert told.headline == f"spring/hello {standing}"
    assert told.next[0] == comes
    assert next((c.command for c in told.commands), "") == command


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("rehearsal", [False, True])
@pytest.mark.parametrize("settings", [None, Settings()])
def test_every_state_has_something_to_say(
    state: State, running: bool, rehearsal: bool, settings: Settings | None
) -> None:
    for of in (job(state), submitted(state), replace(submitted(state), orphan=True, revised=True)):
        told = story(of, running=running, rehearsal=rehearsal, settings=settings)
        for line in (*told.known, *told.attempts, *told.next):
            assert line.endswith(".")
            assert ".." not in line
        assert told.next


OUTPUT = "/videos/hello.mp4"


@pytest.mark.parametrize(
    ("of", "file_there", "said"),
    [
        (job(S.PENDING), False, f"Its video will be at {OUTPUT}."),
        (job(S.READY), False, f"Its video will be at {OUTPUT}."),
        (job(S.READY, orphan=True), False, None),
        (submitted(S.SUBMITTED, orphan=True), False, f"Its video will be at {OUTPUT}."),
        (submitted(S.RENDERED), False, f"Its video will be at {OUTPUT}."),
        (DOUBT, False, f"If a video comes of it, it will be at {OUTPUT}."),
        (submitted(S.DONE), True, f"Its video is at {OUTPUT}."),
        (submitted(S.DONE), False, f"Its video was at {OUTPUT}."),
        (submitted(S.FAILED), False, None),
        (submitted(S.FAILED), True, None),
        (submitted(S.CANCELLED), False, None),
    ],
)
def test_a_place_is_told_only_where_a_video_is_was_or_will_be(
    of: Job, file_there: bool, said: str | None
) -> None:
    facts = facts_of(of, (), files_live=True, file_there=file_there)
    lines = [line for line in story(of, facts=facts).known if OUTPUT in line]
    assert lines == ([] if said is None else [said])


def test_a_run_at_work_is_named() -> None:
    told = story(submitted(S.SUBMITTED), running=True)
    assert told.next[0].startswith("The run at work asks the vendor about it every few seconds")
    assert told.commands[0].command == "orchestrator status spring --watch"


def test_a_task_that_is_made_says_when_it_becomes_overdue() -> None:
    told = story(submitted(S.SUBMITTED))
    assert "by 2025-06-15 18:06:40, in 1 h (task_deadline)" in told.next[1]


def test_an_overdue_task_is_asked_about_rarely() -> None:
    told = story(submitted(S.SUBMITTED, overdue=True), running=True)
    assert told.headline == "spring/hello is being made by the vendor as task 9c3e, overdue"
    assert told.next == (
        "The run at work asks the vendor about it at most every five minutes, which costs nothing.",
    )


def test_a_doubt_tells_when_the_search_ends_and_what_comes_then() -> None:
    told = doubt()
    assert told.next[2] == (
        "The next run looks for its task in webhook notices and the credit log until "
        "2025-06-15 18:06:40, in 1 h (doubt_horizon)."
    )
    assert told.next[3] == "Then it stays in doubt until you settle it (on_doubt: hold)."


def test_a_doubt_tells_what_has_been_looked_at() -> None:
    told = doubt(looked=Looked(log_read_at=T0 + HOUR + 600))
    assert told.next[:2] == (
        "The account's credit log was last read whole at 2025-06-15 16:16:40 (50 min ago).",
        "No charged task without an owner could be this job's: no trace of one was found.",
    )


def test_a_log_that_was_read_before_the_submit_is_no_evidence() -> None:
    told = doubt(looked=Looked(log_read_at=T0))
    assert told.next[0] == (
        "The account's credit log has not been read whole since the submit began."
    )


def test_a_doubt_names_the_tasks_that_could_be_its_own_and_how_to_take_one() -> None:
    looked = Looked(log_read_at=T0 + 2 * HOUR, candidates=(TaskId("aa"), TaskId("bb")), rivals=1)
    told = doubt(looked=looked, flags=" --state data")
    assert told.next[1].endswith("could be its own, it is open which: aa, bb.")
    assert [c.command for c in told.commands] == [
        "orchestrator resolve spring/hello --task-id aa --state data",
        "orchestrator resolve spring/hello --task-id bb --state data",
        "orchestrator resolve spring/hello --resubmit --state data",
        "orchestrator resolve spring/hello --drop --state data",
    ]


def test_candidates_are_told_apart_by_their_charges_and_jobs_by_when_they_were_sent() -> None:
    looked = Looked(
        candidates=(TaskId("aa"), TaskId("bb")),
        billed=(
            Billed(task_id=TaskId("aa"), at=T0 + HOUR + 600, credits=1.0),
            Billed(task_id=TaskId("bb"), at=T0 + HOUR + 900),
        ),
        rivals=1,
        contenders=(
            Rival(name="spring/hello", at=T0 + HOUR),
            Rival(name="spring/twin", at=T0 + HOUR + 5),
        ),
    )
    assert doubt(looked=looked).next[2:6] == (
        "Task aa: charged 1 credit at 2025-06-15 16:16:40 (50 min ago).",
        "Task bb: charged at 2025-06-15 16:21:40 (45 min ago).",
        "Submits in doubt that could have made it, the first one first: spring/hello (this one) at "
        "2025-06-15 16:06:40; spring/twin at 2025-06-15 16:06:45. Tasks may be charged in another "
        "order.",
        "The vendor's site shows what each task made; 'resolve --task-id' settles the job with the "
        "one that is its own.",
    )


def test_what_is_certain_needs_no_telling_apart() -> None:
    looked = Looked(
        certain=TaskId("aa"), billed=(Billed(task_id=TaskId("aa"), at=T0, credits=1.0),)
    )
    assert not any("charged" in line for line in doubt(looked=looked).next)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (T0 + HOUR + 60, "until 2025-06-15 16:12:40, in 5 min (doubt_horizon)."),
        (T0 + 2 * HOUR, "looks once more; its doubt_horizon ended 2025-06-15 16:12:40, 54 min"),
    ],
)
def test_in_a_rehearsal_the_horizon_ends_as_much_sooner(now: float, said: str) -> None:
    told = doubt(rehearsal=True, time_scale=20.0, now=now)
    assert any(said in line for line in told.next)


def test_a_rehearsal_of_unknown_pace_promises_no_time() -> None:
    told = doubt(rehearsal=True, time_scale=None)
    assert "until doubt_horizon ends (scaled, in a rehearsal)" in told.next[-1]


def test_a_horizon_that_is_over_is_said_to_be_over() -> None:
    told = doubt(now=T0 + 5 * HOUR)
    assert told.next[-2] == (
        "The next run looks once more; its doubt_horizon ended 2025-06-15 18:06:40, 2 h ago."
    )


def test_a_candidate_that_others_could_have_made_too_is_said_to_be_uncertain() -> None:
    told = doubt(looked=Looked(candidates=(TaskId("aa"),), rivals=1))
    assert told.next[1] == (
        "One charged task without an owner could be its own: aa. It is not certain: another "
        "submit in doubt could have made it too."
    )


def test_a_notice_is_evidence_that_is_told() -> None:
    told = doubt(looked=Looked(notice=TaskId("cc")))
    assert "names task cc" in told.next[0]
    assert told.commands[0].command == "orchestrator resolve spring/hello --task-id cc"


@pytest.mark.parametrize(
    ("settings", "looked", "ends"),
    [
        (Settings(), Looked(), "It stays in doubt until you settle it (on_doubt: hold)."),
        (
            Settings(on_doubt=OnDoubt.RESUBMIT),
            Looked(),
            "The next run reads the credit log again and, if nothing is found, submits it anew.",
        ),
        (
            Settings(on_doubt=OnDoubt.RESUBMIT),
            Looked(candidates=(TaskId("aa"),)),
            "It is not submitted anew, because a task exists that could be its own: settle it.",
        ),
        (
            Settings(on_doubt=OnDoubt.RESUBMIT, doubt_horizon_s=60.0),
            Looked(),
            "Then it stays in doubt until you settle it: on_doubt: resubmit does nothing while "
            "doubt_horizon is shorter than task_deadline.",
        ),
    ],
)
def test_after_the_horizon_on_doubt_decides(settings: Settings, looked: Looked, ends: str) -> None:
    told = doubt(settings=settings, looked=looked, now=T0 + 5 * HOUR)
    assert told.next[-1] == ends


def test_without_a_manifest_nothing_is_said_about_the_end_of_the_search() -> None:
    assert "the manifest cannot be read" in doubt(settings=None).next[-1]


def test_a_doubt_whose_answer_came_late_needs_nobody() -> None:
    told = story(submitted(S.IN_DOUBT))
    assert told.next == ("The answer came late, and names its task: the next run goes on with it.",)
    assert told.commands[0].command == "orchestrator run jobs.yaml"


def test_a_job_given_up_in_doubt_is_resolved_not_retried() -> None:
    dropped = event(E.DOUBT_DROPPED, S.IN_DOUBT, S.FAILED, T0 + 2 * HOUR)
    told = story(replace(DOUBT, state=S.FAILED), UNKNOWN, dropped)
    assert told.headline.startswith("spring/hello failed, given up while in doubt")
    assert [c.command for c in told.commands] == [
        "orchestrator resolve spring/hello --task-id TASK_ID",
        "orchestrator resolve spring/hello --resubmit",
    ]


def test_a_cancelled_task_that_goes_on_is_said_to_be_charged() -> None:
    told = story(submitted(S.CANCELLED), attempts=(attempt(task_id=TaskId("9c3e")),))
    assert told.next[0].startswith("The vendor could not be told: its task goes on and is charged")
    ended = attempt(task_id=TaskId("9c3e"), ended_at=T0 + HOUR)
    assert len(story(submitted(S.CANCELLED), attempts=(ended,)).next) == 1


def test_a_lost_file_tells_how_long_it_can_be_fetched_for_nothing() -> None:
    known = facts_of(submitted(S.DONE), (), files_live=True, file_there=False)
    told = story(submitted(S.DONE), facts=known)
    assert told.headline == "spring/hello is done, but its file is gone"
    assert "the vendor keeps it until about 2025-06-22 16:06:40, in 6 d 23 h." in told.next[0]


def test_each_attempt_tells_what_was_sent_and_what_became_of_it() -> None:
    first = attempt(number=1, verdict=Verdict.REFUSED, revision=Revision("r0"))
    second = attempt(
        key=AttemptKey(8),
        number=2,
        task_id=TaskId("9c3e"),
        verdict=Verdict.ACCEPTED,
        audio_file_id=FileId("beef"),
        ended_at=T0 + 2 * HOUR,
    )
    told = story(submitted(S.RENDERED), attempts=(first, second))
    assert told.attempts == (
        "Attempt 1, begun 2025-06-15 16:06:40 (an earlier version of the job), with video f00d: "
        "no task was made, nothing was paid.",
        "Attempt 2, begun 2025-06-15 16:06:40, with video f00d and audio beef: task 9c3e, ended "
        "2025-06-15 17:06:40.",
    )


@pytest.mark.parametrize("verdict", [None, *Verdict])
def test_every_verdict_of_an_attempt_is_told(verdict: Verdict | None) -> None:
    told = story(DOUBT, attempts=(attempt(verdict=verdict),))
    assert told.attempts[0].startswith("Attempt 1, begun 2025-06-15 16:06:40, with video f00d: ")


def test_costs_are_told_once_they_are_known() -> None:
    assert "It has cost 2.5 credits so far." in story(submitted(S.DONE, credits=2.5)).known
    assert "It has cost 1 credit so far." in story(submitted(S.DONE, credits=1.0)).known
    assert "Nothing was paid for it: it was never submitted." in story(job(S.READY)).known
    assert any("No charge for it has been seen" in line for line in story(DOUBT).known)


def test_a_story_never_tells_the_token_of_an_attempt() -> None:
    assert "secret-token" not in repr(doubt())


def test_a_rehearsal_is_called_one() -> None:
    told = story(job(S.READY), rehearsal=True, flags=" --emulator")
    assert any("rehearsal" in line for line in told.known)
    assert told.commands[0].command == "orchestrator run jobs.yaml --emulator"


def test_a_clock_that_went_back_makes_no_negative_ages() -> None:
    told = story(submitted(S.SUBMITTED), RENDERING, now=T0)
    assert told.headline.endswith("since 2025-06-15 16:06:40 (just now)")
