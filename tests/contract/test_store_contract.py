"""Promises of ``store.base`` that every implementation keeps: moving, claiming, slots, limits.

Another store joins by adding its opener to ``store_kit.OPENERS``. What planning promises is in
``test_store_planning.py``, over the same fixture.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import store_kit
from store_kit import NOW, WIDE, World, as_known, event, facts, make_world, new

from orchestrator.core.state import TRANSITIONS
from orchestrator.errors import IllegalTransition, OrchestratorError, StaleJob, TaskOwned
from orchestrator.model import (
    AccountKey,
    AvatarKind,
    ContentHash,
    Event,
    EventKind,
    Job,
    JobId,
    Rate,
    State,
    TaskId,
)
from orchestrator.store.base import ClaimRefusal, FileStamp, Owner, SlotRule

E = EventKind
NS = 1_700_000_000_123_456_789
world = store_kit.world

# --- every pair of the table


def moves_from(state: State) -> list[EventKind]:
    """`submit_intent` is the claim's, which has its own tests."""
    return [kind for kind in TRANSITIONS[state] if kind is not E.SUBMIT_INTENT]


@pytest.mark.parametrize("state", list(State))
async def test_every_pair_of_the_table_moves_the_job_and_stores_one_event(
    world: World, state: State
) -> None:
    for kind in moves_from(state):
        job = await world.reach(f"{state}-{kind}", state)
        moved = await world.store.move(job, world.event(job, kind, at=NOW + 1))
        assert (moved.state, moved.version) == (TRANSITIONS[state][kind], job.version + 1)
        last = (await world.store.events(world.batch, job.job_id))[-1]
        assert (last.before, last.after, last.event.kind) == (state, moved.state, kind)
        known = await world.job(job.job_id)
        assert (known.state, known.version) == (moved.state, moved.version)


@pytest.mark.parametrize("state", list(State))
async def test_every_pair_that_is_not_in_the_table_is_refused_and_changes_nothing(
    world: World, state: State
) -> None:
    job = await world.reach("job", state)
    before = await world.job("job"), await world.store.events(world.batch, job.job_id)
    for kind in set(EventKind) - set(TRANSITIONS[state]):
        with pytest.raises(IllegalTransition) as caught:
            await world.store.move(job, event(kind))
        assert (caught.value.job, caught.value.state, caught.value.event) == ("job", state, kind)
    assert before == (await world.job("job"), await world.store.events(world.batch, job.job_id))


async def test_an_intent_without_a_claim_disowns_no_attempt(world: World) -> None:
    job = await world.reach("job", State.SUBMITTING)
    postponed = await world.store.move(job, event(E.SUBMIT_POSTPONED))
    moved = await world.store.move(postponed, event(E.SUBMIT_INTENT))
    assert (moved.state, moved.attempt) == (State.SUBMITTING, None)


# --- compare and set


async def test_a_change_that_is_based_on_an_old_version_is_refused(world: World) -> None:
    [job] = await world.add("job")
    await world.store.move(job, event(E.ASSETS_LIVE))
    with pytest.raises(StaleJob) as caught:
        await world.store.move(job, event(E.CANCELLED))
    assert (caught.value.expected, caught.value.found) == (job.version, job.version + 1)
    assert (await world.job("job")).state is State.READY
    assert len(await world.store.events(world.batch, job.job_id)) == 1


async def test_of_two_changes_at_once_exactly_one_wins(world: World) -> None:
    [job] = await world.add("job")
    moves = (world.store.move(job, event(kind)) for kind in (E.ASSETS_LIVE, E.CANCELLED))
    results = await asyncio.gather(*moves, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Job", "StaleJob"]


async def late_answer(world: World) -> Job:
    """The reply to a submit comes after the next run has found the job in `submitting`."""
    late = await world.reach("job", State.SUBMITTING)
    await world.store.recover(world.batch, NOW)
    with pytest.raises(StaleJob):
        await world.store.move(late, event(E.SUBMIT_ACCEPTED, task="T"))
    return late


async def test_a_late_answer_keeps_its_paid_task_though_the_job_has_moved_on(world: World) -> None:
    late = await late_answer(world)
    known = await world.job("job")
    assert (known.state, known.task_id, known.accepted_at) == (State.IN_DOUBT, "T", NOW)
    assert await world.store.find_task(world.account, TaskId("T")) == late.key
    assert await world.store.slots_used(world.account, WIDE, NOW + 86_400) == 1


async def test_an_attempt_whose_task_is_known_is_not_judged_otherwise(world: World) -> None:
    doubtful = as_known(await late_answer(world), await world.job("job"))
    dropped = await world.store.move(doubtful, event(E.DOUBT_DROPPED))
    assert (dropped.state, dropped.task_id) == (State.FAILED, "T")
    assert await world.store.slots_used(world.account, WIDE, NOW + 86_400) == 1


async def test_a_task_that_came_late_can_be_adopted(world: World) -> None:
    doubtful = as_known(await late_answer(world), await world.job("job"))
    adopted = await world.store.move(doubtful, event(E.DOUBT_ADOPTED, at=NOW + 9, task="T"))
    assert (adopted.state, adopted.task_id, adopted.accepted_at) == (State.SUBMITTED, "T", NOW)


# --- who owns a task


async def test_a_task_of_another_attempt_is_refused_and_changes_nothing(world: World) -> None:
    await world.reach("owner", State.SUBMITTED)
    job = await world.reach("job", State.SUBMITTING)
    with pytest.raises(TaskOwned, match="task-owner-1 belongs to attempt 1 of job spring/owner"):
        await world.store.move(job, event(E.SUBMIT_ACCEPTED, task="task-owner-1"))
    known = await world.job("job")
    assert (known.state, known.version, known.task_id) == (State.SUBMITTING, job.version, None)


async def test_an_attempt_never_gets_a_second_task(world: World) -> None:
    job = await world.reach("job", State.SUBMITTED)
    with pytest.raises(OrchestratorError, match="cannot own other"):
        await world.store.move(job, event(E.TASK_SUCCEEDED, task="other"))
    assert (await world.job("job")).state is State.SUBMITTED


async def test_two_accounts_may_have_tasks_of_one_name(world: World) -> None:
    other = await make_world(world.store, identity="two")
    for each in (world, other):
        job = await each.reach("job", State.SUBMITTED)
        assert await world.store.find_task(each.account, TaskId("task-job-1")) == job.key


# --- what a move leaves behind


async def test_an_event_comes_back_as_it_was_stored(world: World) -> None:
    job = await world.reach("job", State.RENDERED)
    told = event(E.DOWNLOAD_FAILED, at=NOW + 0.125, file="ä.mp4", sizes=[1, 2], deep={"a": None})
    await world.store.move(job, told)
    stored = (await world.store.events(world.batch, JobId("job")))[-1]
    assert (stored.event, stored.attempt) == (told, job.attempt)


async def test_reason_and_message_stay_until_the_job_moves_forward(world: World) -> None:
    job = await world.reach("job", State.SUBMITTING)
    full = Event(kind=E.SUBMIT_POSTPONED, at=NOW, reason="vendor:4007", message="The cap is full.")
    waiting = await world.store.move(job, full)
    assert (waiting.reason, waiting.message) == ("vendor:4007", "The cap is full.")
    [row] = await world.store.job_rows(world.batch)
    assert (row.reason, row.message) == ("vendor:4007", "The cap is full.")
    claimed = (await world.claim(waiting)).job
    assert claimed is not None
    assert (claimed.reason, claimed.message) == ("", "")


async def test_an_overdue_task_without_words_keeps_the_reason(world: World) -> None:
    job = await world.reach("job", State.SUBMITTED)
    slow = Event(kind=E.TASK_OVERDUE, at=NOW, reason="overdue", message="Two hours.")
    job = await world.store.move(job, slow)
    job = await world.store.move(job, event(E.TASK_OVERDUE))
    assert (job.overdue, job.reason) == (True, "overdue")


async def test_the_size_of_a_download_is_known_while_the_job_is_done(world: World) -> None:
    job = await world.reach("job", State.RENDERED)
    job = await world.store.move(job, event(E.DOWNLOADED, bytes=1234))
    assert (await world.job("job")).output_bytes == 1234
    job = await world.store.move(job, event(E.MOVED))
    assert (await world.job("job")).output_bytes == 1234
    job = await world.store.move(job, event(E.MOVED, bytes=1235))
    assert (await world.job("job")).output_bytes == 1235
    await world.store.move(job, event(E.FILE_GONE))
    assert (await world.job("job")).output_bytes is None


async def test_credits_are_kept_and_summed_over_attempts(world: World) -> None:
    job = await world.reach("job", State.SUBMITTED)
    job = await world.store.move(job, event(E.TASK_SUCCEEDED, credits=1.5))
    assert job.credits == 1.5
    job = await world.drive(job, [E.DOWNLOADED, E.RETRY_SUBMIT, E.SUBMIT_INTENT, E.SUBMIT_ACCEPTED])
    job = await world.store.move(job, event(E.TASK_SUCCEEDED, credits=2.0))
    assert job.credits == 3.5


async def test_a_job_knows_the_last_video_that_was_done(world: World) -> None:
    job = await world.reach("job", State.RENDERED)
    assert job.made is None
    done = await world.store.move(job, event(E.DOWNLOADED))
    assert done.made == done.revision


@pytest.mark.parametrize(
    ("end", "badly"),
    [(E.TASK_FAILED, True), (E.TASK_LOST, True), (E.RENDER_AGAIN, True), (E.TASK_SUCCEEDED, False)],
)
async def test_it_is_known_whether_a_task_ended_badly(
    world: World, end: EventKind, badly: bool
) -> None:
    job = await world.reach("job", State.SUBMITTED)
    assert not (await world.job("job")).task_ended_badly
    await world.store.move(job, event(end))
    assert (await world.job("job")).task_ended_badly is badly


# --- windows and counts


async def test_windows_give_selected_jobs_by_priority_then_position(world: World) -> None:
    await world.plan(
        new("late", position=3),
        new("early", position=1),
        new("vip", position=2, priority=5),
        replace(new("unselected", position=0), selected=False),
    )
    found = [job.job_id for job in await world.store.pending(world.batch, 10)]
    assert found == ["vip", "early", "late"]
    assert len(await world.store.pending(world.batch, 2)) == 2
    for job in await world.store.pending(world.batch, 10):
        await world.store.move(job, event(E.ASSETS_LIVE))
    ready = [job.job_id for job in await world.store.ready(world.batch, 2)]
    assert ready == ["vip", "early"]


async def test_rendered_and_submitted_jobs_come_oldest_first_whoever_selected_them(
    world: World,
) -> None:
    for number, job_id in enumerate(("third", "first", "second")):
        at = NOW + (3, 1, 2)[number]
        await world.reach(job_id, State.SUBMITTED, at=at)
        await world.reach(f"r-{job_id}", State.RENDERED, at=at)
    await world.plan()  # selects nobody
    submitted = [job.job_id for job in await world.store.submitted(world.batch)]
    rendered = [job.job_id for job in await world.store.rendered(world.batch, 2)]
    assert submitted == ["first", "second", "third"]
    assert rendered == ["r-first", "r-second"]


async def test_counts_hold_all_jobs_and_startable_only_selected_ones(world: World) -> None:
    await world.plan(new("a"), replace(new("b"), selected=False))
    await world.reach("c", State.DONE)
    assert await world.store.counts(world.batch) == {State.PENDING: 2, State.DONE: 1}
    assert await world.store.startable(world.batch) == {State.DONE: 1}


async def test_batches_do_not_see_each_other(world: World) -> None:
    other = await make_world(world.store, name="autumn")
    await other.add("job")
    assert await world.store.pending(world.batch, 10) == []
    assert await world.store.counts(world.batch) == {}
    assert await world.store.events(world.batch, JobId("job")) == []


# --- claims


async def test_a_claim_begins_an_attempt_with_what_will_be_sent(world: World) -> None:
    video, voice = facts("anna.mp4"), facts("hello.wav", format="wav")
    await world.plan(new("job", avatar=video, avatar_kind=AvatarKind.VIDEO, audio=voice))
    await world.upload(video, voice)
    [job] = await world.store.pending(world.batch, 1)
    ready = await world.store.move(job, event(E.ASSETS_LIVE))
    claim = await world.store.claim(world.account, ready, WIDE, "secret", NOW + 5)
    assert claim.refusal is None and claim.job is not None and claim.attempt is not None
    assert claim.job.state is State.SUBMITTING
    assert (claim.job.attempt, claim.job.attempts) == (claim.attempt.key, 1)
    attempt = claim.attempt
    assert (attempt.number, attempt.token, attempt.started_at) == (1, "secret", NOW + 5)
    assert attempt.revision == job.revision
    sent = (attempt.video_file_id, attempt.image_file_id, attempt.audio_file_id)
    assert sent == (f"file-{video.path}", None, f"file-{voice.path}")
    assert attempt.verdict is None and attempt.task_id is None


async def test_the_file_of_a_picture_avatar_is_sent_as_image(world: World) -> None:
    photo = facts("anna.png", format="png")
    await world.plan(new("job", avatar=photo, avatar_kind=AvatarKind.IMAGE))
    await world.upload(photo)
    [job] = await world.store.pending(world.batch, 1)
    claim = await world.claim(await world.store.move(job, event(E.ASSETS_LIVE)))
    assert claim.attempt is not None
    sent = (claim.attempt.video_file_id, claim.attempt.image_file_id, claim.attempt.audio_file_id)
    assert sent == (None, f"file-{photo.path}", None)


async def test_a_claim_is_refused_while_all_slots_are_held(world: World) -> None:
    await world.reach("first", State.SUBMITTED)
    job = await world.reach("second", State.READY)
    claim = await world.claim(job, rule=SlotRule(in_flight=1, doubt_hold_s=600))
    assert (claim.refusal, claim.attempt) == (ClaimRefusal.SLOTS, None)
    assert claim.job == job
    assert (await world.job("second")).state is State.READY


async def test_slots_are_the_accounts_whatever_the_batch(world: World) -> None:
    other = await make_world(world.store, name="autumn")
    await other.reach("job", State.SUBMITTED)
    job = await world.reach("job-2", State.READY)
    claim = await world.claim(job, rule=SlotRule(in_flight=1, doubt_hold_s=600))
    assert claim.refusal is ClaimRefusal.SLOTS


async def test_a_claim_without_a_live_file_id_sends_the_job_back(world: World) -> None:
    video = facts("anna.mp4")
    await world.plan(new("job", avatar=video, avatar_kind=AvatarKind.VIDEO))
    await world.upload(video)
    [job] = await world.store.pending(world.batch, 1)
    ready = await world.store.move(job, event(E.ASSETS_LIVE))
    await world.store.forget_files(world.account, [video.content_hash])
    claim = await world.claim(ready)
    assert (claim.refusal, claim.attempt) == (ClaimRefusal.FILES, None)
    assert claim.job is not None
    assert (claim.job.state, claim.job.attempts) == (State.PENDING, 0)
    [stored] = (await world.store.events(world.batch, JobId("job")))[1:]
    assert stored.event.kind is E.FILES_EXPIRED


async def test_a_claim_on_a_job_that_moved_is_refused(world: World) -> None:
    job = await world.reach("job", State.READY)
    await world.store.move(job, event(E.CANCELLED))
    claim = await world.claim(job)
    assert (claim.refusal, claim.job, claim.attempt) == (ClaimRefusal.MOVED, None, None)


async def test_of_two_claims_for_the_last_slot_one_gets_it(world: World) -> None:
    added = await world.add("a", "b")
    jobs = [await world.store.move(job, event(E.ASSETS_LIVE)) for job in added]
    rule = SlotRule(in_flight=1, doubt_hold_s=600)
    claims = await asyncio.gather(*(world.claim(job, rule=rule) for job in jobs))
    assert sorted(str(claim.refusal) for claim in claims) == ["None", "slots"]


async def test_every_claim_is_an_attempt_of_its_own(world: World) -> None:
    job = await world.reach("job", State.SUBMITTING)
    ready = await world.store.move(job, event(E.SUBMIT_POSTPONED))
    second = await world.claim(ready)
    assert second.attempt is not None and second.job is not None
    assert (second.attempt.number, second.job.attempts) == (2, 2)
    assert second.attempt.key != job.attempt


# --- slots


SLOTS = [
    ("sending", [], 1, 1),
    ("accepted", [E.SUBMIT_ACCEPTED], 1, 1),
    ("refused", [E.SUBMIT_REFUSED], 0, 0),
    ("postponed", [E.SUBMIT_POSTPONED], 0, 0),
    ("file unknown", [E.SUBMIT_FILE_UNKNOWN], 0, 0),
    ("unknown", [E.SUBMIT_UNKNOWN], 1, 0),
    ("interrupted", [E.SUBMIT_INTERRUPTED], 1, 0),
    ("adopted", [E.SUBMIT_UNKNOWN, E.DOUBT_ADOPTED], 1, 1),
    ("cleared", [E.SUBMIT_UNKNOWN, E.DOUBT_CLEARED], 0, 0),
    ("dropped", [E.SUBMIT_UNKNOWN, E.DOUBT_DROPPED], 1, 0),
    ("doubt cancelled", [E.SUBMIT_UNKNOWN, E.CANCELLED], 1, 0),
    ("overdue", [E.SUBMIT_ACCEPTED, E.TASK_OVERDUE], 0, 0),
    ("cancelled but running", [E.SUBMIT_ACCEPTED, E.CANCELLED], 1, 1),
    ("cancelled, asked again", [E.SUBMIT_ACCEPTED, E.CANCELLED, E.RETRY_POLL], 1, 1),
    ("succeeded", [E.SUBMIT_ACCEPTED, E.TASK_SUCCEEDED], 0, 0),
    ("failed", [E.SUBMIT_ACCEPTED, E.TASK_FAILED], 0, 0),
    ("lost", [E.SUBMIT_ACCEPTED, E.TASK_LOST], 0, 0),
    ("again", [E.SUBMIT_ACCEPTED, E.RENDER_AGAIN], 0, 0),
    ("file gone", [E.SUBMIT_ACCEPTED, E.TASK_SUCCEEDED, E.DOWNLOADED, E.FILE_GONE], 0, 0),
    ("poll again", [E.SUBMIT_ACCEPTED, E.TASK_SUCCEEDED, E.DOWNLOAD_FAILED, E.RETRY_POLL], 0, 0),
]


@pytest.mark.parametrize(("what", "events", "soon", "later"), SLOTS, ids=[row[0] for row in SLOTS])
async def test_slots_are_counted_from_attempts(
    world: World, what: str, events: list[EventKind], soon: int, later: int
) -> None:
    await world.drive(await world.reach("job", State.SUBMITTING), events)
    used = [await world.store.slots_used(world.account, WIDE, NOW + s) for s in (599.0, 600.0)]
    assert used == [soon, later], what


async def test_a_task_that_is_overdue_can_be_asked_about_again(world: World) -> None:
    job = await world.reach("job", State.SUBMITTED)
    job = await world.drive(job, [E.TASK_OVERDUE, E.TASK_LOST, E.RETRY_POLL])
    assert (job.state, job.overdue) == (State.SUBMITTED, False)
    assert [j.key for j in await world.store.submitted(world.batch)] == [job.key]


# --- start-up


async def test_recovery_puts_submitting_jobs_of_the_batch_in_doubt_and_nobody_else(
    world: World,
) -> None:
    other = await make_world(world.store, name="autumn")
    await other.reach("far", State.SUBMITTING)
    for state in State:
        await world.reach(f"job-{state}", state)
    before = await world.store.known(world.batch)
    assert await world.store.recover(world.batch, NOW + 1) == 1
    after = await world.store.known(world.batch)
    changed = {job_id for job_id in before if before[job_id] != after[job_id]}
    assert changed == {"job-submitting"}
    assert after[JobId("job-submitting")].state is State.IN_DOUBT
    assert (await other.job("far")).state is State.SUBMITTING
    [row] = await world.store.job_rows(world.batch, pattern="job-submitting")
    assert row.reason == "interrupted" and "may be billed" in row.message
    assert await world.store.recover(world.batch, NOW + 2) == 0


# --- limits


async def test_sending_times_are_evenly_spaced_over_reservations(world: World) -> None:
    rate = Rate(count=2, per_s=1.0)
    reserve = world.store.reserve
    turns = await reserve(world.account, "submit", rate, 2, NOW)
    assert tuple(turns) == (NOW, NOW + 0.5)
    assert tuple(await reserve(world.account, "submit", rate, 1, NOW)) == (NOW + 1.0,)
    assert tuple(await reserve(world.account, "submit", rate, 1, NOW + 60)) == (NOW + 60,)
    assert tuple(await reserve(world.account, "request", rate, 1, NOW)) == (NOW,)


async def test_after_a_reboot_the_first_time_is_a_whole_interval_ahead(world: World) -> None:
    rate, other = Rate(count=1, per_s=60.0), await world.store.account("two")

    async def first(account: AccountKey, kind: str, now: float) -> float:
        return (await world.store.reserve(account, kind, rate, 1, now)).first

    assert await first(world.account, "submit@one", NOW) == NOW
    # Monotonic time begins anew with each boot.
    assert await first(world.account, "submit@two", 5.0) == 65.0
    assert await first(world.account, "submit@two", 6.0) == 125.0
    assert await first(world.account, "submit@two", 500.0) == 500.0
    assert await first(world.account, "request@two", 5.0) == 5.0
    assert await first(other, "submit@two", 5.0) == 5.0


async def test_a_clock_that_jumped_back_does_not_stop_the_limiter(world: World) -> None:
    rate = Rate(count=1, per_s=1.0)
    await world.store.reserve(world.account, "submit", rate, 1, NOW + 86_400)
    assert tuple(await world.store.reserve(world.account, "submit", rate, 1, NOW)) == (NOW,)


# --- assets, files, accounts, batches, runs


async def test_a_file_id_is_remembered_until_it_is_taken_back(world: World) -> None:
    video, voice = facts("anna.mp4"), facts("hello.wav")
    hashes = [video.content_hash, voice.content_hash, ContentHash("f" * 64), video.content_hash]
    assert await world.store.assets(world.account, hashes) == []
    await world.upload(video, voice)
    await world.store.forget_files(world.account, [voice.content_hash])
    found = {a.content_hash: a.file_id for a in await world.store.assets(world.account, hashes)}
    assert found == {video.content_hash: f"file-{video.path}", voice.content_hash: None}


async def test_assets_belong_to_the_account(world: World) -> None:
    video = facts("anna.mp4")
    await world.upload(video)
    other = await world.store.account("two")
    assert await world.store.assets(other, [video.content_hash]) == []


async def test_facts_of_a_file_are_known_while_its_stamp_is_the_same(world: World) -> None:
    huge_inode = 2**64 - 1
    stamp = FileStamp(
        path="/media/a.mp4", size_bytes=5, mtime_ns=NS, inode=huge_inode, ctime_ns=NS + 1
    )
    seen = replace(facts("a.mp4"), duration_s=1.5)
    await world.store.remember_files([(stamp, seen)])
    assert await world.store.file_facts([stamp]) == {"/media/a.mp4": seen}
    for other in (
        replace(stamp, size_bytes=6),
        replace(stamp, mtime_ns=NS + 1),
        replace(stamp, inode=1),
        replace(stamp, ctime_ns=NS),
        replace(stamp, path="/media/b.mp4"),
    ):
        assert await world.store.file_facts([other]) == {}


async def test_an_account_is_found_again_by_its_identity(world: World) -> None:
    first = await world.store.account("https://api.example uid-1")
    assert await world.store.account("https://api.example uid-1") == first
    assert await world.store.account("https://api.example uid-2") != first


async def test_a_batch_is_one_per_name_and_account_and_remembers_its_manifest(
    world: World,
) -> None:
    other = await make_world(world.store, identity="two")
    again = await world.store.open_batch("spring", world.account, Path("/moved.yaml"), NOW + 9)
    assert (again.key, again.manifest, again.created_at) == (world.batch, Path("/moved.yaml"), NOW)
    found = {row.account: row.key for row in await world.store.find_batches("spring")}
    assert found == {world.account: world.batch, other.account: other.batch}
    assert await world.store.find_batches("unknown") == []
    assert [row.key for row in await world.store.batches()] == [world.batch, other.batch]


async def test_the_last_run_of_a_batch_is_known_with_its_end(world: World) -> None:
    assert await world.store.last_run(world.batch) is None
    owner = Owner(pid=77, host="studio", boot_id="b", started_at=NOW)
    await world.store.begin_run(world.batch, owner)
    run = await world.store.begin_run(world.batch, replace(owner, pid=78))
    before = await world.store.last_run(world.batch)
    assert before is not None
    assert (before.key, before.owner.pid, before.ended_at) == (run, 78, None)
    await world.store.end_run(run, NOW + 5, 4, {"done": 3})
    after = await world.store.last_run(world.batch)
    assert after == replace(before, ended_at=NOW + 5, exit_code=4)


async def test_reports_choose_jobs_by_state_and_glob_in_manifest_order(world: World) -> None:
    await world.plan(
        new("b-1", position=1, tags=("vip", "de"), priority=3), new("a-1"), new("a-2", position=2)
    )
    await world.reach("a-3", State.SUBMITTED)

    async def ids(**choice: object) -> list[str]:
        rows = await world.store.job_rows(world.batch, **choice)  # type: ignore[arg-type]
        return [row.job_id for row in rows]

    assert await ids() == ["a-1", "a-3", "b-1", "a-2"]
    assert await ids(pattern="a-*") == ["a-1", "a-3", "a-2"]
    assert await ids(states=[State.PENDING], pattern="a-*") == ["a-1", "a-2"]
    assert await ids(states=[State.SUBMITTED, State.DONE]) == ["a-3"]
    [row] = await world.store.job_rows(world.batch, pattern="b-1")
    assert (row.tags, row.priority, row.output) == (("vip", "de"), 3, "/out/b-1.mp4")


async def test_ten_moves_at_once_are_all_made(world: World) -> None:
    jobs = await world.add(*(f"job-{n}" for n in range(10)))
    moved = await asyncio.gather(*(world.store.move(j, event(E.ASSETS_LIVE)) for j in jobs))
    assert [j.state for j in moved] == [State.READY] * 10
    assert await world.store.counts(world.batch) == {State.READY: 10}
