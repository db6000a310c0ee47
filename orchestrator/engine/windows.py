"""The few hundred jobs that the engine looks at; all others stay in the store.

Each window is refilled when it runs dry and the store may hold more. What a stage is working on
is taken out of its window, so that nothing is started twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.core.decide import Ready, Waiting
from orchestrator.model import AvatarKind, ContentHash, Job, JobKey
from orchestrator.store.base import BatchRow, EngineStore

SIZE = 256
"""Rows loaded at once."""


class Windows:
    """The `pending`, `ready` and `rendered` jobs in sight."""

    def __init__(self, store: EngineStore, batch: BatchRow) -> None:
        self._store, self._batch = store, batch
        self.pending: dict[JobKey, Job] = {}
        self.ready: dict[JobKey, Job] = {}
        self.rendered: dict[JobKey, Job] = {}
        self.links: dict[JobKey, str] = {}
        self._missing: dict[JobKey, tuple[ContentHash, ...]] = {}
        self._more = {"pending": True, "ready": True, "rendered": True}
        self._busy: set[JobKey] = set()
        self._moved: set[JobKey] = set()
        self._pending_view: list[Waiting] | None = None
        self._ready_view: list[Ready] | None = None

    def look_again(self) -> None:
        """The store may hold more than was thought: somebody else may have put it there."""
        self._more = dict.fromkeys(self._more, True)

    async def refill(self) -> None:
        """Load what ran dry. Jobs that move while a window is being read are left out of it."""
        self._moved.clear()
        if not self.ready and self._more["ready"]:
            self._take("ready", self.ready, await self._store.ready(self._batch.key, SIZE))
            self._ready_view = None
        if not self.pending and self._more["pending"]:
            jobs = await self._store.pending(self._batch.key, SIZE)
            self._take("pending", self.pending, jobs)
            await self._look_up(self.pending.values())
        if not self.rendered and self._more["rendered"]:
            self._take("rendered", self.rendered, await self._store.rendered(self._batch.key, SIZE))

    def _take(self, name: str, window: dict[JobKey, Job], jobs: Sequence[Job]) -> None:
        self._more[name] = len(jobs) >= SIZE
        window.update((job.key, job) for job in jobs if self._is_free(job.key))

    def _is_free(self, key: JobKey) -> bool:
        return key not in self._busy and key not in self._moved

    async def _look_up(self, jobs: Iterable[Job]) -> None:
        """Find out which assets of these jobs still lack a file id."""
        wanted = {job.key: job.hashes for job in jobs}
        every = sorted({content for hashes in wanted.values() for content in hashes})
        assets = await self._store.assets(self._batch.account, every)
        live = {asset.content_hash for asset in assets if asset.file_id is not None}
        for key, hashes in wanted.items():
            self._missing[key] = tuple(dict.fromkeys(h for h in hashes if h not in live))
        self._pending_view = None

    def pending_view(self) -> Sequence[Waiting]:
        """The pending window as the planner wants it, in order."""
        if self._pending_view is None:
            self._pending_view = [
                Waiting(key=key, missing=self._missing.get(key, ())) for key in self.pending
            ]
        return self._pending_view

    def ready_view(self) -> Sequence[Ready]:
        """The ready window as the planner wants it: by priority, then in manifest order."""
        if self._ready_view is None:
            jobs = sorted(self.ready.values(), key=lambda job: (-job.spec.priority, job.key))
            self._ready_view = [Ready(key=job.key, visible=visible_ids(job)) for job in jobs]
        return self._ready_view

    def begin(self, key: JobKey) -> Job:
        """Take a job out of its window: a stage works on it now."""
        self._busy.add(key)
        self._forget_views()
        for window in (self.pending, self.ready, self.rendered):
            if key in window:
                return window.pop(key)
        raise KeyError(key)

    def end(self, key: JobKey) -> None:
        """The stage is through with the job."""
        self._busy.discard(key)
        self._moved.add(key)

    def put_ready(self, job: Job) -> None:
        """A job became ready."""
        self.ready[job.key] = job
        self._missing.pop(job.key, None)
        self._ready_view = None

    def put_rendered(self, job: Job, link: str | None) -> None:
        """A job became rendered; ``link`` is its signed URL, kept in memory only."""
        if link is not None and len(self.links) < 4 * SIZE:
            self.links[job.key] = link
        if len(self.rendered) < 4 * SIZE:
            self.rendered[job.key] = job
        else:
            self._more["rendered"] = True

    async def put_pending(self, job: Job) -> None:
        """A job fell back to pending."""
        self.pending[job.key] = job
        await self._look_up([job])

    def drop_pending(self, key: JobKey) -> None:
        """A pending job failed."""
        self.pending.pop(key, None)
        self._missing.pop(key, None)
        self._pending_view = None

    def uploaded(self, content: ContentHash) -> None:
        """An asset has its file id now."""
        for key in self.pending:
            missing = self._missing.get(key, ())
            if content in missing:
                self._missing[key] = tuple(x for x in missing if x != content)
        self._pending_view = None

    def needing(self, content: ContentHash) -> list[Job]:
        """The pending jobs in sight that lack this asset, in order."""
        return [j for j in self.pending.values() if content in self._missing.get(j.key, ())]

    def _forget_views(self) -> None:
        self._pending_view = self._ready_view = None


def visible_ids(job: Job) -> str:
    """What the vendor would show of the job's inputs: its video and audio, never its picture."""
    video = job.avatar_hash if job.spec.avatar_kind is AvatarKind.VIDEO else None
    return f"{video or ''}/{job.audio_hash or ''}"
