"""``resolve --task-id`` against a vendor that answers: only the job's own task is adopted."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulator_support import Client, make_mp4, running
from operate_kit import BEGUN, DOUBTFUL, ENV, E, Folder

from orchestrator.emulator.faults import Fault
from orchestrator.emulator.server import Emulator
from orchestrator.model import FileId, State, TaskId
from orchestrator.operate import Operator
from orchestrator.operate.views import Result
from orchestrator.store.base import Asset

VIDEO = {"avatarSourceFrom": "0", "aiAvatarId": None}


def account_of(emulator: Emulator) -> dict[str, str]:
    return {**ENV, "TOPVIEW_BASE_URL": emulator.base_url}


async def doubtful(tmp_path: Path, emulator: Emulator, file_id: str | None) -> Folder:
    """A state folder with one job in doubt, made from this file (None: from a public avatar)."""
    folder = Folder(tmp_path / "state", account_of(emulator))
    if file_id is None:
        await folder.add("spring/hello", *DOUBTFUL)
        return folder
    job = await folder.add("spring/hello", video="anna")
    async with folder.store() as store:
        [(batch, _)] = await store.find_jobs("hello")
        asset = Asset(
            content_hash=job.hashes[0], format="mp4", size_bytes=9, file_id=FileId(file_id)
        )
        await store.asset_uploaded(batch.account, asset, 0.0)
        for kind in DOUBTFUL:
            job = await folder.drive(store, batch.account, job, kind, 0.0)
    return folder


async def task_of(client: Client, file_id: str) -> TaskId:
    return TaskId(await client.task(**VIDEO, videoFileId=file_id))


async def test_a_task_that_the_vendor_knows_is_adopted(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor") as (emulator, client):
        mine = await client.upload(make_mp4(10), "mp4")
        task = await task_of(client, mine)
        folder = await doubtful(tmp_path, emulator, mine)
        operator = Operator(folder.path, env=folder.env)
        sheet = await operator.carry_out(await operator.adopt("hello", task))
        assert [s.result for s in sheet.steps] == [Result.CHANGED]
        job = await folder.job("spring/hello")
        assert (job.state, job.task_id) == (State.SUBMITTED, task)
        assert (await folder.kinds("spring/hello"))[-1] is E.DOUBT_ADOPTED
        assert sheet.steps[0].data["evidence"] == (
            "the operator named it; the vendor knows it and its files do not contradict"
        )


async def test_a_task_made_from_other_files_is_refused_even_by_force(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor") as (emulator, client):
        mine = await client.upload(make_mp4(10), "mp4")
        other = await client.upload(make_mp4(20), "mp4")
        task = await task_of(client, other)
        folder = await doubtful(tmp_path, emulator, mine)
        operator = Operator(folder.path, env=folder.env)
        sheet = await operator.carry_out(await operator.adopt("hello", task, force=True))
        assert sheet.exit_code == 1
        assert sheet.steps[0].message == (
            f"the vendor made task {task} from video {other}, but this job sent {mine}"
        )
        assert await folder.states("hello") == [State.IN_DOUBT]


async def test_a_task_made_from_a_file_is_not_that_of_a_job_without_one(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor") as (emulator, client):
        task = await task_of(client, await client.upload(make_mp4(10), "mp4"))
        folder = await doubtful(tmp_path, emulator, None)
        sheet = await Operator(folder.path, env=folder.env).adopt("hello", task)
        assert sheet.steps[0].message.endswith("but this job sent no video")


async def test_a_task_that_the_vendor_does_not_know_is_refused_even_by_force(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "vendor") as (emulator, _):
        folder = await doubtful(tmp_path, emulator, None)
        operator = Operator(folder.path, env=folder.env)
        sheet = await operator.adopt("hello", TaskId("0" * 32), force=True)
        assert "knows no task" in sheet.steps[0].message


async def test_a_task_that_failed_is_adopted_and_said_to_have_failed(tmp_path: Path) -> None:
    fails = Fault(on=("task",), do="fail")
    async with running(tmp_path / "vendor", fails) as (emulator, client):
        task = TaskId(await client.task())
        await client.finished(task)
        folder = await doubtful(tmp_path, emulator, None)
        sheet = await Operator(folder.path, env=folder.env).adopt("hello", task)
        assert sheet.steps[0].result is Result.CHANGE
        assert "it failed" in sheet.steps[0].message


@pytest.mark.parametrize("force", [False, True])
async def test_a_vendor_that_cannot_be_reached_is_overruled_only_by_force(
    tmp_path: Path, force: bool
) -> None:
    async with running(tmp_path / "vendor") as (emulator, _):
        folder = await doubtful(tmp_path, emulator, None)
    operator = Operator(folder.path, env=folder.env)
    sheet = await operator.adopt("hello", TaskId("0" * 32), force=force)
    assert sheet.steps[0].result is (Result.CHANGE if force else Result.REFUSED)


async def test_a_task_that_another_job_owns_is_refused_without_asking(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor") as (emulator, client):
        task = TaskId(await client.task())
        folder = await doubtful(tmp_path, emulator, None)
        await folder.add("spring/other", *BEGUN)
        async with folder.store() as store:
            [(batch, job)] = await store.find_jobs("other")
            await folder.drive(store, batch.account, job, E.SUBMIT_ACCEPTED, 0.0, task=task)
        before = await client.get("/_emulator/audit")
        sheet = await Operator(folder.path, env=folder.env).adopt("hello", task)
        assert "belongs to another job" in sheet.steps[0].message
        assert (await client.get("/_emulator/audit"))["requests"] == before["requests"]
