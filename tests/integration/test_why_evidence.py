"""``why`` says of a job in doubt what a run would decide on the same evidence."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from operate_kit import BEGUN, DOUBTFUL, ENV, E, Folder

from orchestrator.core.evidence import Looked
from orchestrator.model import FileId, State, TaskId
from orchestrator.operate import Operator
from orchestrator.operate.explain import looked
from orchestrator.store.base import Charge, Stranger


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "state", ENV)


async def evidence(
    folder: Folder, name: str, *, seen: dict[str, str | None], unseen: tuple[str, ...] = ()
) -> Looked:
    """What is known of a job after the log was read: tasks with the video that they show."""
    now = time.time()
    async with folder.store() as store:
        [(batch, job)] = await store.find_jobs(name)
        for task in (*seen, *unseen):
            charge = Charge(task_id=TaskId(task), credits=1.0, charged_at=now)
            await store.remember_charges(batch.account, [charge])
        for task, video in seen.items():
            shown = None if video is None else FileId(video)
            stranger = Stranger(
                task_id=TaskId(task), charged_at=now, video_file_id=shown, audio_file_id=None
            )
            await store.remember_stranger(batch.account, stranger)
        await store.log_read(batch.account, now)
        assert job.state is State.IN_DOUBT
        return await looked(store, batch, job)


async def test_a_file_of_its_own_is_certain_whatever_else_was_charged(folder: Folder) -> None:
    await folder.add("spring/hello", *DOUBTFUL, video="anna")
    found = await evidence(folder, "hello", seen={"aa": "file-anna"}, unseen=("bb",))
    assert (found.certain, found.candidates) == ("aa", ())


async def test_without_files_an_unknown_charge_leaves_it_open(folder: Folder) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    found = await evidence(folder, "hello", seen={"aa": None}, unseen=("bb",))
    assert (found.certain, found.candidates) == (None, ("aa", "bb"))


async def test_without_files_the_only_charge_of_a_log_that_was_read_is_certain(
    folder: Folder,
) -> None:
    await folder.add("spring/hello", *DOUBTFUL)
    found = await evidence(folder, "hello", seen={"aa": None})
    assert (found.certain, found.candidates) == ("aa", ())


async def test_of_two_alike_the_one_whose_job_waits_gets_the_task(folder: Folder) -> None:
    await folder.add("spring/hello", *DOUBTFUL, video="anna")
    await folder.add("spring/twin", *DOUBTFUL, video="anna")
    hello = await evidence(folder, "hello", seen={"aa": "file-anna"})
    twin = await evidence(folder, "twin", seen={"aa": "file-anna"})
    assert (hello.certain, twin.certain, twin.candidates) == ("aa", None, ())


async def test_charges_and_the_order_of_submits_tell_candidates_apart(folder: Folder) -> None:
    at = time.time() - 60
    await folder.add("spring/late", *DOUBTFUL, at=at + 5)
    await folder.add("spring/early", *DOUBTFUL, at=at)
    await folder.add("spring/sure", *BEGUN, E.SUBMIT_ACCEPTED, at=at)
    found = await evidence(folder, "late", seen={"aa": None}, unseen=("bb",))
    assert [line.task_id for line in found.billed] == ["aa", "bb"]
    assert [rival.name for rival in found.contenders] == ["spring/early", "spring/late"]
    [view] = await Operator(folder.path, env=ENV).why("spring/late")
    told = "\n".join(view.story.next)
    assert "Task aa: charged 1 credit at " in told
    assert "Task bb: charged 1 credit at " in told
    assert "spring/early at " in told
    assert "spring/late (this one) at " in told
