"""Durable checkpoints per second through the store, against raw sqlite3 with the same statements.

    python -m bench.checkpoints [--rounds 5] [--callers 64] [--jobs 2000]

A checkpoint is one ``store.move`` of a job: guard, update, event, attempt. Many callers wait for
their own, so that the writer commits groups. What it executed is recorded (statements with their
values, transaction by transaction) and then repeated by a bare connection with the same settings,
one execute each, in the same transactions, on a copy of the same file on the same disk: the floor
that the machine sets. The best of the rounds counts, taken in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.common import Row, report, scratch
from orchestrator.model import (
    AudioKind,
    AvatarKind,
    Event,
    EventKind,
    Job,
    JobId,
    JobSpec,
    Revision,
    TaskId,
)
from orchestrator.store import connect
from orchestrator.store.base import AppStore, BatchRow, Change, ChangeKind, SlotRule, Wanted
from orchestrator.store.sqlite import open_store

TARGET = 0.6
NOW = 1_700_000_000.0
"""Of the stored times; nothing here reads them."""
SETTINGS = (
    *("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON", "foreign_keys = ON"),
    "wal_autocheckpoint = 0",
)
"""As the store has them."""
RULE = SlotRule(in_flight=1_000_000, doubt_hold_s=600.0)


Statement = tuple[str, Any]
"""What was given to ``execute``."""


class Recording:
    """A connection that notes every statement it is given."""

    def __init__(self, conn: sqlite3.Connection, statements: list[Statement]) -> None:
        self._conn, self._statements = conn, statements

    def execute(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        """Note it, and do it."""
        self._statements.append((statement, values))
        return self._conn.execute(statement, values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


@contextmanager
def recording() -> Iterator[list[Statement]]:
    """The statements of every writer that is opened meanwhile."""
    statements: list[Statement] = []
    real = connect.open_writer

    def opened(path: Path, *, create: bool) -> Any:
        return Recording(real(path, create=create), statements)

    connect.open_writer = opened
    try:
        yield statements
    finally:
        connect.open_writer = real


def wanted(number: int) -> Wanted:
    """A job of a public avatar that speaks a text."""
    spec = JobSpec(
        job_id=JobId(f"job-{number:06d}"),
        avatar_kind=AvatarKind.PUBLIC,
        avatar="3327",
        audio_kind=AudioKind.TEXT,
        audio=f"This is text number {number}.",
        output=Path(f"/out/job-{number:06d}.mp4"),
    )
    return Wanted(
        spec=spec,
        revision=Revision(f"{number:064x}"),
        wire=f'{{"audio.text":"This is text number {number}.","avatar.public":"3327"}}',
        avatar=None,
        audio=None,
        audio_s=None,
    )


async def prepared(path: Path, jobs: int) -> None:
    """A store with so many `pending` jobs, closed again."""
    store = await open_store(path)
    account = await store.account("bench")
    batch = await store.open_batch("bench", account, Path("/jobs.yaml"), NOW)
    changes = [Change(kind=ChangeKind.NEW, wanted=wanted(i), position=i) for i in range(jobs)]
    await store.apply_plan(batch.key, changes, NOW)
    await store.close()


async def life(store: AppStore, batch: BatchRow, job: Job) -> int:
    """The checkpoints of one job from `pending` to `done`; returns how many."""
    job = await store.move(job, Event(kind=EventKind.ASSETS_LIVE, at=NOW))
    claim = await store.claim(batch.account, job, RULE, f"token-{job.key}", NOW)
    assert claim.job is not None
    events = (
        Event(kind=EventKind.SUBMIT_ACCEPTED, at=NOW, task_id=_task(job)),
        Event(kind=EventKind.TASK_SUCCEEDED, at=NOW),
        Event(kind=EventKind.DOWNLOADED, at=NOW, data={"bytes": 4096}),
    )
    job = claim.job
    for event in events:
        job = await store.move(job, event)
    return 2 + len(events)


def _task(job: Job) -> TaskId:
    return TaskId(f"{job.key:032x}")


async def caller(store: AppStore, batch: BatchRow, jobs: Sequence[Job]) -> int:
    """One job after the other; returns the checkpoints made."""
    return sum([await life(store, batch, job) for job in jobs])


async def through_the_store(path: Path, callers: int) -> tuple[int, float]:
    """Every job of the store to its end: checkpoints, and seconds."""
    store = await open_store(path)
    [batch] = await store.batches()
    jobs = await store.pending(batch.key, 1_000_000)
    began = time.perf_counter()
    made = await asyncio.gather(
        *(caller(store, batch, jobs[number::callers]) for number in range(callers))
    )
    took_s = time.perf_counter() - began
    await store.close()
    return sum(made), took_s


def raw(path: Path, statements: Sequence[Statement]) -> float:
    """The same statements, one execute each, on a bare connection; seconds."""
    conn = sqlite3.connect(path, isolation_level=None)
    for setting in SETTINGS:
        conn.execute(f"PRAGMA {setting}")
    began = time.perf_counter()
    for statement, values in statements:
        conn.execute(statement, values).fetchall()
    took_s = time.perf_counter() - began
    conn.close()
    return took_s


def measure(folder: Path, rounds: int, callers: int, jobs: int) -> Row:
    """Both in turn, each on a fresh copy of the same file."""
    template = folder / "template.db"
    asyncio.run(prepared(template, jobs))

    def copy(name: str) -> Path:
        return Path(shutil.copy(template, folder / f"{name}.db"))

    with recording() as statements:
        asyncio.run(through_the_store(copy("recorded"), callers))
    ours, floor, made = [], [], 0
    for number in range(rounds):
        made, took_s = asyncio.run(through_the_store(copy(f"ours-{number}"), callers))
        ours.append(took_s)
        floor.append(raw(copy(f"raw-{number}"), statements))
    groups = sum(statement == "COMMIT" for statement, _ in statements)
    ratio = min(floor) / min(ours)
    return Row(
        what="Durable checkpoints per second, against raw sqlite3",
        target=f">= {TARGET:g}",
        measured=f"{ratio:.2f}",
        how=f"{made / min(ours):,.0f}/s against {made / min(floor):,.0f}/s; {callers} callers, "
        f"{made / groups:.0f} checkpoints a group, best of {rounds}",
        met=ratio >= TARGET,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=2000)
    args = parser.parse_args(argv)
    with scratch() as folder:
        report([measure(folder, args.rounds, args.callers, args.jobs)])


if __name__ == "__main__":
    main()
