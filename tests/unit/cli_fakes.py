"""Fakes for the tests of the command line: a facade with canned answers, a run, a schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.app import RunOptions
from orchestrator.engine.progress import Level, Notice, Observer, Progress
from orchestrator.engine.tally import Tally
from orchestrator.model import Complaint, JobId, Place, State, TaskId
from orchestrator.report.views import BatchView, JobView, PlanLine, PlanView, RunView, Why

NOON = 1_750_000_000.0


def job_view(name: str, state: State = State.DONE, **more: Any) -> JobView:
    """A job as the read model shows it."""
    fixed: dict[str, Any] = {
        "task_id": TaskId(f"task-of-{name}"),
        "output": f"/videos/out/{name}.mp4",
        "attempts": 1,
        "credits": None,
        "error": None,
    }
    return JobView(id=JobId(name), state=state, **{**fixed, **more})


def batch_view(*jobs: JobView, **more: Any) -> BatchView:
    """A batch of these jobs (by default: one done)."""
    shown = jobs or (job_view("hello"),)
    found = [job.state for job in shown]
    counts = {s: n for s in State if (n := found.count(s))}
    fixed: dict[str, Any] = {"batch": "spring", "manifest": "jobs.yaml", "rehearsal": False}
    return BatchView(counts=counts, jobs=shown, **{**fixed, **more})


def run_view(*jobs: JobView, **more: Any) -> RunView:
    """The end of a run."""
    fixed: dict[str, Any] = {
        "status": batch_view(*jobs),
        "exit_code": 0,
        "headline": "spring: every job is done.",
        "uploaded": 3,
        "submitted": 2,
        "downloaded": 1,
        "elapsed_s": 72.0,
    }
    return RunView(**{**fixed, **more})


def plan_view(*lines: tuple[str, Why, str], **more: Any) -> PlanView:
    """A plan for these jobs."""
    fixed: dict[str, Any] = {
        "batch": "spring",
        "manifest": "jobs.yaml",
        "rehearsal": False,
        "upload_files": 3,
        "upload_bytes": 412_000_000,
        "uploaded_already": 0,
        "submits": len(lines),
        "credits_estimate": 12.0,
        "balance": None,
        "at_least_s": 90.0,
    }
    made = tuple(PlanLine(id=JobId(i), what=w, reason=r) for i, w, r in lines)
    return PlanView(lines=made, **{**fixed, **more})


def complaint(problem: str = "unknown key 'avatr'", **more: Any) -> Complaint:
    """Something wrong in line 3 of jobs.yaml."""
    place = Place(file="jobs.yaml", line=3, column=5)
    return Complaint(place=place, problem=problem, remedy="did you mean 'avatar'?", **more)


def problem(text: str, job: str | None = "job-7", level: Level = Level.PROBLEM) -> Notice:
    """A notice at noon."""
    return Notice(at=NOON, level=level, message=text, job=JobId(job) if job else None)


def progress(counts: Mapping[State, int], **more: Any) -> Progress:
    """A snapshot, 12 min 4 s after noon."""
    tally = Tally(started=0.0)
    tally.begin(counts)
    fixed: dict[str, Any] = {
        "batch": "spring",
        "started_at": NOON,
        "now": NOON + 724,
        "reached": tally.reached(),
    }
    return Progress(counts=counts, total=sum(counts.values()), **{**fixed, **more})


@dataclass
class FakeRun:
    """A run to watch: shows what it is given and remembers what it was told."""

    shown: Progress = field(default_factory=lambda: progress({State.DONE: 1}))
    told: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def progress(self) -> Progress:
        return self.shown

    def drain(self, reason: str) -> None:
        self.told.append(f"drain {reason}")

    def abort(self) -> None:
        self.told.append("abort")
        self.ended.set()


@dataclass
class FakeSchedule:
    """An ``Every`` that ticks when the test says so."""

    ticks: list[Callable[[], None]] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)

    def __call__(self, interval_s: float, tick: Callable[[], None]) -> Callable[[], None]:
        self.ticks.append(tick)
        self.intervals.append(interval_s)
        return lambda: self.ticks.remove(tick)

    def tick(self) -> None:
        for tick in self.ticks:
            tick()


@dataclass
class FakeOrchestrator:
    """A facade with canned answers; ``error`` is raised instead of any of them."""

    complaints: tuple[Complaint, ...] = ()
    planned: PlanView | None = None
    ran: RunView | None = None
    views: list[BatchView] = field(default_factory=list)
    error: Exception | None = None
    notices: tuple[Notice, ...] = ()
    asked: list[Any] = field(default_factory=list)

    async def validate(self, manifest: Path) -> tuple[Complaint, ...]:
        self._ask(("validate", manifest))
        return self.complaints

    async def plan(self, manifest: Path, options: RunOptions) -> PlanView:
        self._ask(("plan", manifest, options))
        assert self.planned is not None
        return self.planned

    async def run(self, manifest: Path, options: RunOptions, observer: Observer) -> RunView:
        self._ask(("run", manifest, options))
        assert self.ran is not None
        observer.watch(FakeRun())
        for notice in self.notices:
            observer.notice(notice)
        return self.ran

    async def status(
        self, batch: str | None = None, *, rehearsal: bool | None = None
    ) -> list[BatchView]:
        self._ask(("status", batch, rehearsal))
        named = [v for v in self.views if batch in (None, v.batch)]
        return [v for v in named if rehearsal in (None, v.rehearsal)]

    async def jobs(
        self,
        batch: str | None = None,
        *,
        pattern: str = "*",
        states: Sequence[State] = (),
        rehearsal: bool | None = None,
    ) -> list[tuple[str, JobView]]:
        self._ask(("jobs", batch, pattern, tuple(states)))
        named = [v for v in self.views if batch in (None, v.batch)]
        named = [v for v in named if rehearsal in (None, v.rehearsal)]
        return [(v.batch, j) for v in named for j in v.jobs if not states or j.state in states]

    def _ask(self, question: Any) -> None:
        self.asked.append(question)
        if self.error is not None:
            raise self.error


class Screen:
    """Just enough of a terminal to read what a live view leaves on it."""

    def __init__(self) -> None:
        self.rows: list[str] = [""]
        self.row = self.column = 0
        self.widest = 0

    def feed(self, text: str) -> Screen:
        """Act on the text: characters, CR, LF, cursor up, erase line; colours are ignored."""
        i = 0
        while i < len(text):
            if text.startswith("\x1b[", i):
                end = i + 2
                while not text[end].isalpha():
                    end += 1
                self._control(text[i + 2 : end], text[end])
                i = end + 1
                continue
            self._plain(text[i])
            i += 1
        return self

    def lines(self) -> list[str]:
        """What can be read, without blanks at the end of lines and of the screen."""
        found = [row.rstrip() for row in self.rows]
        while found and not found[-1]:
            found.pop()
        return found

    def _plain(self, char: str) -> None:
        if char == "\n":
            self.row, self.column = self.row + 1, 0
            self.rows += [""] * (self.row + 1 - len(self.rows))
        elif char == "\r":
            self.column = 0
        else:
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1
            self.widest = max(self.widest, self.column)

    def _control(self, argument: str, letter: str) -> None:
        if letter == "A":
            self.row = max(0, self.row - int(argument or 1))
        elif letter == "K":
            self.rows[self.row] = ""
