"""``why``: gather what the store, the disk and the manifest know of one job, and tell its story."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from orchestrator.core import reconcile
from orchestrator.core.intervene import Facts, facts_of
from orchestrator.core.prospects import Looked, Scene
from orchestrator.core.story import tell
from orchestrator.engine.lock import is_held
from orchestrator.errors import OrchestratorError
from orchestrator.model import Job, Settings, State
from orchestrator.operate.find import Found
from orchestrator.operate.places import Place, typed
from orchestrator.operate.views import WhyView
from orchestrator.store.base import AppStore, BatchRow, Charge, StoredEvent, Stranger, Unsettled


async def explain(
    store: AppStore, found: Found, place: Place, *, now: float, flags: str
) -> WhyView:
    """The story of one job."""
    batch, job = found
    events = await store.events(batch.key, job.job_id)
    attempts = await store.attempts(job.key)
    scene = Scene(
        name=f"{batch.name}/{job.job_id}",
        manifest=typed(batch.manifest),
        now=now,
        settings=await asyncio.to_thread(_settings, batch.manifest),
        rehearsal=place.rehearsal,
        running=is_held(place.lock_of(batch)),
        looked=await looked(store, batch, job),
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
    every = await store.unsettled(batch.account)
    mine = next((u for u in every if u.attempt.key == job.attempt), None)
    if mine is None:
        return Looked(log_read_at=await store.log_read_at(batch.account))
    since = min(map(_began, every)) - reconcile.SLACK_S
    seen = await store.strangers(batch.account, since)
    unseen = await store.unclaimed(batch.account, since)
    found = reconcile.settle([*map(_doubt, every)], [*map(_task, seen), *map(_blank, unseen)])
    certain = None if unseen else _settled(found, mine)
    candidates = found.open.get(mine.attempt.key, ())
    tasks = [t for t in map(_task, seen) if t.task_id in candidates]
    rivals = [
        u
        for u in every
        if u is not mine and any(reconcile.could_be(_doubt(u), task) for task in tasks)
    ]
    return Looked(
        log_read_at=await store.log_read_at(batch.account),
        notice=mine.notice,
        certain=certain.task_id if certain else None,
        candidates=candidates,
        rivals=len(rivals),
    )


def _settled(found: reconcile.Findings, mine: Unsettled) -> reconcile.Settlement | None:
    return next((s for s in found.settled if s.attempt == mine.attempt.key), None)


def _began(u: Unsettled) -> float:
    """When the attempt began, on the vendor's clock."""
    return u.attempt.started_at + u.clock_offset_s


def _doubt(u: Unsettled) -> reconcile.Doubt:
    return reconcile.Doubt(
        attempt=u.attempt.key,
        revision=u.attempt.revision,
        started_at=_began(u),
        video=u.attempt.video_file_id,
        audio=u.attempt.audio_file_id,
    )


def _task(stranger: Stranger) -> reconcile.Unclaimed:
    return reconcile.Unclaimed(
        task_id=stranger.task_id,
        logged_at=stranger.charged_at,
        video=stranger.video_file_id,
        audio=stranger.audio_file_id,
    )


def _blank(charge: Charge) -> reconcile.Unclaimed:
    """A task of which nothing is known yet could be anybody's."""
    return reconcile.Unclaimed(task_id=charge.task_id, logged_at=charge.charged_at)
