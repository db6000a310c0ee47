"""What the store's tests share: small values, and ways to bring a job into a state."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

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
    RunKey,
    State,
    TaskId,
)
from orchestrator.store.base import (
    AppStore,
    Asset,
    Change,
    ChangeKind,
    Charge,
    Claim,
    Known,
    Owner,
    Purse,
    SlotRule,
    Wanted,
)
from orchestrator.store.sqlite import open_store

NOW = 1_700_000_000.0
WIDE = SlotRule(in_flight=1_000, doubt_hold_s=600.0)

WAY: dict[State, tuple[EventKind, ...]] = {
    State.PENDING: (),
    State.READY: (EventKind.ASSETS_LIVE,),
    State.SUBMITTING: (EventKind.ASSETS_LIVE, EventKind.SUBMIT_INTENT),
    State.IN_DOUBT: (EventKind.ASSETS_LIVE, EventKind.SUBMIT_INTENT, EventKind.SUBMIT_UNKNOWN),
    State.SUBMITTED: (EventKind.ASSETS_LIVE, EventKind.SUBMIT_INTENT, EventKind.SUBMIT_ACCEPTED),
    State.RENDERED: (
        EventKind.ASSETS_LIVE,
        EventKind.SUBMIT_INTENT,
        EventKind.SUBMIT_ACCEPTED,
        EventKind.TASK_SUCCEEDED,
    ),
    State.DONE: (
        EventKind.ASSETS_LIVE,
        EventKind.SUBMIT_INTENT,
        EventKind.SUBMIT_ACCEPTED,
        EventKind.TASK_SUCCEEDED,
        EventKind.DOWNLOADED,
    ),
    State.FAILED: (
        EventKind.ASSETS_LIVE,
        EventKind.SUBMIT_INTENT,
        EventKind.SUBMIT_ACCEPTED,
        EventKind.TASK_FAILED,
    ),
    State.CANCELLED: (
        EventKind.ASSETS_LIVE,
        EventKind.SUBMIT_INTENT,
        EventKind.SUBMIT_ACCEPTED,
        EventKind.CANCELLED,
    ),
}
"""The events that bring a new job into each state."""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def facts(name: str, *, format: str = "mp4") -> MediaFacts:
    return MediaFacts(
        path=f"/media/{name}",
        size_bytes=len(name),
        content_hash=ContentHash(digest(name)),
        format=format,
        has_video=format == "mp4",
        has_audio=True,
    )


def wanted(
    job_id: str,
    text: str = "hello",
    *,
    output: str = "",
    priority: int = 0,
    tags: tuple[str, ...] = (),
    avatar: MediaFacts | None = None,
    avatar_kind: AvatarKind = AvatarKind.PUBLIC,
    audio: MediaFacts | None = None,
) -> Wanted:
    """A job of a public avatar that speaks ``text``, unless files are given."""
    spec = JobSpec(
        job_id=JobId(job_id),
        avatar_kind=avatar_kind if avatar else AvatarKind.PUBLIC,
        avatar=avatar.path if avatar else "3327",
        audio_kind=AudioKind.FILE if audio else AudioKind.TEXT,
        audio=audio.path if audio else text,
        output=Path(output or f"/out/{job_id}.mp4"),
        priority=priority,
        tags=tags,
    )
    wire = f'{{"text":"{text}"}}'
    return Wanted(
        spec=spec,
        revision=Revision(digest(wire)),
        wire=wire,
        avatar=avatar,
        audio=audio,
        audio_s=None if audio is None else 2.5,
    )


def new(job_id: str, text: str = "hello", *, position: int = 0, **spec: object) -> Change:
    return Change(
        kind=ChangeKind.NEW,
        wanted=wanted(job_id, text, **spec),  # type: ignore[arg-type]
        position=position,
    )


def event(kind: EventKind, *, at: float = NOW, task: str | None = None, **data: object) -> Event:
    return Event(kind=kind, at=at, task_id=None if task is None else TaskId(task), data=data)


def charge(task: str, credits: float = 1.0, *, at: float = NOW) -> Charge:
    return Charge(task_id=TaskId(task), credits=credits, charged_at=at)


class World:
    """One batch of one account in a store."""

    def __init__(self, store: AppStore, account: AccountKey, batch: BatchKey) -> None:
        self.store = store
        self.account = account
        self.batch = batch

    async def plan(self, *changes: Change, now: float = NOW) -> None:
        await self.store.apply_plan(self.batch, changes, now)

    async def add(self, *job_ids: str) -> list[Job]:
        """New pending jobs; the store may hold others."""
        before = {job.job_id for job in await self.store.pending(self.batch, 10_000)}
        await self.plan(*(new(j, position=n) for n, j in enumerate(job_ids)))
        found = await self.store.pending(self.batch, 10_000)
        return [job for job in found if job.job_id not in before]

    async def job(self, job_id: str) -> Known:
        return (await self.store.known(self.batch))[JobId(job_id)]

    async def claim(
        self, job: Job, *, rule: SlotRule = WIDE, at: float = NOW, purse: Purse | None = None
    ) -> Claim:
        token = f"token-{job.job_id}-{job.attempts + 1}"
        return await self.store.claim(self.account, job, rule, token, at, purse)

    async def drive(
        self,
        job: Job,
        events: Sequence[EventKind],
        *,
        at: float = NOW,
        purse: Purse | None = None,
    ) -> Job:
        """Apply events in order. Its task is named after the job and its attempt."""
        for kind in events:
            if kind is EventKind.SUBMIT_INTENT:
                claimed = (await self.claim(job, at=at, purse=purse)).job
                assert claimed is not None
                job = claimed
            else:
                job = await self.store.move(job, self.event(job, kind, at=at))
        return job

    async def reach(
        self, job_id: str, state: State, *, at: float = NOW, purse: Purse | None = None
    ) -> Job:
        """A new job in this state."""
        [job] = await self.add(job_id)
        return await self.drive(job, WAY[state], at=at, purse=purse)

    async def run(self, *, pid: int = 1) -> RunKey:
        """A run of the batch that has just begun."""
        owner = Owner(pid=pid, host="studio", boot_id="b", started_at=NOW)
        return await self.store.begin_run(self.batch, owner)

    async def charge(self, task: str, credits: float, *, at: float = NOW) -> None:
        """A line of the account's credit log is read."""
        await self.store.remember_charges(self.account, [charge(task, credits, at=at)])

    async def credits_of(self, job_id: str) -> float | None:
        [row] = await self.store.job_rows(self.batch, pattern=job_id)
        return row.credits

    def event(self, job: Job, kind: EventKind, *, at: float = NOW) -> Event:
        accepts = kind in (EventKind.SUBMIT_ACCEPTED, EventKind.DOUBT_ADOPTED)
        return event(kind, at=at, task=f"task-{job.job_id}-{job.attempts}" if accepts else None)

    async def upload(self, *files: MediaFacts) -> None:
        for file in files:
            asset = Asset(
                content_hash=file.content_hash,
                format=file.format,
                size_bytes=file.size_bytes,
                file_id=FileId(f"file-{file.path}"),
            )
            await self.store.asset_uploaded(self.account, asset, NOW)


async def make_world(store: AppStore, *, name: str = "spring", identity: str = "one") -> World:
    account = await store.account(identity)
    batch = await store.open_batch(name, account, Path("/project/jobs.yaml"), NOW)
    return World(store, account, batch.key)


Opener = Callable[[Path], Awaitable[AppStore]]


async def open_sqlite(folder: Path) -> AppStore:
    return await open_store(folder / "state" / "orchestrator.db")


OPENERS: dict[str, Opener] = {"sqlite": open_sqlite}
"""Every implementation of the Protocols; the contract tests run over each."""


@pytest.fixture(params=sorted(OPENERS))
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    store = await OPENERS[request.param](tmp_path)
    yield await make_world(store)
    await store.close()


def as_known(job: Job, known: Known) -> Job:
    """The job with what the store says of it now."""
    return replace(job, state=known.state, version=known.version, task_id=known.task_id)
