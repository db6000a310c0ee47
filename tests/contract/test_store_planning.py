"""What ``apply_plan`` and ``known`` promise, over every implementation of the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import store_kit
from store_kit import NOW, World, as_known, digest, event, facts, new, wanted

from orchestrator.errors import IllegalTransition, StaleJob
from orchestrator.model import PAID_FOR, AvatarKind, EventKind, JobId, State
from orchestrator.store.base import Asset, Change, ChangeKind, Known

E = EventKind
K = ChangeKind
world = store_kit.world


def change(kind: ChangeKind, known: Known, text: str = "hello", **spec: object) -> Change:
    """A change of a stored job that now speaks ``text``."""
    asked = wanted(known.job_id, text, **spec)  # type: ignore[arg-type]
    return Change(kind=kind, wanted=asked, known=known)


async def test_a_new_job_is_pending_and_known_as_it_was_planned(world: World) -> None:
    await world.plan(new("job", "Hi.", tags=("vip",), priority=4))
    [job] = await world.store.pending(world.batch, 10)
    asked = wanted("job", "Hi.", tags=("vip",), priority=4)
    assert job.spec == asked.spec
    assert await world.job("job") == Known(
        key=job.key,
        job_id=JobId("job"),
        state=State.PENDING,
        version=job.version,
        revision=asked.revision,
        waiting_revision=None,
        wire=asked.wire,
        output="/out/job.mp4",
        output_bytes=None,
        accepted_at=None,
        task_id=None,
        task_ended_badly=False,
        orphan=False,
    )


async def test_files_of_planned_jobs_are_assets_to_upload(world: World) -> None:
    video, voice = facts("anna.mp4"), facts("hello.wav", format="wav")
    await world.plan(
        new("one", avatar=video, avatar_kind=AvatarKind.VIDEO, audio=voice),
        new("two", avatar=video, avatar_kind=AvatarKind.VIDEO),
    )
    found = await world.store.assets(world.account, [video.content_hash, voice.content_hash])
    expected = [
        Asset(content_hash=f.content_hash, format=f.format, size_bytes=f.size_bytes, file_id=None)
        for f in (video, voice)
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)
    one, two = await world.store.pending(world.batch, 10)
    assert (one.hashes, one.audio_s) == ((video.content_hash, voice.content_hash), 2.5)
    assert (two.hashes, two.audio_s) == ((video.content_hash,), None)


async def test_planning_again_keeps_a_file_id(world: World) -> None:
    video = facts("anna.mp4")
    await world.upload(video)
    await world.plan(new("job", avatar=video, avatar_kind=AvatarKind.VIDEO))
    [asset] = await world.store.assets(world.account, [video.content_hash])
    assert asset.file_id == f"file-{video.path}"


async def test_an_update_changes_what_is_not_paid_for_and_no_state(world: World) -> None:
    await world.reach("job", State.SUBMITTED)
    known = await world.job("job")
    update = change(K.UPDATE, known, output="/other/x.mp4", priority=9, tags=("new",))
    await world.plan(replace(update, position=7, selected=False))
    [row] = await world.store.job_rows(world.batch)
    assert (row.output, row.priority, row.tags) == ("/other/x.mp4", 9, ("new",))
    assert (row.selected, row.state, row.task_id) == (False, State.SUBMITTED, "task-job-1")
    [job] = await world.store.submitted(world.batch)
    assert str(job.spec.output) == "/other/x.mp4"


@pytest.mark.parametrize("state", sorted(set(State) - PAID_FOR))
async def test_a_resting_or_unpaid_job_gets_its_new_revision_at_once(
    world: World, state: State
) -> None:
    await world.reach("job", state)
    old = await world.job("job")
    await world.plan(change(K.REVISE, old, "Something else.", output="/out/new.mp4"))
    known = await world.job("job")
    assert known.state is State.PENDING
    assert known.revision == wanted("job", "Something else.").revision != old.revision
    assert (known.waiting_revision, known.task_id, known.output) == (None, None, "/out/new.mp4")
    [job] = await world.store.pending(world.batch, 1)
    assert (job.spec.audio, job.revised) == ("Something else.", False)
    last = (await world.store.events(world.batch, JobId("job")))[-1]
    assert (last.event.kind, last.before, last.event.at) == (E.REVISED, state, NOW)


@pytest.mark.parametrize("state", sorted(PAID_FOR))
async def test_a_job_that_may_be_paid_for_is_never_revised_under_way(
    world: World, state: State
) -> None:
    await world.reach("job", state)
    known = await world.job("job")
    with pytest.raises(IllegalTransition):
        await world.plan(change(K.REVISE, known, "Something else."))
    assert await world.job("job") == known


async def test_a_waiting_revision_takes_over_when_the_old_one_rests(world: World) -> None:
    job = await world.reach("job", State.SUBMITTED)
    voice = facts("new.wav", format="wav")
    later = change(K.REVISE_LATER, await world.job("job"), audio=voice, priority=3, tags=("x",))
    await world.plan(later)
    known = await world.job("job")
    assert (known.revision, known.state) == (job.revision, State.SUBMITTED)
    assert later.wanted is not None
    assert known.waiting_revision == later.wanted.revision

    [waiting] = await world.store.submitted(world.batch)
    assert (waiting.spec, waiting.revised) == (job.spec, True)
    rendered = await world.store.move(waiting, event(E.TASK_SUCCEEDED))
    assert rendered.revised
    revised = await world.store.move(rendered, event(E.DOWNLOADED, at=NOW + 3, bytes=10))

    assert (revised.state, revised.revised) == (State.PENDING, False)
    assert (revised.spec, revised.revision) == (later.wanted.spec, later.wanted.revision)
    assert (revised.avatar_hash, revised.audio_hash) == (None, voice.content_hash)
    assert (revised.audio_s, revised.attempt, revised.attempts) == (2.5, None, 1)
    history = await world.store.events(world.batch, JobId("job"))
    assert [e.after for e in history[-2:]] == [State.DONE, State.PENDING]
    assert revised.made == job.revision
    [row] = await world.store.job_rows(world.batch)
    assert (row.output_bytes, row.priority, row.tags) == (None, 3, ("x",))


async def test_nothing_is_paid_for_a_revision_that_the_manifest_left_behind(world: World) -> None:
    claimed = await world.reach("job", State.SUBMITTING)
    await world.plan(change(K.REVISE_LATER, await world.job("job"), "Something else."))
    job = as_known(claimed, await world.job("job"))
    moved = await world.store.move(job, event(E.SUBMIT_POSTPONED))
    assert (moved.state, moved.spec.audio) == (State.PENDING, "Something else.")


async def test_going_back_to_the_current_revision_ends_the_waiting(world: World) -> None:
    await world.reach("job", State.SUBMITTED)
    await world.plan(change(K.REVISE_LATER, await world.job("job"), "Something else."))
    await world.plan(change(K.UPDATE, await world.job("job")))
    assert (await world.job("job")).waiting_revision is None
    [job] = await world.store.submitted(world.batch)
    done = await world.drive(job, [E.TASK_SUCCEEDED, E.DOWNLOADED])
    assert done.state is State.DONE


async def test_the_newest_of_two_waiting_revisions_is_made(world: World) -> None:
    job = await world.reach("job", State.SUBMITTED)
    for text in ("Second.", "Third."):
        await world.plan(change(K.REVISE_LATER, await world.job("job"), text))
    [job] = await world.store.submitted(world.batch)
    revised = await world.store.move(job, event(E.TASK_FAILED))
    assert (revised.state, revised.spec.audio) == (State.PENDING, "Third.")


async def test_a_job_that_left_the_manifest_is_shown_but_not_started(world: World) -> None:
    await world.add("job")
    await world.plan(Change(kind=K.ORPHAN, known=await world.job("job")))
    [row] = await world.store.job_rows(world.batch)
    assert (row.orphan, row.selected, row.state) == (True, False, State.PENDING)
    assert await world.store.pending(world.batch, 10) == []
    await world.plan(change(K.UPDATE, await world.job("job")))
    [job] = await world.store.pending(world.batch, 10)
    assert (job.orphan, job.selected) == (False, True)


async def test_an_orphan_rests_with_the_video_that_was_paid_for(world: World) -> None:
    await world.reach("job", State.SUBMITTED)
    await world.plan(change(K.REVISE_LATER, await world.job("job"), "Something else."))
    await world.plan(Change(kind=K.ORPHAN, known=await world.job("job")))
    [job] = await world.store.submitted(world.batch)
    assert (await world.drive(job, [E.TASK_SUCCEEDED, E.DOWNLOADED])).state is State.DONE


async def test_an_event_of_the_plan_is_applied_after_the_update(world: World) -> None:
    await world.reach("job", State.DONE)
    moved = event(E.MOVED, bytes=55)
    move = change(K.MOVE, await world.job("job"), output="/elsewhere/job.mp4")
    await world.plan(replace(move, event=moved))
    [row] = await world.store.job_rows(world.batch)
    assert (row.state, row.output, row.output_bytes) == (State.DONE, "/elsewhere/job.mp4", 55)
    last = (await world.store.events(world.batch, JobId("job")))[-1]
    assert last.event == moved


async def test_a_failed_job_is_retried_by_the_plan(world: World) -> None:
    await world.reach("job", State.FAILED)
    retry = replace(change(K.MOVE, await world.job("job")), event=event(E.RETRY_SUBMIT))
    await world.plan(retry)
    [job] = await world.store.ready(world.batch, 1)
    assert (job.job_id, job.attempts) == ("job", 1)


async def test_jobs_that_the_plan_does_not_mention_are_not_selected(world: World) -> None:
    await world.add("a", "b")
    await world.plan(change(K.UPDATE, await world.job("a")))
    assert [job.job_id for job in await world.store.pending(world.batch, 10)] == ["a"]
    assert await world.store.counts(world.batch) == {State.PENDING: 2}


async def test_a_plan_made_on_an_old_look_is_refused_whole(world: World) -> None:
    added = await world.add("a", "b", "c")
    seen = await world.store.known(world.batch)
    await world.store.move(added[1], event(E.ASSETS_LIVE))
    before = await world.store.known(world.batch)
    with pytest.raises(StaleJob, match="job b changed meanwhile: version 2, expected 1"):
        await world.plan(*(change(K.UPDATE, known, priority=5) for known in seen.values()))
    assert await world.store.known(world.batch) == before


async def test_a_job_is_never_stored_twice(world: World) -> None:
    await world.add("a")
    with pytest.raises(StaleJob, match="job a "):
        await world.plan(new("b"), new("a"))
    assert await world.store.counts(world.batch) == {State.PENDING: 1}


async def test_a_plan_that_was_cut_off_is_made_again_from_what_is_known(world: World) -> None:
    jobs = [f"job-{number}" for number in range(4_100)]

    def cut_off() -> Iterator[Change]:
        yield from (new(job_id, position=n) for n, job_id in enumerate(jobs[:3_000]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await world.store.apply_plan(world.batch, cut_off(), NOW)
    known = await world.store.known(world.batch)
    assert 0 < len(known) < len(jobs)
    again = (
        change(K.UPDATE, known[JobId(j)]) if JobId(j) in known else new(j, position=n)
        for n, j in enumerate(jobs)
    )
    await world.store.apply_plan(world.batch, again, NOW)
    assert await world.store.startable(world.batch) == {State.PENDING: len(jobs)}


async def test_the_same_content_under_two_names_is_one_asset(world: World) -> None:
    voice = facts("one.wav", format="wav")
    twin = replace(voice, path="/media/two.wav")
    await world.plan(new("a", audio=voice), new("b", audio=twin))
    hashes = {h for job in await world.store.pending(world.batch, 9) for h in job.hashes}
    assert hashes == {digest("one.wav")}
