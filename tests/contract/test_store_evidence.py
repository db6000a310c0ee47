"""What a store promises of evidence: attempts of unknown fate, notices, strangers, late answers.

Over the same fixture as ``test_store_contract.py``: it holds for every implementation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import store_kit
from store_kit import NOW, WIDE, World, charge, event, facts, make_world, new

from orchestrator.errors import StaleJob, TaskOwned
from orchestrator.model import (
    AvatarKind,
    Event,
    EventKind,
    FileId,
    Job,
    JobId,
    State,
    TaskId,
    Verdict,
)
from orchestrator.store.base import Purse, Stranger, Unsettled

E = EventKind
world = store_kit.world


def stranger(task: str, *, at: float = NOW, video: str | None = None) -> Stranger:
    return Stranger(
        task_id=TaskId(task),
        charged_at=at,
        video_file_id=None if video is None else FileId(video),
        audio_file_id=None,
    )


async def unsettled(world: World) -> list[Unsettled]:
    return await world.store.unsettled(world.account)


async def open_tokens(world: World) -> list[str]:
    return [u.attempt.token for u in await unsettled(world)]


async def notice(world: World, token: str, task: str, *, at: float = NOW) -> bool:
    return await world.store.notice(world.account, token, TaskId(task), at)


# --- attempts of unknown fate


async def test_an_attempt_in_doubt_is_unsettled_with_its_job_and_what_was_sent(
    world: World,
) -> None:
    video = facts("anna.mp4")
    await world.upload(video)
    await world.plan(new("job", avatar=video, avatar_kind=AvatarKind.VIDEO))
    [job] = await world.store.pending(world.batch, 1)
    purse = Purse(run=await world.run(), expected=1.0, clock_offset_s=-42.5)
    way = store_kit.WAY[State.IN_DOUBT]
    job = await world.drive(job, way, purse=purse, at=NOW + 5)
    [attempt] = await world.store.attempts(job.key)
    assert await unsettled(world) == [
        Unsettled(attempt=attempt, batch=world.batch, job=job, clock_offset_s=-42.5, notice=None)
    ]
    assert (attempt.video_file_id, attempt.started_at) == (f"file-{video.path}", NOW + 5)


UNSETTLED = [
    ("in doubt", [E.SUBMIT_UNKNOWN], True, True),
    ("interrupted", [E.SUBMIT_INTERRUPTED], True, True),
    ("dropped", [E.SUBMIT_UNKNOWN, E.DOUBT_DROPPED], True, False),
    ("cancelled", [E.SUBMIT_UNKNOWN, E.CANCELLED], True, False),
    ("revised", [E.SUBMIT_UNKNOWN, E.CANCELLED, E.REVISED], True, False),
    ("under way", [], True, False),
    ("cleared", [E.SUBMIT_UNKNOWN, E.DOUBT_CLEARED], False, False),
    ("adopted", [E.SUBMIT_UNKNOWN, E.DOUBT_ADOPTED], False, False),
    ("accepted", [E.SUBMIT_ACCEPTED], False, False),
    ("refused", [E.SUBMIT_REFUSED], False, False),
    ("postponed", [E.SUBMIT_POSTPONED], False, False),
]


@pytest.mark.parametrize(
    ("what", "events", "open", "with_job"), UNSETTLED, ids=[row[0] for row in UNSETTLED]
)
async def test_which_attempts_are_unsettled(
    world: World, what: str, events: list[EventKind], open: bool, with_job: bool
) -> None:
    """One under way is too: a task that nobody owns yet may be its own."""
    await world.drive(await world.reach("job", State.SUBMITTING), events)
    found = await unsettled(world)
    assert [(u.attempt.number, u.job is not None) for u in found] == [(1, with_job)] * open, what


async def test_a_given_up_attempt_stays_unsettled_while_its_job_is_made_anew(world: World) -> None:
    """Nobody but the first attempt may be the owner of a task that the log shows later."""
    job = await world.reach("job", State.IN_DOUBT)
    job = await world.drive(job, [E.DOUBT_DROPPED, E.RETRY_SUBMIT])
    job = await world.drive(job, [E.SUBMIT_INTENT, E.SUBMIT_UNKNOWN])
    found = [(u.attempt.number, u.job) for u in await unsettled(world)]
    assert found == [(1, None), (2, job)]


async def test_unsettled_attempts_are_the_accounts_oldest_first(world: World) -> None:
    other = await make_world(world.store, name="autumn")
    stranger = await make_world(world.store, identity="two")
    await stranger.reach("foreign", State.IN_DOUBT)
    await world.reach("late", State.IN_DOUBT, at=NOW + 9)
    await other.reach("early", State.IN_DOUBT, at=NOW)
    found = [(u.batch, u.attempt.token) for u in await unsettled(world)]
    assert found == [(other.batch, "token-early-1"), (world.batch, "token-late-1")]


async def test_the_oldest_doubt_of_a_batch_is_known_by_its_attempt(world: World) -> None:
    other = await make_world(world.store, name="autumn")
    await other.reach("elsewhere", State.IN_DOUBT, at=NOW - 99)
    await world.reach("given-up", State.IN_DOUBT, at=NOW - 50)
    assert await world.store.in_doubt_since(world.batch) == NOW - 50
    [given_up] = [u.job for u in await unsettled(world) if u.job and u.batch == world.batch]
    await world.store.move(given_up, event(E.DOUBT_DROPPED))
    assert await world.store.in_doubt_since(world.batch) is None
    for job_id, at in (("b", NOW + 5), ("a", NOW + 9)):
        await world.reach(job_id, State.IN_DOUBT, at=at)
    assert await world.store.in_doubt_since(world.batch) == NOW + 5


# --- notices


async def test_a_notice_names_the_task_of_the_attempt_with_its_token(world: World) -> None:
    await world.reach("job", State.IN_DOUBT)
    assert await notice(world, "token-job-1", "T")
    assert [u.notice for u in await unsettled(world)] == ["T"]


@pytest.mark.parametrize("token", ["", "token-job", "token-job-2", "TOKEN-JOB-1", "%"])
async def test_a_notice_with_another_token_is_refused_and_not_kept(
    world: World, token: str
) -> None:
    await world.reach("job", State.IN_DOUBT)
    assert not await notice(world, token, "T")
    assert [u.notice for u in await unsettled(world)] == [None]


async def test_a_token_of_another_account_is_no_token(world: World) -> None:
    other = await make_world(world.store, identity="two")
    await other.reach("job", State.IN_DOUBT)
    assert not await notice(world, "token-job-1", "T")
    assert await notice(other, "token-job-1", "T")


async def test_a_notice_before_the_answer_is_only_kept(world: World) -> None:
    job = await world.reach("job", State.SUBMITTING)
    assert await notice(world, "token-job-1", "T")
    known = await world.job("job")
    assert (known.state, known.version, known.task_id) == (State.SUBMITTING, job.version, None)
    doubtful = await world.store.move(job, event(E.SUBMIT_UNKNOWN))
    assert [(u.job, u.notice) for u in await unsettled(world)] == [(doubtful, "T")]


async def test_an_answer_wins_over_a_notice_that_came_before(world: World) -> None:
    job = await world.reach("job", State.SUBMITTING)
    await notice(world, "token-job-1", "other")
    accepted = await world.store.move(job, event(E.SUBMIT_ACCEPTED, task="T"))
    assert (accepted.task_id, await unsettled(world)) == ("T", [])
    assert await notice(world, "token-job-1", "T")  # late and twice: harmless


async def test_repeated_notices_change_nothing(world: World) -> None:
    await world.reach("job", State.IN_DOUBT)
    for at in (NOW, NOW + 1, NOW):
        assert await notice(world, "token-job-1", "T", at=at)
    assert [u.notice for u in await unsettled(world)] == ["T"]


async def test_a_notice_that_names_a_task_with_an_owner_does_not_hide_another(
    world: World,
) -> None:
    await world.reach("owner", State.SUBMITTED)
    await world.reach("job", State.IN_DOUBT)
    await notice(world, "token-job-1", "T")
    await notice(world, "token-job-1", "task-owner-1", at=NOW + 1)
    assert [u.notice for u in await unsettled(world)] == ["T"]


async def test_of_two_tasks_the_newest_notice_counts(world: World) -> None:
    await world.reach("job", State.IN_DOUBT)
    await notice(world, "token-job-1", "first")
    await notice(world, "token-job-1", "second", at=NOW + 1)
    assert [u.notice for u in await unsettled(world)] == ["second"]


# --- tasks in the log that nobody owns


async def test_unclaimed_charges_are_those_of_which_nothing_is_known(world: World) -> None:
    await world.reach("job", State.SUBMITTED)
    read = [
        charge("task-job-1", at=NOW + 1),
        charge("later", 2.5, at=NOW + 2),
        charge("seen", at=NOW + 1),
        charge("early", at=NOW + 1),
        charge("too early", at=NOW - 1),
    ]
    await world.store.remember_charges(world.account, read)
    await world.store.remember_stranger(world.account, stranger("seen", at=NOW + 1))
    found = await world.store.unclaimed(world.account, NOW)
    assert found == [charge("early", at=NOW + 1), charge("later", 2.5, at=NOW + 2)]


async def test_a_stranger_comes_back_as_it_was_seen_while_nobody_owns_it(world: World) -> None:
    job = await world.reach("job", State.IN_DOUBT)
    mine, old = stranger("mine", at=NOW + 2, video="v"), stranger("old", at=NOW - 1)
    for seen in (mine, stranger("theirs", at=NOW), old):
        await world.store.remember_stranger(world.account, seen)
    since = [await world.store.strangers(world.account, at) for at in (NOW, NOW - 1)]
    assert since == [[stranger("theirs"), mine], [old, stranger("theirs"), mine]]
    await world.store.move(job, event(E.DOUBT_ADOPTED, task="mine"))
    assert await world.store.strangers(world.account, NOW) == [stranger("theirs")]


async def test_what_was_seen_last_of_a_stranger_is_kept(world: World) -> None:
    for seen in (stranger("T"), stranger("T", video="v")):
        await world.store.remember_stranger(world.account, seen)
    assert await world.store.strangers(world.account, 0.0) == [stranger("T", video="v")]


async def test_strangers_and_charges_belong_to_their_account(world: World) -> None:
    other = await make_world(world.store, identity="two")
    await world.charge("T", 1.0)
    await world.store.remember_stranger(world.account, stranger("S"))
    await other.reach("job", State.SUBMITTED)  # owns a task of that account only
    await world.charge("task-job-1", 1.0)
    assert await world.store.unclaimed(other.account, 0.0) == []
    assert await world.store.strangers(other.account, 0.0) == []
    assert [c.task_id for c in await world.store.unclaimed(world.account, 0.0)] == [
        "T",
        "task-job-1",
    ]


async def test_owned_tasks_are_those_of_any_attempt_of_the_account(world: World) -> None:
    other = await make_world(world.store, name="autumn")
    stranger = await make_world(world.store, identity="two")
    await world.reach("job", State.FAILED)
    await other.reach("far", State.SUBMITTED)
    await stranger.reach("foreign", State.SUBMITTED)
    asked = [TaskId(f"task-{name}-1") for name in ("job", "far", "foreign", "none")]
    assert await world.store.owned(world.account, asked) == {"task-job-1", "task-far-1"}
    assert await world.store.owned(world.account, []) == set()


async def test_it_is_known_when_the_log_of_an_account_was_last_read_whole(world: World) -> None:
    other = await world.store.account("two")
    assert await world.store.log_read_at(world.account) is None
    for at in (NOW, NOW + 7.5):
        await world.store.log_read(world.account, at)
    assert await world.store.log_read_at(world.account) == NOW + 7.5
    assert await world.store.log_read_at(other) is None


async def test_facts_of_an_account_are_json_and_its_own(world: World) -> None:
    other = await world.store.account("two")
    assert await world.store.fact(world.account, "slots") is None
    for value in ({"limit": 3}, {"limit": 4, "of": [1.5, None, "x"]}):
        await world.store.set_fact(world.account, "slots", value)
        assert await world.store.fact(world.account, "slots") == value
    assert await world.store.fact(world.account, "other") is None
    assert await world.store.fact(other, "slots") is None


async def test_a_fact_is_swapped_only_for_what_the_caller_knew(world: World) -> None:
    swap, account = world.store.swap_fact, world.account
    assert not await swap(account, "slots", {"limit": 1}, {"limit": 0})
    assert await world.store.fact(account, "slots") is None
    assert await swap(account, "slots", {"limit": 1}, None)
    assert not await swap(account, "slots", {"limit": 2}, None)
    assert await swap(account, "slots", {"limit": 3}, {"limit": 1})
    assert await world.store.fact(account, "slots") == {"limit": 3}


async def test_a_clock_that_was_ahead_does_not_vouch_for_hours_that_nobody_read(
    world: World,
) -> None:
    for at in (NOW + 3_600, NOW):
        await world.store.log_read(world.account, at)
    assert await world.store.log_read_at(world.account) == NOW


# --- answers that come late


async def test_of_two_pieces_of_evidence_for_one_task_one_is_taken(world: World) -> None:
    for job_id in ("first", "second"):
        await world.reach(job_id, State.IN_DOUBT)
    first, second = [u.job for u in await unsettled(world)]
    assert first is not None and second is not None
    await world.store.move(first, event(E.DOUBT_ADOPTED, task="T"))
    with pytest.raises(TaskOwned):
        await world.store.move(second, event(E.DOUBT_ADOPTED, task="T"))
    assert [(u.attempt.token, u.notice) for u in await unsettled(world)] == [
        ("token-second-1", None)
    ]


async def test_an_attempt_that_was_cleared_is_accepted_when_its_answer_comes_after_all(
    world: World,
) -> None:
    """Two tasks were made then, and both are known, counted and owned."""
    late = await world.reach("job", State.SUBMITTING)
    await world.store.recover(world.batch, NOW)
    [u] = await unsettled(world)
    assert u.job is not None
    again = await world.drive(u.job, [E.DOUBT_CLEARED, E.SUBMIT_INTENT, E.SUBMIT_ACCEPTED])
    with pytest.raises(StaleJob):
        await world.store.move(late, event(E.SUBMIT_ACCEPTED, task="late"))
    first, second = await world.store.attempts(late.key)
    assert (first.verdict, first.task_id) == (Verdict.ACCEPTED, "late")
    assert (second.key, second.task_id) == (again.attempt, "task-job-2")
    assert await world.store.spent(world.batch, None) == 2.0
    assert (await world.job("job")).task_id == "task-job-2"


async def test_a_job_in_doubt_whose_answer_came_late_goes_on_with_the_next_run(
    world: World,
) -> None:
    late = await world.reach("job", State.SUBMITTING)
    await world.store.recover(world.batch, NOW)
    with pytest.raises(StaleJob):
        await world.store.move(late, event(E.SUBMIT_ACCEPTED, task="T"))
    assert await unsettled(world) == []
    assert await world.store.recover(world.batch, NOW + 9) == 0
    known = await world.job("job")
    assert (known.state, known.task_id, known.accepted_at) == (State.SUBMITTED, "T", NOW)
    last = (await world.store.events(world.batch, JobId("job")))[-1].event
    assert (last.kind, last.task_id) == (E.DOUBT_ADOPTED, "T")
    assert "came late" in last.data["evidence"]


# --- cancelled, but the vendor goes on


@pytest.mark.parametrize("end", [E.TASK_SUCCEEDED, E.TASK_FAILED, E.TASK_LOST])
async def test_the_end_of_a_cancelled_jobs_task_frees_its_slot_and_nothing_else(
    world: World, end: EventKind
) -> None:
    job = await world.reach("job", State.SUBMITTED)
    cancelled = Event(kind=E.CANCELLED, at=NOW, reason="operator", message="Not needed.")
    job = await world.store.move(job, cancelled)
    assert [j.key for j in await world.store.submitted(world.batch)] == [job.key]
    ended = await world.store.move(job, event(end, at=NOW + 60))
    assert (ended.state, ended.reason, ended.message) == (
        State.CANCELLED,
        "operator",
        "Not needed.",
    )
    [attempt] = await world.store.attempts(job.key)
    assert (attempt.ended_at, attempt.overdue) == (NOW + 60, False)
    assert await world.store.slots_used(world.account, WIDE, NOW) == 0
    assert await world.store.submitted(world.batch) == []


async def test_an_overdue_task_of_a_cancelled_job_holds_no_slot_but_is_asked_about(
    world: World,
) -> None:
    job = await world.reach("job", State.CANCELLED)
    late = await world.store.move(job, event(E.TASK_OVERDUE))
    assert (late.state, late.overdue) == (State.CANCELLED, True)
    assert await world.store.slots_used(world.account, WIDE, NOW) == 0
    assert await world.store.submitted(world.batch) == [late]
    await world.store.move(late, event(E.TASK_SUCCEEDED))
    assert await world.store.submitted(world.batch) == []


@pytest.mark.parametrize(
    ("what", "state", "events"),
    [
        ("nothing was sent", State.READY, [E.CANCELLED]),
        ("its fate was unknown", State.IN_DOUBT, [E.CANCELLED]),
        ("its task had ended", State.DONE, [E.RETRY_POLL, E.CANCELLED]),
    ],
)
async def test_a_cancelled_job_without_a_live_task_is_not_watched(
    world: World, what: str, state: State, events: list[EventKind]
) -> None:
    await world.drive(await world.reach("job", state), events)
    assert await world.store.submitted(world.batch) == [], what


async def disown_by_revision(world: World, job: Job) -> Job:
    return await world.store.move(job, event(E.REVISED))


async def disown_by_retry(world: World, job: Job) -> Job:
    return await world.drive(job, [E.RETRY_SUBMIT, E.SUBMIT_INTENT, E.SUBMIT_REFUSED])


@pytest.mark.parametrize("disown", [disown_by_revision, disown_by_retry])
async def test_a_task_that_nobody_watches_any_more_holds_no_slot(
    world: World, disown: Callable[[World, Job], Awaitable[Job]]
) -> None:
    """Its end would never be seen, and the slot would be lost to the account for ever."""
    job = await world.reach("job", State.CANCELLED)
    assert await world.store.slots_used(world.account, WIDE, NOW) == 1
    await disown(world, job)
    assert await world.store.slots_used(world.account, WIDE, NOW) == 0
    first = (await world.store.attempts(job.key))[0]
    assert (first.task_id, first.overdue, first.ended_at) == ("task-job-1", True, None)


async def test_an_answer_for_an_attempt_that_was_replaced_holds_no_slot(world: World) -> None:
    late = await world.reach("job", State.SUBMITTING)
    await world.store.recover(world.batch, NOW)
    [u] = await unsettled(world)
    assert u.job is not None
    await world.drive(u.job, [E.DOUBT_CLEARED, E.SUBMIT_INTENT, E.SUBMIT_REFUSED])
    with pytest.raises(StaleJob):
        await world.store.move(late, event(E.SUBMIT_ACCEPTED, task="late"))
    assert await world.store.slots_used(world.account, WIDE, NOW) == 0


# --- looking for jobs


async def test_jobs_are_found_by_globs_over_all_batches_in_manifest_order(world: World) -> None:
    autumn = await world.store.open_batch("autumn", world.account, Path("/a.yaml"), NOW + 1)
    other = World(world.store, world.account, autumn.key)
    await world.plan(new("b-1"), new("a-1", position=1), new("x", position=2))
    await other.plan(new("a-1", position=1), new("a-2"))

    async def found(pattern: str) -> list[str]:
        jobs = await world.store.find_jobs(pattern)
        return [f"{batch.name}/{job.job_id}" for batch, job in jobs]

    assert await found("a-1") == ["spring/a-1", "autumn/a-1"]
    assert await found("spring/*") == ["spring/b-1", "spring/a-1", "spring/x"]
    assert await found("aut*/a-[12]") == ["autumn/a-2", "autumn/a-1"]
    assert await found("*/x") == ["spring/x"]
    assert await found("spring") == await found("winter/*") == await found("/x") == []


async def test_a_found_job_is_the_whole_job_with_its_batch(world: World) -> None:
    job = await world.reach("job", State.SUBMITTED)
    [batch] = await world.store.batches()
    assert await world.store.find_jobs("spring/job") == [(batch, job)]


async def test_attempts_of_a_job_come_oldest_first_as_they_are_now(world: World) -> None:
    job = await world.reach("job", State.SUBMITTED, at=NOW)
    [begun] = await world.store.attempts(job.key)
    job = await world.drive(job, [E.RENDER_AGAIN, E.SUBMIT_INTENT], at=NOW + 60)
    await world.reach("other", State.SUBMITTED)
    first, second = await world.store.attempts(job.key)
    assert first == replace(begun, ended_at=NOW + 60)
    assert (second.key, second.number, second.verdict) == (job.attempt, 2, None)
