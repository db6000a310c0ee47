"""One small batch against one emulator with one fault, in this process, and how it ended.

Every run is the real one (manifest, store, engine, client, sockets, files); only the vendor is
the emulator. Runs may go on side by side in one event loop: each has an emulator, a state folder
and, through a context variable, reply clocks of its own.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from batch_kit import Batch, seconds_of
from emulator_support import make_wav

from orchestrator import session
from orchestrator.app import Orchestrator
from orchestrator.emulator.config import EmulatorConfig
from orchestrator.emulator.faults import parse_faults
from orchestrator.emulator.server import Emulator
from orchestrator.engine.progress import Notice, Watched
from orchestrator.errors import OrchestratorError
from orchestrator.media.download import Downloader
from orchestrator.model import Answer
from orchestrator.topview.client import Timeouts, TopViewClient

SOUND_S = 0.3
LISTENER = {"put": "store", "download": "cdn"}
"""Where an endpoint is not the API's."""
OUTAGE_S = 0.15
"""How long connections are refused."""
METHODS = {
    "credential": "credential",
    "put": "put",
    "check": "check",
    "submit": "submit",
    "query": "query",
    "credit": "credit_detail",
    "credit_logs": "credit_logs",
}
"""The client's method for each endpoint of the emulator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a run ended, as far as the table cares.

    ``states``: of the jobs, in manifest order, with a blank between. ``says``: what people must
    have been told, each a part of some message.
    """

    states: str
    exit_code: int
    tasks: int
    submits: int
    says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is run.

    ``files``: jobs with an uploaded sound; ``texts``: jobs with a text, which are alike in the
    ids that the vendor shows, so that they are submitted one after another. ``rules``: the
    emulator's faults. ``refuse``: connections are refused from the Nth call of this endpoint on,
    for a moment. ``reply_s``: how long every reply is waited for; None as in earnest.
    """

    files: int = 0
    texts: int = 0
    rules: Sequence[Mapping[str, Any]] = ()
    refuse: tuple[str, int] | None = None
    reply_s: float | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    vendor: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of a trial. ``words``: all that was told. ``wrong``: promises that were broken,
    whatever the fault."""

    states: str
    exit_code: int
    tasks: int
    submits: int
    words: str
    wrong: tuple[str, ...]
    faults: Mapping[str, int]

    def end(self, expected: End) -> End:
        """The same in the form of ``expected``; everything that was told where a part of it
        was not."""
        told = all(part in self.words for part in expected.says)
        return End(
            states=self.states,
            exit_code=self.exit_code,
            tasks=self.tasks,
            submits=self.submits,
            says=expected.says if told else (self.words,),
        )


class Ears:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.run: Watched | None = None

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def watch(self, run: Watched) -> None:
        self.run = run


@dataclass(slots=True)
class _Door:
    """What the clients of one trial share: how long they wait, and when connections fail."""

    emulator: Emulator
    trial: Trial
    calls: int = 0
    refused: bool = False
    reopening: asyncio.Task[None] | None = None

    async def knock(self, endpoint: str) -> None:
        """Before a call: take the listener down if its time has come."""
        if self.trial.refuse is None or self.trial.refuse[0] != endpoint:
            return
        self.calls += 1
        if self.calls == self.trial.refuse[1]:
            self.refused = True
            await self.emulator.go_down(LISTENER.get(endpoint, "api"))
            self.reopening = asyncio.create_task(self._reopen())

    async def _reopen(self) -> None:
        await asyncio.sleep(OUTAGE_S)
        await self.emulator.come_back()


_door: ContextVar[_Door] = ContextVar("door")


class _Client(TopViewClient):
    """The real client, behind the door of its trial."""

    def __init__(self, settings: Any, **more: Any) -> None:
        self._door = _door.get()
        reply_s = self._door.trial.reply_s
        timeouts = Timeouts()
        if reply_s is not None:
            timeouts = Timeouts(
                submit_reply_s=reply_s, reply_s=reply_s, idle_s=reply_s, put_reply_s=reply_s
            )
        super().__init__(settings, **{**more, "timeouts": timeouts})


def _behind_the_door(endpoint: str, method: str) -> Callable[..., Any]:
    async def call(self: _Client, *args: Any, **kwargs: Any) -> Answer:
        await self._door.knock(endpoint)
        answer: Answer = await getattr(TopViewClient, method)(self, *args, **kwargs)
        return answer

    return call


for _endpoint, _method in METHODS.items():
    setattr(_Client, _method, _behind_the_door(_endpoint, _method))


class _Downloader(Downloader):
    """The real downloader, behind the door of its trial."""

    def __init__(self, **more: Any) -> None:
        self._door = _door.get()
        reply_s = self._door.trial.reply_s
        super().__init__(**more, idle_s=60.0 if reply_s is None else reply_s)

    async def fetch(self, url: str, order: Any) -> Any:
        await self._door.knock("download")
        return await super().fetch(url, order)


@contextmanager
def short_clocks() -> Iterator[None]:
    """While this is open, runs of this process use the clocks of their trial."""
    patch = pytest.MonkeyPatch()
    patch.setattr(session, "TopViewClient", _Client)
    patch.setattr(session, "Downloader", _Downloader)
    try:
        yield
    finally:
        patch.undo()


@cache
def sound(number: int) -> bytes:
    """A sound file; numbers make them differ."""
    return make_wav(SOUND_S, 200.0 + 50 * number)


class Bench:
    """A folder with a manifest and an emulator, in which a trial is run, perhaps repeatedly."""

    LIMITS: ClassVar[Mapping[str, Any]] = {
        "submit_rate": "100/s",
        "request_rate": "400/s",
        "in_flight": 2,
        "poll_interval": "50ms",
    }
    VENDOR: ClassVar[Mapping[str, Any]] = {"render": "constant", "render_mean_s": 0.1}

    def __init__(self, folder: Path, trial: Trial) -> None:
        self.folder, self.trial = folder, trial
        self.names: list[str] = []
        self.manifest = folder / "jobs.yaml"
        self._write()
        config = EmulatorConfig.from_mapping({**self.VENDOR, **trial.vendor})
        self.emulator = Emulator(
            config, data=folder / "vendor", faults=parse_faults([dict(r) for r in trial.rules])
        )

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        jobs: list[dict[str, Any]] = []
        for i in range(self.trial.files):
            (self.folder / f"{i}.wav").write_bytes(sound(i))
            audio = {"file": f"{i}.wav"}
            jobs.append({"id": f"file-{i}", "avatar": {"public": "3327"}, "audio": audio})
        for i in range(self.trial.texts):
            audio = {"text": f"Text {i}."}
            jobs.append({"id": f"text-{i}", "avatar": {"public": "3327"}, "audio": audio})
        self.names = [job["id"] for job in jobs]
        document = {
            "version": 1,
            "batch": "trial",
            "doubt_horizon": "6s",
            **self.trial.keys,
            "limits": {**self.LIMITS, **self.trial.limits},
            "jobs": jobs,
        }
        self.manifest.write_text(yaml.safe_dump(document))

    async def run(self) -> Seen:
        """Run the batch once. The emulator must have been started."""
        door = _Door(self.emulator, self.trial)
        _door.set(door)
        ears = Ears()
        owner = Orchestrator(self.folder / "state", env=self.emulator.environment)
        try:
            code, words = await _ended(owner, self.manifest, ears)
        finally:
            if door.reopening is not None:
                await door.reopening
        return await self._look(owner, code, [*words, *(n.message for n in ears.notices)], door)

    async def _look(
        self, owner: Orchestrator, code: int, words: Sequence[str], door: _Door
    ) -> Seen:
        views = await owner.status()
        jobs = {job.id: job for view in views for job in view.jobs}
        errors = [job.error for job in jobs.values() if job.error]
        audit = await asyncio.to_thread(self.emulator.audit)
        faults = {**audit.faults, **({"refused": 1} if door.refused else {})}
        done = [Path(job.output) for job in jobs.values() if job.state == "done"]
        return Seen(
            states=" ".join(job.state for job in jobs.values()),
            exit_code=code,
            tasks=audit.accepted,
            submits=audit.submits,
            words="\n".join([*words, *errors]),
            wrong=(*_broken(audit), *await asyncio.to_thread(self._bad_files, done)),
            faults=faults,
        )

    def _bad_files(self, done: Sequence[Path]) -> list[str]:
        wrong = [f"{path.name} is no video" for path in done if not _plays(path)]
        if len(done) == len(self.names):
            wrong += [f"{part.name} is left" for part in self.folder.rglob("*.part")]
        return wrong


def _plays(path: Path) -> bool:
    return path.exists() and seconds_of(path) > 0.25


def _broken(audit: Any) -> list[str]:
    """Promises that hold whatever the vendor answers."""
    facts = {
        "a video was paid for twice": audit.duplicate_tasks,
        "API headers leaked": len(audit.header_leaks),
        "a file was used before it was seen at the vendor": audit.used_unchecked,
        "more unfinished tasks than in_flight": max(0, audit.unfinished_peak - 2),
        "two questions about one task at once": audit.overlapping_queries,
    }
    return [name for name, count in facts.items() if count]


async def _ended(owner: Orchestrator, manifest: Path, ears: Ears) -> tuple[int, list[str]]:
    """The run's exit code, and what its last words were."""
    try:
        view = await owner.run(manifest, observer=ears)
    except OrchestratorError as error:
        return error.exit_code, [str(error)]
    return view.exit_code, [view.headline, *view.next_steps]


@contextmanager
def started(batch: Batch, command: Sequence[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A process in a batch's folder that does not outlive the test."""
    process = subprocess.Popen(
        command,
        env=batch.environment(),
        cwd=batch.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()


def wait_for(fact: Callable[[], bool], patience_s: float = 40.0) -> None:
    """Until the fact holds."""
    end = time.monotonic() + patience_s
    while not fact():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


async def run_trial(folder: Path, trial: Trial) -> Seen:
    """One trial from beginning to end."""
    bench = Bench(folder, trial)
    async with bench.emulator:
        return await bench.run()


async def run_all(
    folder: Path, trials: Mapping[Any, Trial], at_once: int, patience_s: float
) -> dict[Any, Seen | BaseException]:
    """All trials, some at a time. A trial that hangs or raises does not stop the others."""
    room = asyncio.Semaphore(at_once)

    async def one(number: int, trial: Trial) -> Seen:
        async with room, asyncio.timeout(patience_s):
            return await run_trial(folder / str(number), trial)

    works = [one(number, trial) for number, trial in enumerate(trials.values())]
    ends = await asyncio.gather(*works, return_exceptions=True)
    return dict(zip(trials, ends, strict=True))
