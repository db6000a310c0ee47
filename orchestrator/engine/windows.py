"""The few hundred jobs that the engine looks at; all others stay in the store.

Each window is refilled when it runs dry and the store may hold more. What a stage is working on
is taken out of its window, so that nothing is started twice.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from orchestrator.core.decide import Ready, Waiting
from orchestrator.model import AvatarKind, ContentHash, Job, JobKey
from orchestrator.store.base import Asset, BatchRow, EngineStore

SIZE = 256
"""Rows loaded at once."""


class Windows:
    """The `pending`, `ready` and `rendered` jobs in sight.

    What the planner sees of a job is made once, when the job comes into sight, and changed when
    something happens to it: the planner looks several times for every job that moves.
    """

    def __init__(self, store: EngineStore, batch: BatchRow) -> None:
        self._store, self._batch = store, batch
        self.pending: dict[JobKey, Job] = {}
        self.ready: dict[JobKey, Job] = {}
        self.rendered: dict[JobKey, Job] = {}
        self.links: dict[JobKey, str] = {}
        self._more = {"pending": True, "ready": True, "rendered": True}
        self._busy: set[JobKey] = set()
        self._moved: set[JobKey] = set()
        # In the order of `pending`; a job whose files are still being looked up is not here.
        self._waiting: dict[JobKey, Waiting] = {}
        self._lacking: dict[ContentHash, dict[JobKey, None]] = {}
        self._assets: dict[ContentHash, Asset] = {}
        self.sizes: dict[ContentHash, int] = {}
        # Uploaded by this run, and no stage has begun with a job that has it.
        self._ahead: dict[ContentHash, int] = {}
        # By priority, then in manifest order.
        self._queue: list[tuple[int, JobKey, Ready]] = []
        self._pending_view: tuple[Waiting, ...] | None = None
        self._ready_view: tuple[Ready, ...] | None = None

    def look_again(self) -> None:
        """The store may hold more than was thought: somebody else may have put it there."""
        self._more = dict.fromkeys(self._more, True)

    async def refill(self) -> None:
        """Load what ran dry. Jobs that move while a window is being read are left out of it."""
        self._moved.clear()
        if not self.ready and self._more["ready"]:
            jobs = await self._store.ready(self._batch.key, SIZE)
            for job in self._take("ready", jobs):
                self.put_ready(job)
        if not self.pending and self._more["pending"]:
            jobs = await self._store.pending(self._batch.key, SIZE)
            self._assets.clear()
            self.sizes.clear()
            fresh = self._take("pending", jobs)
            self.pending.update((job.key, job) for job in fresh)
            await self._look_up(self.pending.values())
        if not self.rendered and self._more["rendered"]:
            jobs = await self._store.rendered(self._batch.key, SIZE)
            self.rendered.update((job.key, job) for job in self._take("rendered", jobs))

    def _take(self, name: str, jobs: Sequence[Job]) -> list[Job]:
        self._more[name] = len(jobs) >= SIZE
        return [job for job in jobs if job.key not in self._busy and job.key not in self._moved]

    async def _look_up(self, jobs: Iterable[Job]) -> None:
        """Find out which assets of these pending jobs still lack a file id."""
        wanted = {job.key: job.hashes for job in jobs}
        every = sorted({content for hashes in wanted.values() for content in hashes})
        assets = await self._store.assets(self._batch.account, every)
        live = {asset.content_hash for asset in assets if asset.file_id is not None}
        lacking = {a.content_hash: a for a in assets if a.file_id is None}
        self._assets.update(lacking)
        self.sizes.update((content, asset.size_bytes) for content, asset in lacking.items())
        for key, hashes in wanted.items():
            if key in self.pending:
                self._lack(key, tuple(dict.fromkeys(h for h in hashes if h not in live)))

    def _lack(self, key: JobKey, missing: tuple[ContentHash, ...]) -> None:
        """A pending job lacks these assets."""
        self._stop_waiting(key)
        self._waiting[key] = Waiting(key=key, missing=missing)
        for content in missing:
            self._lacking.setdefault(content, {})[key] = None
        self._pending_view = None

    def _stop_waiting(self, key: JobKey) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        for content in waiting.missing:
            keys = self._lacking[content]
            keys.pop(key, None)
            if not keys:
                del self._lacking[content]
        self._pending_view = None

    def pending_view(self) -> Sequence[Waiting]:
        """The pending window as the planner wants it, in order."""
        if self._pending_view is None:
            self._pending_view = tuple(self._waiting.values())
        return self._pending_view

    def ready_view(self) -> Sequence[Ready]:
        """The ready window as the planner wants it: by priority, then in manifest order."""
        if self._ready_view is None:
            self._ready_view = tuple([ready for _, _, ready in self._queue])
        return self._ready_view

    def begin(self, key: JobKey) -> Job:
        """Take a job out of its window: a stage works on it now."""
        self._busy.add(key)
        if key in self.pending:
            self._stop_waiting(key)
            return self.pending.pop(key)
        if key in self.ready:
            self._unqueue(self.ready[key])
            job = self.ready.pop(key)
            self._use_files(job)
            return job
        return self.rendered.pop(key)

    def _use_files(self, job: Job) -> None:
        """The job's files are ahead of their use no more: it is submitted, or will never be."""
        for content in job.hashes if self._ahead else ():
            self._ahead.pop(content, None)

    def end(self, key: JobKey) -> None:
        """The stage is through with the job."""
        self._busy.discard(key)
        self._moved.add(key)

    def put_ready(self, job: Job) -> None:
        """A job became ready."""
        if job.key in self.ready:
            self._unqueue(self.ready[job.key])
        self.ready[job.key] = job
        entry = (-job.spec.priority, job.key, Ready(key=job.key, visible=visible_ids(job)))
        insort(self._queue, entry, key=_place)
        self._ready_view = None

    def _unqueue(self, job: Job) -> None:
        del self._queue[bisect_left(self._queue, (-job.spec.priority, job.key), key=_place)]
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

    def drop(self, job: Job) -> None:
        """The job has come to rest, or somebody else has changed it."""
        self.pending.pop(job.key, None)
        self._stop_waiting(job.key)
        self._use_files(job)

    def uploaded(self, content: ContentHash) -> None:
        """An asset has its file id now."""
        self._assets.pop(content, None)
        self._ahead[content] = self.sizes.get(content, 0)
        for key in self._lacking.pop(content, ()):
            missing = self._waiting[key].missing
            left = tuple(x for x in missing if x != content)
            self._waiting[key] = Waiting(key=key, missing=left)
        self._pending_view = None

    def needing(self, content: ContentHash) -> list[Job]:
        """The pending jobs in sight that lack this asset, in order."""
        return [self.pending[key] for key in self._lacking.get(content, ())]

    def ahead_bytes(self, uploading: Iterable[ContentHash]) -> int:
        """Bytes that are uploaded before a slot is free for them, with those on their way."""
        on_their_way = sum(self.sizes.get(content, 0) for content in uploading)
        return sum(self._ahead.values()) + on_their_way

    def asset(self, content: ContentHash) -> Asset | None:
        """An asset that pending jobs in sight lack."""
        return self._assets.get(content)


def _place(entry: tuple[int, JobKey, Ready]) -> tuple[int, JobKey]:
    return entry[0], entry[1]


def visible_ids(job: Job) -> str:
    """What the vendor would show of the job's inputs: its video and audio, never its picture."""
    video = job.avatar_hash if job.spec.avatar_kind is AvatarKind.VIDEO else None
    return f"{video or ''}/{job.audio_hash or ''}"
