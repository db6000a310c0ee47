"""The operators' facade on a real store: what is looked at, what is changed, what never is."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from operate_kit import ACCEPTED, BEGUN, DOUBTFUL, MADE, E, Folder

from orchestrator.engine.lock import BatchLock, lock_path
from orchestrator.errors import UsageError
from orchestrator.model import Event, EventKind, FileId, JobId, Revision, State, TaskId
from orchestrator.operate import Operator
from orchestrator.operate.places import Place
from orchestrator.operate.views import Result, Sheet
from orchestrator.session import owner_of_this_process
from orchestrator.store.base import BatchRow, Change, ChangeKind, Charge, Stranger
from orchestrator.store.sqlite import SqliteStore

DAY = 86_400.0
S = State


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "state")


@pytest.fixture
def operator(folder: Folder) -> Operator:
    return Operator(folder.path, env=folder.env)


def results(sheet: Sheet) -> dict[str, Result]:
    return {step.name: step.result for step in sheet.steps}


# Patterns.


async def test_a_pattern_is_a_glob_in_both_parts(folder: Folder, operator: Operator) -> None:
    for name in ("spring/de-1", "spring/en-1", "summer/de-1"):
        await folder.add(name)
    found = await operator.cancel(["s*/de-*"])
    assert [step.name for step in found.steps] == ["spring/de-1", "summer/de-1"]


async def test_an_id_alone_is_enough_where_one_batch_has_it(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello")
    await folder.add("summer/bye")
    assert [s.name for s in (await operator.cancel(["hello"])).steps] == ["spring/hello"]


async def test_an_id_that_several_batches_have_is_refused_with_their_names(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello")
    await folder.add("summer/hello")
    with pytest.raises(UsageError, match=r"spring/hello, summer/hello, or \*/hello"):
        await operator.cancel(["hello"])


async def test_a_job_that_two_patterns_match_is_changed_once(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello")
    assert len((await operator.cancel(["spring/*", "hello"])).steps) == 1


async def test_nothing_is_done_if_one_of_several_patterns_matches_nothing(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello")
    with pytest.raises(UsageError, match="no job matches spring/helo"):
        await operator.cancel(["spring/hello", "spring/helo"])


async def test_the_name_of_a_batch_is_no_job(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/hello")
    with pytest.raises(UsageError, match=r"it is a batch: 'spring/\*' means all its jobs"):
        await operator.cancel(["spring"])


async def test_a_job_that_only_rehearsals_know_is_found_there(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/other")
    await folder.add("spring/hello", rehearsal=True)
    [view] = await operator.why("hello", flags=" --state s")
    assert (view.rehearsal, view.rehearsed_too) == (True, False)
    assert all(" --emulator --state s" in c.command for c in view.story.commands)
    sheet = await operator.carry_out(await operator.cancel(["hello"]))
    assert (sheet.rehearsal, sheet.count(Result.CHANGED)) == (True, 1)
    assert (await folder.job("hello", rehearsal=True)).state is State.CANCELLED


async def test_of_a_real_job_and_a_rehearsal_the_real_one_is_meant(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello")
    await folder.add("spring/hello", rehearsal=True)
    [view] = await operator.why("hello")
    assert (view.rehearsal, view.rehearsed_too) == (False, True)
    sheet = await operator.carry_out(await operator.cancel(["spring/*"]))
    assert (sheet.rehearsal, sheet.rehearsed_too) == (False, True)
    assert (await folder.job("hello", rehearsal=True)).state is not State.CANCELLED
    rehearsals = Operator(folder.path, env=folder.env, rehearsal=True)
    assert (await rehearsals.cancel(["hello"])).rehearsed_too is False


async def test_real_jobs_and_rehearsals_are_never_mixed(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/hello")
    await folder.add("spring/bye", rehearsal=True)
    with pytest.raises(UsageError, match="no job matches bye, but a rehearsal does: add --emul"):
        await operator.cancel(["hello", "bye"])


async def test_a_broken_store_of_rehearsals_holds_no_real_job_up(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello")
    (folder.path / "emulator").mkdir()
    (folder.path / "emulator" / "state.db").write_bytes(b"no database at all" * 100)
    [view] = await operator.why("hello")
    assert view.rehearsed_too is False


async def test_a_batch_that_is_spelled_wrongly_is_told_with_the_one_that_was_meant(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello", rehearsal=True)
    with pytest.raises(UsageError, match=r"did you mean spring/hello\?"):
        await operator.why("sprng/hello")
    with pytest.raises(UsageError, match=r"there are the batches spring \(rehearsal\)"):
        await operator.why("spring/bye")


async def test_a_folder_without_state_is_named_and_not_made(
    folder: Folder, operator: Operator
) -> None:
    with pytest.raises(UsageError, match="there is no state in"):
        await operator.why("hello")
    assert not folder.path.exists()


def test_a_run_is_seen_by_the_lock_that_it_holds(tmp_path: Path) -> None:
    batch = BatchRow(key=1, name="spring", account=2, manifest=tmp_path, created_at=0.0)  # type: ignore[arg-type]
    place = Place(folder=tmp_path, rehearsal=False)
    assert place.lock_of(batch) == lock_path(tmp_path, batch)


# Retry.

REVIVED: list[tuple[tuple[EventKind, ...], EventKind | None, State]] = [
    ((*BEGUN, E.SUBMIT_REFUSED), E.RETRY_SUBMIT, S.READY),
    ((*ACCEPTED, E.TASK_FAILED), E.RETRY_SUBMIT, S.READY),
    ((*ACCEPTED, E.TASK_LOST), E.RETRY_SUBMIT, S.READY),
    ((*ACCEPTED, E.TASK_SUCCEEDED, E.DOWNLOAD_FAILED), E.RETRY_POLL, S.SUBMITTED),
    ((*ACCEPTED, E.CANCELLED), E.RETRY_POLL, S.SUBMITTED),
    ((*ACCEPTED, E.CANCELLED, E.TASK_SUCCEEDED), E.RETRY_POLL, S.SUBMITTED),
    ((*ACCEPTED, E.CANCELLED, E.TASK_FAILED), E.RETRY_SUBMIT, S.READY),
    ((E.UPLOAD_FAILED,), E.RETRY_SUBMIT, S.READY),
    ((E.CANCELLED,), E.RETRY_SUBMIT, S.READY),
    (MADE, E.FILE_GONE, S.SUBMITTED),
    (ACCEPTED, None, S.SUBMITTED),
    (BEGUN, None, S.SUBMITTING),
    (DOUBTFUL, None, S.IN_DOUBT),
    ((*DOUBTFUL, E.DOUBT_DROPPED), None, S.FAILED),
    ((*DOUBTFUL, E.CANCELLED), None, S.CANCELLED),
]


@pytest.mark.parametrize(("events", "kind", "after"), REVIVED)
async def test_retry_goes_on_from_what_is_held(
    events: tuple[EventKind, ...],
    kind: EventKind | None,
    after: State,
    folder: Folder,
    operator: Operator,
) -> None:
    before = await folder.add("spring/hello", *events)
    await operator.carry_out(await operator.retry(["hello"]))
    job = await folder.job("spring/hello")
    assert job.state is after
    assert (await folder.kinds("spring/hello"))[len(events) :] == ([kind] if kind else [])
    assert job.task_id == before.task_id


async def test_retry_uploads_again_what_the_vendor_has_forgotten(
    folder: Folder, operator: Operator
) -> None:
    job = await folder.add("spring/hello", *BEGUN, E.SUBMIT_REFUSED, video="anna")
    sheet = await operator.retry(["hello"])
    assert sheet.steps[0].ruling.kind is E.RETRY_SUBMIT
    async with folder.store() as store:
        [(batch, _)] = await store.find_jobs("hello")
        await store.forget_files(batch.account, job.hashes)
    sheet = await operator.retry(["hello"])
    assert sheet.steps[0].ruling.kind is E.RETRY_UPLOAD


async def test_retry_leaves_a_done_job_alone_whose_file_is_there(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello", *MADE)
    folder.output("hello").parent.mkdir()
    folder.output("hello").write_bytes(b"video")
    assert results(await operator.retry(["hello"])) == {"spring/hello": Result.LEFT}


async def test_retry_does_not_pay_again_for_a_video_that_the_vendor_no_longer_keeps(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello", *MADE, at=time.time() - 8 * DAY)
    sheet = await operator.carry_out(await operator.retry(["hello"]))
    assert results(sheet) == {"spring/hello": Result.REFUSED}
    assert sheet.exit_code == 1
    assert await folder.states("hello") == [S.DONE]


async def test_looking_changes_nothing(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/hello", *ACCEPTED, E.TASK_FAILED)
    before = await folder.job("spring/hello")
    sheet = await operator.retry(["hello"])
    assert results(sheet) == {"spring/hello": Result.CHANGE}
    assert await folder.job("spring/hello") == before


# Cancel.


async def test_cancel_keeps_the_task_and_its_slot_in_sight(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello", *ACCEPTED)
    sheet = await operator.carry_out(await operator.cancel(["hello"]))
    assert results(sheet) == {"spring/hello": Result.CHANGED}
    async with folder.store() as store:
        [(batch, job)] = await store.find_jobs("hello")
        assert job.state is S.CANCELLED
        assert [j.job_id for j in await store.submitted(batch.key)] == ["hello"]


async def test_cancel_of_many_tells_each_apart(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/waiting")
    await folder.add("spring/sending", *BEGUN)
    await folder.add("spring/done", *MADE)
    sheet = await operator.carry_out(await operator.cancel(["spring/*"]))
    assert results(sheet) == {
        "spring/waiting": Result.CHANGED,
        "spring/sending": Result.REFUSED,
        "spring/done": Result.LEFT,
    }
    assert sheet.exit_code == 1


async def test_a_job_that_a_run_changed_meanwhile_is_not_touched(
    folder: Folder, operator: Operator
) -> None:
    job = await folder.add("spring/hello", E.ASSETS_LIVE)
    await folder.add("spring/other", E.ASSETS_LIVE)
    sheet = await operator.cancel(["spring/*"])
    async with folder.store() as store:
        [(batch, job)] = await store.find_jobs("hello")
        await folder.drive(store, batch.account, job, E.SUBMIT_INTENT, time.time())
    done = await operator.carry_out(sheet)
    assert results(done) == {"spring/hello": Result.STALE, "spring/other": Result.CHANGED}
    assert done.exit_code == 1
    assert await folder.states("spring/*") == [S.SUBMITTING, S.CANCELLED]


async def test_a_run_at_work_is_told(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/hello")
    async with folder.store() as store:
        [(batch, _)] = await store.find_jobs("hello")
    assert (await operator.cancel(["hello"])).running == frozenset()
    with BatchLock(lock_path(folder.path, batch), owner_of_this_process(), "spring"):
        assert (await operator.cancel(["hello"])).running == {"spring"}


# Resolve without a vendor.


async def test_resubmit_clears_the_doubt(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    sheet = await operator.carry_out(await operator.resubmit(["hello"]))
    assert "second time" in sheet.steps[0].ruling.warning
    assert await folder.states("hello") == [S.READY]
    assert (await folder.kinds("spring/hello"))[-1] is E.DOUBT_CLEARED


async def test_drop_gives_up_and_says_so_where_the_job_is_listed(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    await operator.carry_out(await operator.drop(["hello"]))
    job = await folder.job("spring/hello")
    assert job.state is S.FAILED
    assert (job.reason, job.message) == (
        "operator:drop",
        "given up by an operator while in doubt: a task may exist and may be billed",
    )


async def test_a_task_of_another_job_is_not_adopted(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    await folder.add("spring/other", *ACCEPTED)
    sheet = await operator.adopt("hello", TaskId("task-other"), force=True)
    assert results(sheet) == {"spring/hello": Result.REFUSED}
    assert "belongs to another job" in sheet.steps[0].message


async def test_without_credentials_a_task_is_only_adopted_by_force(folder: Folder) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    operator = Operator(folder.path, env={})
    sheet = await operator.adopt("hello", TaskId("9c3e"))
    assert results(sheet) == {"spring/hello": Result.REFUSED}
    assert "--force takes your word" in sheet.steps[0].message
    await operator.carry_out(await operator.adopt("hello", TaskId("9c3e"), force=True))
    job = await folder.job("spring/hello")
    assert (job.state, job.task_id) == (S.SUBMITTED, "9c3e")
    async with folder.store() as store:
        [(batch, _)] = await store.find_jobs("hello")
        last = (await store.events(batch.key, JobId("hello")))[-1].event
    assert last.data["evidence"].startswith("the operator named it; the vendor was not asked")


async def test_the_credentials_of_another_account_are_no_evidence(folder: Folder) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    operator = Operator(folder.path, env={**folder.env, "TOPVIEW_UID": "somebody-else"})
    sheet = await operator.adopt("hello", TaskId("9c3e"))
    assert "another account than the batch" in sheet.steps[0].message


async def test_an_empty_task_id_is_refused(folder: Folder, operator: Operator) -> None:
    with pytest.raises(UsageError, match="empty"):
        await operator.adopt("hello", TaskId(" "))


async def test_a_task_is_for_one_job(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/one", *DOUBTFUL)
    await folder.add("spring/two", *DOUBTFUL)
    with pytest.raises(UsageError, match="means 2 jobs; name one of them: spring/one, spring/two"):
        await operator.adopt("spring/*", TaskId("9c3e"))


async def test_a_job_given_up_in_doubt_can_be_given_its_task_later(folder: Folder) -> None:
    await folder.add("spring/hello", *DOUBTFUL, E.DOUBT_DROPPED)
    operator = Operator(folder.path, env={})
    await operator.carry_out(await operator.adopt("hello", TaskId("9c3e"), force=True))
    job = await folder.job("spring/hello")
    assert (job.state, job.task_id) == (S.SUBMITTED, "9c3e")


# Why.


async def test_why_tells_the_history_with_its_events(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/hello", *ACCEPTED, E.TASK_FAILED)
    [view] = await operator.why("hello")
    document = view.to_json()
    assert document["state"] == "failed"
    assert [e["kind"] for e in document["events"]] == [
        "assets_live",
        "submit_intent",
        "submit_accepted",
        "task_failed",
    ]
    assert document["events"][2]["sentence"] == "the vendor accepted it: task task-hello"
    assert document["commands"] == [
        {"command": "orchestrator retry spring/hello", "does": "brings it back"}
    ]


async def test_why_reads_the_horizon_from_the_manifest(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    [view] = await operator.why("hello")
    assert "the manifest cannot be read" in view.story.next[-1]
    (folder.path.parent / "jobs.yaml").write_text(
        "version: 1\nbatch: spring\non_doubt: resubmit\ndoubt_horizon: 3h\njobs:\n"
        '  - {id: hello, avatar: {public: "3327"}, audio: {text: Hello., voice: V}}\n'
    )
    [view] = await operator.why("hello")
    assert "in 2 h 59 min (doubt_horizon)" in view.story.next[-2]
    assert "(on_doubt: resubmit)" in view.story.next[-1]


async def test_why_names_the_tasks_that_could_be_the_jobs_own(
    folder: Folder, operator: Operator
) -> None:
    job = await folder.add("spring/hello", *DOUBTFUL, video="anna")
    assert job.attempt is not None
    now = time.time()
    async with folder.store() as store:
        [(batch, _)] = await store.find_jobs("hello")
        for task, video in (("aa", "file-anna"), ("bb", "file-anna"), ("cc", "file-ben")):
            charge = Charge(task_id=TaskId(task), credits=1.0, charged_at=now)
            await store.remember_charges(batch.account, [charge])
            stranger = Stranger(
                task_id=TaskId(task),
                charged_at=now,
                video_file_id=FileId(video),
                audio_file_id=None,
            )
            await store.remember_stranger(batch.account, stranger)
        await store.log_read(batch.account, now)
    [view] = await operator.why("hello")
    assert view.story.next[1].endswith("it is open which: aa, bb.")
    assert [c.command.split()[-1] for c in view.story.commands] == [
        "aa",
        "bb",
        "--resubmit",
        "--drop",
    ]


async def test_why_says_what_certain_evidence_the_next_look_will_use(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello", *DOUBTFUL, video="anna")
    now = time.time()
    async with folder.store() as store:
        [(batch, _)] = await store.find_jobs("hello")
        charge = Charge(task_id=TaskId("aa"), credits=1.0, charged_at=now)
        await store.remember_charges(batch.account, [charge])
        assert "not enough is known of it" in (await operator.why("hello"))[0].story.next[1]
        stranger = Stranger(
            task_id=TaskId("aa"),
            charged_at=now,
            video_file_id=FileId("file-anna"),
            audio_file_id=None,
        )
        await store.remember_stranger(batch.account, stranger)
    assert (
        "names task aa: the next look settles it"
        in ((await operator.why("hello"))[0].story.next[1])
    )


async def test_why_tells_a_notice(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    async with folder.store() as store:
        [(batch, job)] = await store.find_jobs("hello")
        token = (await store.attempts(job.key))[0].token
        assert await store.notice(batch.account, token, TaskId("cc"), time.time())
    [view] = await operator.why("hello")
    assert "names task cc" in view.story.next[0]
    assert token not in repr(view.to_json())


async def test_why_is_about_one_job(folder: Folder, operator: Operator) -> None:
    await folder.add("spring/one")
    await folder.add("spring/two")
    with pytest.raises(UsageError, match="means 2 jobs"):
        await operator.why("spring/*")


async def test_why_tells_both_jobs_of_one_name_under_two_accounts(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello")
    other = Folder(folder.path, {**folder.env, "TOPVIEW_UID": "somebody-else"})
    await other.add("spring/hello", E.ASSETS_LIVE)
    assert [view.job.state for view in await operator.why("hello")] == [S.PENDING, S.READY]


async def test_cancelling_a_job_whose_changed_entry_waits_cancels_that_too(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    async with folder.store() as store:
        [(batch, job)] = await store.find_jobs("hello")
        await _let_wait(folder, store, batch, "hello")
        [(batch, job)] = await store.find_jobs("hello")
        assert job.revised
    await operator.carry_out(await operator.cancel(["hello"]))
    assert await folder.states("hello") == [S.CANCELLED]


async def _let_wait(folder: Folder, store: SqliteStore, batch: BatchRow, job_id: str) -> None:
    """The manifest asks for another revision of a job that may be paid for."""
    known = (await store.known(batch.key))[JobId(job_id)]
    later = replace(folder.wanted(job_id), revision=Revision("r2"), wire='{"text":"other"}')
    change = Change(kind=ChangeKind.REVISE_LATER, wanted=later, known=known)
    await store.apply_plan(batch.key, [change], time.time())


async def test_events_of_a_command_are_stored_with_their_reason(
    folder: Folder, operator: Operator
) -> None:
    await folder.add("spring/hello")
    await operator.carry_out(await operator.cancel(["hello"]))
    async with folder.store() as store:
        [(batch, _)] = await store.find_jobs("hello")
        last: Event = (await store.events(batch.key, JobId("hello")))[-1].event
    assert (last.kind, last.reason) == (E.CANCELLED, "operator:cancel")
    assert last.message == "by an operator, before its submit"
