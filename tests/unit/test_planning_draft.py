"""A plan of many jobs is made in parts, and holds little of each."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import planning
from orchestrator.choice import Choice
from orchestrator.model import (
    AudioKind,
    AvatarKind,
    BatchKey,
    JobId,
    JobSpec,
)
from orchestrator.planning import Draft, draft_plan
from orchestrator.report.views import PlanLine, PlanView, Why
from orchestrator.store.base import BatchRow, ChangeKind
from orchestrator.store.sqlite import SqliteStore, open_store
from orchestrator.wishes import Wishes

NOW = 1_700_000_000.0


def specs(folder: Path, count: int) -> tuple[JobSpec, ...]:
    return tuple(
        JobSpec(
            job_id=JobId(f"job-{i}"),
            avatar_kind=AvatarKind.PUBLIC,
            avatar="3327",
            audio_kind=AudioKind.TEXT,
            audio=f"Text {i}.",
            output=folder / f"{i}.mp4",
        )
        for i in range(count)
    )


async def opened(folder: Path) -> tuple[SqliteStore, BatchRow]:
    store = await open_store(folder / "state.db")
    account = await store.account("one account")
    return store, await store.open_batch("b", account, folder / "jobs.yaml", NOW)


async def drafted(
    jobs: tuple[JobSpec, ...], store: SqliteStore, batch: BatchRow, choice: Choice | None = None
) -> Draft:
    return await draft_plan(Wishes(jobs, {}), store, batch, frozenset(), choice or Choice())


async def test_parts_make_the_plan_that_one_part_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = specs(tmp_path, 7)
    store, batch = await opened(tmp_path)
    whole = await drafted(jobs, store, batch)
    monkeypatch.setattr(planning, "AT_ONCE", 2)
    parts = await drafted(jobs, store, batch)
    assert list(parts.lines) == list(whole.lines)
    assert list(parts.changes) == list(whole.changes)
    await store.close()


async def test_what_was_planned_is_stored_and_found_again_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "AT_ONCE", 3)
    jobs = specs(tmp_path, 8)
    store, batch = await opened(tmp_path)
    await store.apply_plan(batch.key, (await drafted(jobs, store, batch)).changes, NOW)
    changed = (replace(jobs[0], audio="Other."), *jobs[1:7])
    again = await drafted(changed, store, batch)
    assert [line.what for line in again.lines] == [Why.CHANGED, *[Why.GOING] * 6, Why.ORPHAN]
    assert [change.kind for change in again.changes] == [
        ChangeKind.REVISE,
        *[ChangeKind.UPDATE] * 6,
        ChangeKind.ORPHAN,
    ]
    await store.apply_plan(batch.key, again.changes, NOW)
    found = {job.job_id: job for job in await store.pending(batch.key, 100)}
    assert found[JobId("job-0")].spec.audio == "Other."
    assert JobId("job-7") not in found
    await store.close()


async def test_lines_of_jobs_that_would_be_paid_for_bear_their_revision(tmp_path: Path) -> None:
    jobs = specs(tmp_path, 3)
    jobs[1].output.write_bytes(b"something")
    wishes = Wishes(jobs, {})
    draft = await draft_plan(wishes, None, None, frozenset(), Choice(skip_existing=True))
    assert [line.revision for line in draft.lines] == [
        wishes[0].revision,
        None,
        wishes[2].revision,
    ]
    assert [submit.spec for submit in draft.submits] == [jobs[0], jobs[2]]


async def test_jobs_beyond_the_limit_are_left_for_later(tmp_path: Path) -> None:
    wishes = Wishes(specs(tmp_path, 5), {})
    draft = await draft_plan(wishes, None, None, frozenset(), Choice(limit=2))
    assert (len(draft.submits), draft.left_for_later, len(draft.changes)) == (2, 3, 2)


async def test_a_known_job_is_looked_up_among_those_that_are_asked_for(tmp_path: Path) -> None:
    jobs = specs(tmp_path, 4)
    store, batch = await opened(tmp_path)
    await store.apply_plan(batch.key, (await drafted(jobs, store, batch)).changes, NOW)
    asked = [JobId("job-1"), JobId("job-3"), JobId("nobody")]
    assert set(await store.known(batch.key, asked)) == {"job-1", "job-3"}
    assert await store.known(batch.key, []) == {}
    others = await store.known_besides(batch.key, frozenset(asked))
    assert [known.job_id for known in others] == ["job-0", "job-2"]
    assert await store.known_besides(BatchKey(99), frozenset()) == []
    await store.close()


async def test_a_plan_holds_little_of_each_job(tmp_path: Path) -> None:
    """The specs are there already; a draft of new jobs adds less than 100 bytes to each."""
    wishes = Wishes(specs(tmp_path, 4_000), {})
    for want in wishes:
        str(want.spec.output)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    draft = await draft_plan(wishes, None, None, frozenset(), Choice())
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(draft.changes) == 4_000
    assert held / 4_000 < 100


def test_the_text_of_a_view_does_not_hold_its_jobs() -> None:
    """asyncio makes the text of what a main task returned: 30 MB, if it held 100,000 lines."""
    view = PlanView(
        batch="b",
        manifest="jobs.yaml",
        rehearsal=False,
        lines=(PlanLine(id=JobId("job-0"), what=Why.NEW, reason="not made yet"),),
        upload_files=0,
        upload_bytes=0,
        uploaded_already=0,
        submits=1,
        credits_estimate=1.0,
        balance=None,
        at_least_s=0.0,
    )
    assert "job-0" not in repr(view)
