"""Processes that die at a named point, in this process: the real run, its store, its client.

A :class:`World` is what outlives a process: a state folder, the videos' folder, an emulator. One
:meth:`World.live` is one process: it plans, recovers and works as ``orchestrator run`` does, with
the real session, engine, SQLite store, client and downloader. Every call of the store, the vendor
and the fetcher passes points that have names ("before vendor.submit", "after vendor.submit",
"before fetcher.fetch"), and so does every transaction that stores an event ("before commit
submitting submit_accepted": its rows are written and not committed; "after commit ...": they are on
disk, and the caller has not heard of it). At the point where it has to end, the process does
nothing any more: no call goes out, nothing that waits for the writer is committed, nothing is
closed in order. The next process finds the bytes of the database and of its log as they were.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import sqlite3
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast
from unittest.mock import patch

import pytest
from emulator_support import Client, eventually, make_wav, running

from orchestrator.core.state import next_state
from orchestrator.emulator.catalog import DEFAULT_VOICE
from orchestrator.emulator.faults import Fault
from orchestrator.emulator.server import DEFAULT_UID, Emulator
from orchestrator.emulator.tasks import Task
from orchestrator.engine.clock import SystemClock
from orchestrator.engine.desk import Desk
from orchestrator.engine.ports import Vendor
from orchestrator.engine.progress import Notice, Watched
from orchestrator.engine.runner import Engine, Outcome
from orchestrator.media.download import Downloader
from orchestrator.model import (
    AudioKind,
    AvatarKind,
    EventKind,
    JobId,
    JobSpec,
    Limits,
    Manifest,
    OnDoubt,
    Rate,
    RunKey,
    Settings,
    State,
)
from orchestrator.planning import prepare
from orchestrator.session import RunOptions, Session, owner_of_this_process
from orchestrator.store.base import AppStore, BatchRow, JobRow, StoredEvent
from orchestrator.store.readers import Readers
from orchestrator.store.sqlite import SqliteStore
from orchestrator.store.writer import Writer

T = TypeVar("T")

_trust = cache(ssl.create_default_context)
"""Every process reads the system's certificates, which takes longer than its work here."""
CUT_OFF = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
"""Marks for modules whose processes are cut off: they leave files and sockets open, which the
system closes when a real one is killed."""


_shelf: list[Path] = []
"""Where videos that the emulator has made are kept for the next test of the module: a video is a
function of its inputs, and making it takes longer than the rest of a test."""


@pytest.fixture(scope="module", autouse=True)
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A shelf for a module's videos; what its dead processes left behind goes at its end."""
    _shelf.append(tmp_path_factory.mktemp("videos"))
    yield
    _shelf.clear()
    gc.collect()


def _share(source: Path, target: Path) -> None:
    """Every video of one folder is in the other too."""
    target.mkdir(parents=True, exist_ok=True)
    for video in source.glob("*.mp4"):
        if not (target / video.name).exists():
            (target / video.name).hardlink_to(video)


BATCH = "trial"
PATIENCE_S, GRACE_S = 20.0, 0.5
QUICK = Limits(
    submit_rate=Rate(count=200, per_s=1.0),
    request_rate=Rate(count=1000, per_s=1.0),
    in_flight=4,
    poll_interval_s=0.01,
)
"""Time runs 500 times faster than by default."""
HORIZON_S = 0.15
SETTINGS = Settings(
    limits=QUICK,
    on_doubt=OnDoubt.RESUBMIT,
    doubt_horizon_s=HORIZON_S,
    task_deadline_s=HORIZON_S,
)
LICENCES = frozenset({EventKind.RENDER_AGAIN, EventKind.RETRY_SUBMIT, EventKind.RETRY_UPLOAD})
"""Each of these in a job's history allows one more task for the same revision: somebody asked."""


class Crash(BaseException):
    """The process has ended here. Nothing of ours catches it."""


Hook = Callable[[], Awaitable[None]]


class Life:
    """One process, up to the point where it ends (None: it ends by itself).

    ``hooks`` are awaited where the process passes a point of that name; each time.
    """

    def __init__(self, crash_at: str | None, hooks: Mapping[str, Hook]) -> None:
        self.crash_at, self.hooks = crash_at, hooks
        self.dead = False
        self._loop = asyncio.get_running_loop()
        self._ends = asyncio.Event()

    def end(self) -> None:
        """The process ends here and now; from any thread."""
        self.dead = True
        self._loop.call_soon_threadsafe(self._ends.set)

    async def watch(self, fact: Callable[[], bool]) -> None:
        """End the process when the fact holds, whatever it is doing."""

        async def holds() -> bool:
            return fact()

        await eventually(holds, PATIENCE_S)
        self.end()

    def check(self) -> None:
        """Go on only if alive.

        Raises:
            Crash: the process has ended.
        """
        if self.dead:
            raise Crash(self.crash_at)

    def passes(self, point: str) -> None:
        """The process is at this point; from any thread. Raises like :meth:`check`."""
        self.check()
        if point == self.crash_at:
            self.end()
            raise Crash(point)

    async def reaches(self, point: str) -> None:
        """The same on the event loop, with the point's hook."""
        self.check()
        hook = self.hooks.get(point)
        if hook is not None:
            await hook()
        self.passes(point)

    async def work(self, task: asyncio.Task[Outcome]) -> Outcome | None:
        """The end of a process's work; None if it was cut off."""
        death = asyncio.create_task(self._ends.wait())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait((task, death), return_when=asyncio.FIRST_COMPLETED)
                # Its next call ends it, wherever it is; sockets are closed on the way out.
                await asyncio.wait((task,), timeout=GRACE_S)
        finally:
            death.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
        if not self.dead:
            return task.result()
        if not task.cancelled():
            task.exception()
        return None


class MortalWriter(Writer):
    """The store's writer in a process that may end: before a commit, or right after it."""

    def __init__(self, path: Path, life: Life) -> None:
        super().__init__(path, create=True)
        self._life = life

    async def run(self, work: Callable[[sqlite3.Connection], T], *, brief: bool = False) -> T:
        """Commit the work unless the process has ended by then."""
        stored: list[str] = []

        def mortal(conn: sqlite3.Connection) -> T:
            self._life.check()
            newest = conn.execute("SELECT coalesce(max(key), 0) FROM events").fetchone()
            result = work(conn)
            rows = conn.execute("SELECT before, kind FROM events WHERE key > ?", newest)
            stored[:] = [f"{before} {kind}" for before, kind in rows]
            for pair in stored:
                self._life.passes(f"before commit {pair}")
            return result

        result = await super().run(mortal, brief=brief)
        for pair in stored:
            await self._life.reaches(f"after commit {pair}")
        return result

    def _prepare(self, conn: sqlite3.Connection) -> None:
        # These processes die, but the machine goes on: what was written is there without a wait.
        conn.execute("PRAGMA synchronous = OFF")
        super()._prepare(conn)

    async def rest(self) -> None:
        """Return when the thread has nothing in hand."""
        await super().run(lambda conn: None)


class JumpyClock(SystemClock):
    """The real clock; its wall clock may be wrong by ``ahead_s`` seconds."""

    ahead_s = 0.0

    def wall(self) -> float:
        """Unix seconds, as this machine believes."""
        return super().wall() + self.ahead_s


class Mortal:
    """A store, a client or a fetcher as one process sees it; each call passes two points."""

    def __init__(self, name: str, real: object, life: Life) -> None:
        self._name, self._real, self._life = name, real, life

    def __getattr__(self, method: str) -> Any:
        call, point = getattr(self._real, method), f"{self._name}.{method}"

        async def mortal(*args: Any, **named: Any) -> Any:
            await self._life.reaches(f"before {point}")
            result = await call(*args, **named)
            await self._life.reaches(f"after {point}")
            return result

        return mortal


class MortalSession(Session):
    """The session of a run whose outside effects can be cut off."""

    life: Life

    async def _check_account(self, client: Vendor) -> None:
        await super()._check_account(cast(Vendor, Mortal("vendor", client, self.life)))

    def _desk(self, batch: BatchRow, run: RunKey, client: Vendor, downloader: Downloader) -> Desk:
        vendor = cast(Vendor, Mortal("vendor", client, self.life))
        fetcher = cast(Downloader, Mortal("fetcher", downloader, self.life))
        return super()._desk(batch, run, vendor, fetcher)


@dataclass
class Watcher:
    """Hears what a run tells, and holds its engine."""

    notices: list[Notice] = field(default_factory=list)
    engine: Engine | None = None

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def watch(self, run: Watched) -> None:
        assert isinstance(run, Engine)
        self.engine = run


Act = Callable[["World", AppStore, BatchRow], Awaitable[None]]
"""What somebody else does with the store before a run begins to plan."""


class World:
    """What outlives a process. ``jobs`` and ``settings`` are the manifest's, and may be changed
    between two lives."""

    def __init__(self, folder: Path, emulator: Emulator, client: Client) -> None:
        self.folder, self.emulator, self.client = folder, emulator, client
        self.settings = SETTINGS
        self.client.headers["Topview-Uid"] = DEFAULT_UID
        self.jobs: list[JobSpec] = []
        self.foreign: set[str] = set()
        self.clock = JumpyClock()
        self.watcher = Watcher()
        self._lives = 0

    @property
    def database(self) -> Path:
        """The state store's file, as the last process left it."""
        return self.folder / f"state-{self._lives}" / "state.db"

    def spoken(self, job_id: str, *, pitch: float = 330.0, avatar: str = "3327") -> JobSpec:
        """A job of a public avatar and a sound file; the pitch is its content."""
        path = self.folder / f"{pitch:g}.wav"
        if not path.exists():
            path.write_bytes(make_wav(0.3, pitch))
        return self._add(job_id, avatar, AudioKind.FILE, str(path))

    def told(self, job_id: str, text: str = "", *, avatar: str = "3327") -> JobSpec:
        """A job of a public avatar that speaks a text, by default one of its own."""
        return self._add(job_id, avatar, AudioKind.TEXT, text or f"This is {job_id}.")

    def _add(self, job_id: str, avatar: str, kind: AudioKind, audio: str) -> JobSpec:
        spec = JobSpec(
            job_id=JobId(job_id),
            avatar_kind=AvatarKind.PUBLIC,
            avatar=avatar,
            audio_kind=kind,
            audio=audio,
            voice=DEFAULT_VOICE if kind is AudioKind.TEXT else None,
            output=self.folder / "out" / f"{job_id}.mp4",
        )
        self.jobs = [job for job in self.jobs if job.job_id != job_id]
        self.jobs.append(spec)
        return spec

    def change(self, job_id: str, **changes: Any) -> None:
        """Another entry for a job of the manifest."""
        self.jobs = [replace(j, **changes) if j.job_id == job_id else j for j in self.jobs]

    def set(self, **changes: Any) -> None:
        """Other settings from the next life on."""
        self.settings = replace(self.settings, **changes)

    async def live(
        self,
        crash_at: str | None = None,
        act: Act | None = None,
        hooks: Mapping[str, Hook] | None = None,
        crash_when: Callable[[], bool] | None = None,
    ) -> Outcome | None:
        """One process from its start to its end; None if it was cut off at ``crash_at``, or in
        the middle of something as soon as ``crash_when``."""
        life = Life(crash_at, hooks or {})
        watch = asyncio.create_task(life.watch(crash_when)) if crash_when else None
        writer = MortalWriter(self.database, life)
        await writer.start()
        real = SqliteStore(writer, Readers(self.database))
        store = cast(AppStore, Mortal("store", real, life))
        try:
            outcome = await life.work(asyncio.create_task(self._run(life, store, act)))
            if life.dead:
                await writer.rest()
                self._lives += 1
                await asyncio.to_thread(_leave_behind, writer._path, self.database)
        finally:
            if watch is not None:
                watch.cancel()
            await real.close()
        return outcome

    async def _run(self, life: Life, store: AppStore, act: Act | None) -> Outcome:
        manifest = Manifest(
            path=self.folder / "jobs.yaml",
            batch=BATCH,
            settings=self.settings,
            jobs=tuple(self.jobs),
        )
        prepared = await prepare(manifest, store)
        await store.remember_files(prepared.fresh)
        watcher = self.watcher = Watcher()
        environment = self.emulator.environment
        session = MortalSession(
            store, prepared, RunOptions(), watcher, self.database.parent, environment
        )
        session.life = life
        session._clock = self.clock
        batch = await session.open_batch("one account")
        if act is not None:
            await act(self, store, batch)
        return await session.work(batch, owner_of_this_process())

    async def finish(self, *, lives: int = 4) -> None:
        """Resume, and again while tasks are overdue or checkpoints have gone to somebody else."""
        for _ in range(lives):
            outcome = await self.live()
            assert outcome is not None and outcome.error is None, outcome
            if not {State.SUBMITTED, State.PENDING, State.READY} & set(await self.states()):
                return
            await asyncio.sleep(0.1)

    # What there is to see afterwards.

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[tuple[AppStore, BatchRow]]:
        """The store, opened by somebody who only reads."""
        writer = Writer(self.database, create=False)
        await writer.start()
        store = SqliteStore(writer, Readers(self.database))
        try:
            [batch] = await store.find_batches(BATCH)
            yield store, batch
        finally:
            await store.close()

    async def rows(self) -> list[JobRow]:
        """Every job."""
        async with self.looking() as (store, batch):
            return await store.job_rows(batch.key)

    async def states(self) -> list[State]:
        """The state of every job, in the manifest's order."""
        return [row.state for row in await self.rows()]

    async def history(self, job_id: str) -> list[StoredEvent]:
        """What happened to a job."""
        async with self.looking() as (store, batch):
            return await store.events(batch.key, JobId(job_id))

    def tasks(self) -> list[Task]:
        """Every task that the vendor has made for us, oldest first."""
        made = self.emulator._running().world.tasks.values()
        return [task for task in made if task.task_id not in self.foreign]

    async def other_tool(self, text: str = "Somebody else's.") -> str:
        """Another tool submits a text on the same account."""
        task_id = await self.client.task(ttsText=text)
        self.foreign.add(task_id)
        return task_id

    async def evidence(self, job_id: str = "job") -> list[str]:
        """On what evidence tasks were adopted for a job."""
        history = await self.history(job_id)
        adopted = [s.event for s in history if s.event.kind is EventKind.DOUBT_ADOPTED]
        return [str(event.data["evidence"]) for event in adopted]

    def told_of(self, job_id: str = "job") -> list[str]:
        """What the last run told of a job, problems and all."""
        return [n.message for n in self.watcher.notices if n.job == job_id]

    async def check(self) -> None:
        """Nothing paid twice, nothing half done, no history that cannot be."""
        async with self.looking() as (store, batch):
            rows = await store.job_rows(batch.key)
            histories = {r.job_id: await store.events(batch.key, r.job_id) for r in rows}
        for row in rows:
            check_history(histories[row.job_id], row.state)
            check_evidence(row)
        allowed = len(rows) + sum(map(licences, histories.values()))
        made = [task.task_id for task in self.tasks()]
        assert len(made) <= allowed, f"{len(made)} tasks where {allowed} were asked for"
        self.check_videos(rows)
        audit = self.emulator.audit()
        # Once more for each end of a process, which may fall between a PUT and its checkpoint.
        once_more = self._lives + count_of(EventKind.SUBMIT_FILE_UNKNOWN, histories)
        assert max(audit.uploads.values(), default=0) <= 1 + once_more, audit.uploads
        assert audit.header_leaks == []
        assert sorted(self.folder.rglob("*.part")) == []

    def check_videos(self, rows: Sequence[JobRow]) -> None:
        """Each done job has the file that its own task made; no task serves two jobs."""
        made = {task.task_id: task for task in self.tasks()}
        wanted = {job.job_id: job for job in self.jobs}
        done = [row for row in rows if row.state is State.DONE]
        assert len({row.task_id for row in done}) == len(done)
        for row in done:
            assert Path(row.output).stat().st_size == row.output_bytes
            assert row.task_id is not None
            body, job = made[row.task_id].body, wanted[row.job_id]
            if job.audio_kind is AudioKind.TEXT:
                assert body.get("ttsText") == job.audio, f"{row.job_id} has another job's video"
            assert body.get("aiAvatarId") == job.avatar, f"{row.job_id} has another job's video"


def check_history(history: Sequence[StoredEvent], state: State) -> None:
    """Every step is in the table and begins where the last one ended."""
    at = State.PENDING
    for stored in history:
        assert stored.before is at, history
        assert next_state(stored.before, stored.event.kind) is stored.after, stored
        at = stored.after
    assert at is state


def check_evidence(row: JobRow) -> None:
    """No state without its evidence, and no job left in the middle."""
    assert row.state is not State.SUBMITTING
    if row.state in (State.SUBMITTED, State.RENDERED, State.DONE):
        assert row.task_id is not None
    if row.state in (State.IN_DOUBT, State.FAILED):
        assert row.reason, f"{row.job_id} is {row.state} and does not say why"


def licences(history: Sequence[StoredEvent]) -> int:
    """How many tasks beyond the first somebody asked for. A new revision is one more, if the one
    before had been submitted."""
    count, sent = 0, False
    for stored in history:
        kind = stored.event.kind
        sent = sent or kind is EventKind.SUBMIT_INTENT
        if kind in LICENCES or (kind is EventKind.REVISED and sent):
            count, sent = count + 1, False
    return count


def count_of(kind: EventKind, histories: Mapping[JobId, Sequence[StoredEvent]]) -> int:
    """How often this happened to any job."""
    return sum(stored.event.kind is kind for history in histories.values() for stored in history)


def _leave_behind(last: Path, next_one: Path) -> None:
    """The files that a process leaves when it is killed: the database, and the log beside it."""
    next_one.parent.mkdir(parents=True)
    for suffix in ("", "-wal"):
        source = last.with_name(last.name + suffix)
        if source.exists():
            shutil.copyfile(source, next_one.with_name(next_one.name + suffix))


@asynccontextmanager
async def world(folder: Path, *faults: Fault, **config: Any) -> AsyncIterator[World]:
    """A world whose vendor has these faults and these settings; its renders take no time."""
    asyncio.get_running_loop().set_exception_handler(_bury)
    videos = folder / "vendor" / "videos"
    for shelf in _shelf:
        _share(shelf, videos)
    with patch.object(ssl, "create_default_context", _trust):
        async with running(folder / "vendor", *faults, **{"slots": 8, **config}) as (there, client):
            yield World(folder, there, client)
    for shelf in _shelf:
        _share(videos, shelf)


def _bury(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Nobody is left to ask what became of a dead process's calls."""
    if not isinstance(context.get("exception"), Crash):
        loop.default_exception_handler(context)
