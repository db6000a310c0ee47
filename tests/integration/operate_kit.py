"""A state folder with jobs in the states that a test wants, and nothing else running."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from orchestrator.config import identity, vendor_settings
from orchestrator.model import (
    AccountKey,
    AudioKind,
    AvatarKind,
    BatchKey,
    ContentHash,
    Event,
    EventKind,
    FileId,
    Job,
    JobId,
    JobSpec,
    MediaFacts,
    Revision,
    State,
    TaskId,
)
from orchestrator.store.base import Asset, Change, ChangeKind, SlotRule, Wanted
from orchestrator.store.sqlite import SqliteStore, open_store

E = EventKind
BEGUN = (E.ASSETS_LIVE, E.SUBMIT_INTENT)
ACCEPTED = (*BEGUN, E.SUBMIT_ACCEPTED)
DOUBTFUL = (*BEGUN, E.SUBMIT_UNKNOWN)
MADE = (*ACCEPTED, E.TASK_SUCCEEDED, E.DOWNLOADED)
ENV = {"TOPVIEW_UID": "some-uid", "TOPVIEW_API_KEY": "some-key"}
WIDE = SlotRule(in_flight=1_000, doubt_hold_s=600.0)


def video_file(name: str) -> MediaFacts:
    """A local video that was hashed."""
    content = ContentHash(hashlib.sha256(name.encode()).hexdigest())
    path = f"/media/{name}.mp4"
    return MediaFacts(path=path, size_bytes=9, content_hash=content, format="mp4", has_video=True)


class Folder:
    """A state folder. ``env`` is the account that its batches belong to."""

    def __init__(self, path: Path, env: dict[str, str] | None = None) -> None:
        self.path = path
        self.env = dict(env or ENV)

    @asynccontextmanager
    async def store(self, *, rehearsal: bool = False) -> AsyncIterator[SqliteStore]:
        """The store, open."""
        folder = self.path / "emulator" if rehearsal else self.path
        folder.mkdir(parents=True, exist_ok=True)
        store = await open_store(folder / "state.db")
        try:
            yield store
        finally:
            await store.close()

    async def add(
        self,
        name: str,
        *events: EventKind,
        at: float | None = None,
        video: str | None = None,
        rehearsal: bool = False,
    ) -> Job:
        """A job BATCH/ID that these events happened to. Its task is called ``task-ID``.

        ``video``: it needs this local file, whose file id is ``file-VIDEO``.
        """
        batch_name, _, job_id = name.partition("/")
        when = time.time() - 60 if at is None else at
        async with self.store(rehearsal=rehearsal) as store:
            account = await store.account(
                "emulator" if rehearsal else identity(vendor_settings(self.env))
            )
            manifest = self.path.parent / "jobs.yaml"
            batch = await store.open_batch(batch_name, account, manifest, when)
            change = Change(kind=ChangeKind.NEW, wanted=self.wanted(job_id, video))
            await store.apply_plan(batch.key, [change], when)
            if video is not None:
                asset = Asset(
                    content_hash=video_file(video).content_hash,
                    format="mp4",
                    size_bytes=9,
                    file_id=FileId(f"file-{video}"),
                )
                await store.asset_uploaded(account, asset, when)
            job = await self._only(store, batch.key, job_id)
            for kind in events:
                job = await self.drive(store, account, job, kind, when)
            return job

    async def drive(
        self,
        store: SqliteStore,
        account: AccountKey,
        job: Job,
        kind: EventKind,
        at: float,
        task: str | None = None,
    ) -> Job:
        """Apply one event; the beginning of an attempt claims its slot."""
        if kind is E.SUBMIT_INTENT:
            token = f"token-{job.job_id}-{job.attempts}"
            claim = await store.claim(account, job, WIDE, token, at)
            assert claim.job is not None
            return claim.job
        name = TaskId(task or f"task-{job.job_id}") if kind is E.SUBMIT_ACCEPTED else None
        return await store.move(job, Event(kind=kind, at=at, task_id=name))

    def wanted(self, job_id: str, video: str | None = None) -> Wanted:
        """A job as its manifest asks for it."""
        media = None if video is None else video_file(video)
        spec = JobSpec(
            job_id=JobId(job_id),
            avatar_kind=AvatarKind.VIDEO if media else AvatarKind.PUBLIC,
            avatar=media.path if media else "3327",
            audio_kind=AudioKind.TEXT,
            audio="Hello.",
            output=self.output(job_id),
        )
        return Wanted(
            spec=spec, revision=Revision("r1"), wire="{}", avatar=media, audio=None, audio_s=None
        )

    def output(self, job_id: str) -> Path:
        """Where a job's video goes."""
        return self.path.parent / "out" / f"{job_id}.mp4"

    async def _only(self, store: SqliteStore, batch: BatchKey, job_id: str) -> Job:
        found = [job for b, job in await store.find_jobs(f"*/{job_id}") if b.key == batch]
        [job] = found
        return job

    async def job(self, name: str, *, rehearsal: bool = False) -> Job:
        """The job BATCH/ID as it is now."""
        async with self.store(rehearsal=rehearsal) as store:
            [(_, job)] = await store.find_jobs(name)
            return job

    async def kinds(self, name: str) -> list[EventKind]:
        """What has happened to the job BATCH/ID."""
        async with self.store() as store:
            [(batch, job)] = await store.find_jobs(name)
            return [stored.event.kind for stored in await store.events(batch.key, job.job_id)]

    async def states(self, pattern: str) -> list[State]:
        """States of the jobs that match."""
        async with self.store() as store:
            return [job.state for _, job in await store.find_jobs(pattern)]
