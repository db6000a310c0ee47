"""``why``: gather what the store, the disk and the manifest know of one job, and tell its story."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.core import reconcile
from orchestrator.core.evidence import Billed, Looked, Rival
from orchestrator.core.intervene import Facts, facts_of
from orchestrator.core.prospects import Scene
from orchestrator.core.story import tell
from orchestrator.engine.lock import is_held
from orchestrator.errors import OrchestratorError
from orchestrator.model import BatchKey, Job, Settings, State, TaskId
from orchestrator.operate.find import Found
from orchestrator.operate.places import Place, typed
from orchestrator.operate.views import WhyView
from orchestrator.report.told import recall
from orchestrator.store.base import AppStore, BatchRow, Charge, StoredEvent, Stranger, Unsettled
from orchestrator.store.glance import charged


async def explain(
    store: AppStore, found: Found, place: Place, *, now: float, flags: str
) -> WhyView:
    """The story of one job."""
    batch, job = found
    events = await store.events(batch.key, job.job_id)
    attempts = await store.attempts(job.key)
    evidence = await looked(store, batch, job)
    prices = await asyncio.to_thread(charged, place.file, batch.account, evidence.candidates)
    scene = Scene(
        name=f"{batch.name}/{job.job_id}",
        manifest=typed(batch.manifest),
        now=now,
        settings=await asyncio.to_thread(_settings, batch.manifest),
        rehearsal=place.rehearsal,
        time_scale=(await recall(store, batch)).time_scale if place.rehearsal else 1.0,
        running=is_held(place.lock_of(batch)),
        looked=_priced(evidence, prices),
        flags=flags,
    )
    facts = await gather(store, batch, job, events)
    return WhyView(
        batch=batch.name,
        job=job,
        rehearsal=place.rehearsal,
        story=tell(job, attempts, events, facts, scene),
        events=tuple(events),
    )


def _priced(found: Looked, prices: Mapping[str, float]) -> Looked:
    """The same with what the credit log says that the tasks cost."""
    billed = (replace(line, credits=prices.get(line.task_id)) for line in found.billed)
    return replace(found, billed=tuple(billed))


async def gather(
    store: AppStore, batch: BatchRow, job: Job, events: Sequence[StoredEvent]
) -> Facts:
    """What the rules need to know of a job."""
    assets = await store.assets(batch.account, job.hashes)
    live = {asset.content_hash for asset in assets if asset.file_id is not None}
    there = await asyncio.to_thread(_is_file, job.spec.output)
    return facts_of(job, events, files_live=set(job.hashes) <= live, file_there=there)


def _is_file(path: Path) -> bool:
    """Whether the video is there. A disk that does not answer is no reason to fetch it again."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _settings(manifest: Path) -> Settings | None:
    from orchestrator.manifest.read import load_manifest

    try:
        return load_manifest(manifest).settings
    except (OSError, OrchestratorError):
        return None


async def looked(store: AppStore, batch: BatchRow, job: Job) -> Looked:
    """The evidence about a job in doubt, judged as a run judges it; nobody is asked."""
    if job.state is not State.IN_DOUBT or job.attempt is None:
        return Looked()
    read_at = await store.log_read_at(batch.account)
    every = await store.unsettled(batch.account)
    own = [u for u in every if u.job is not None and u.batch == batch.key]
    mine = next((u for u in own if u.attempt.key == job.attempt), None)
    if mine is None:
        return Looked(log_read_at=read_at)
    since = reconcile.log_since(own)
    seen = await store.strangers(batch.account, since)
    unseen = await store.unclaimed(batch.account, since)
    whole = read_at is not None and read_at >= mine.attempt.started_at
    found = reconcile.weigh(every, seen, unseen, whole_log=whole)
    certain = next((s for s in found.settled if s.attempt == mine.attempt.key), None)
    candidates = found.open.get(mine.attempt.key, ())
    rivals = _rivals(mine, every, [s for s in seen if s.task_id in candidates])
    names = {row.key: row.name for row in await store.batches()}
    return Looked(
        log_read_at=read_at,
        notice=mine.notice,
        certain=certain.task_id if certain else None,
        candidates=candidates,
        billed=_billed(candidates, [*seen, *unseen], mine.clock_offset_s),
        rivals=len(rivals),
        contenders=_contenders([mine, *rivals], names),
    )


def _rivals(
    mine: Unsettled, every: Sequence[Unsettled], tasks: Sequence[Stranger]
) -> list[Unsettled]:
    """The other submits in doubt that could have made one of these tasks."""
    described = list(map(reconcile.task_of, tasks))
    return [
        other
        for other in every
        if other is not mine
        and any(reconcile.could_be(reconcile.doubt_of(other), task) for task in described)
    ]


def _billed(
    candidates: Sequence[TaskId], lines: Sequence[Stranger | Charge], clock_offset_s: float
) -> tuple[Billed, ...]:
    """When each candidate was charged, on this machine's clock, the earliest first."""
    at = {line.task_id: line.charged_at - clock_offset_s for line in lines}
    known = sorted((at[task], task) for task in candidates if task in at)
    return tuple(Billed(task_id=task, at=when) for when, task in known)


def _contenders(submits: Sequence[Unsettled], batches: Mapping[BatchKey, str]) -> tuple[Rival, ...]:
    """The submits by name, the earliest first."""
    found = sorted(submits, key=lambda u: (u.attempt.started_at, u.attempt.key))
    return tuple(
        Rival(name=_name(u, batches.get(u.batch, "?")), at=u.attempt.started_at) for u in found
    )


def _name(submit: Unsettled, batch: str) -> str:
    given_up = f"a job of {batch} that was given up"
    return given_up if submit.job is None else f"{batch}/{submit.job.job_id}"
