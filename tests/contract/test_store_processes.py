"""The SQLite store under several processes, kills, a full disk, backups and slow readers."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from store_kit import NOW, WAY, World, event, make_world, new
from store_worker import BUDGET, PRICE

from orchestrator.model import EventKind, State
from orchestrator.store.sqlite import open_store

WORKER = Path(__file__).with_name("store_worker.py")
ROOT = WORKER.parents[2]


def start(role: str, database: Path) -> subprocess.Popen[str]:
    """A process of its own, see `store_worker.py`."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(WORKER), role, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )


def go(*workers: subprocess.Popen[str]) -> None:
    """Let all begin at the same instant."""
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()


def close(worker: subprocess.Popen[str]) -> None:
    """Reap a process whose output was read to its end."""
    worker.wait(timeout=30)
    for pipe in (worker.stdin, worker.stdout):
        assert pipe is not None
        pipe.close()


def note(acknowledged: dict[str, int], line: str) -> None:
    job_id, version, _state = line.split()
    acknowledged[job_id] = int(version)


async def a_batch(database: Path, jobs: int, state: State = State.PENDING) -> None:
    store = await open_store(database)
    world = await make_world(store)
    await world.plan(*(new(f"job-{number}", position=number) for number in range(jobs)))
    for job in await store.pending(world.batch, jobs):
        await world.drive(job, WAY[state])
    await store.close()


def check(database: Path) -> None:
    """The file is sound, every job's version counts its events, and its credits its charges."""
    with sqlite3.connect(database) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        torn = """SELECT j.job_id FROM jobs AS j
            WHERE version <> 1 + (SELECT count(*) FROM events AS e WHERE e.job = j.key)
            OR state <> coalesce((SELECT after FROM events AS e WHERE e.job = j.key
                ORDER BY e.key DESC LIMIT 1), 'pending')"""
        assert conn.execute(torn).fetchall() == []
        miscounted = """SELECT j.job_id FROM jobs AS j
            WHERE credits IS NOT (SELECT sum(credits) FROM attempts AS a WHERE a.job = j.key)
            UNION ALL SELECT a.token FROM attempts AS a
            JOIN charges AS c ON c.account = a.account AND c.task_id = a.task_id
            WHERE a.credits IS NOT c.credits"""
        assert conn.execute(miscounted).fetchall() == []
    conn.close()


async def test_a_killed_process_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    database = tmp_path / "state" / "orchestrator.db"
    await a_batch(database, 40)
    for round_number in range(2):
        worker = start("mover", database)
        go(worker)
        assert worker.stdout is not None
        acknowledged: dict[str, int] = {}
        for _ in range(3_000):
            note(acknowledged, worker.stdout.readline())
        worker.kill()
        for line in worker.stdout:
            if line.endswith("\n"):  # the kill may have cut the last one
                note(acknowledged, line)
        close(worker)
        store = await open_store(database)
        world = await make_world(store)
        known = await store.known(world.batch)
        lost = {j: v for j, v in acknowledged.items() if known[j].version < v}  # type: ignore[index]
        await store.close()
        assert lost == {}, round_number
        check(database)


async def test_of_two_processes_that_claim_the_last_slot_exactly_one_gets_it(
    tmp_path: Path,
) -> None:
    database = tmp_path / "orchestrator.db"
    await a_batch(database, 20, State.READY)
    workers = [start("claimer", database), start("claimer", database)]
    go(*workers)
    said = "".join(worker.communicate(timeout=30)[0] for worker in workers).split()
    assert said.count("claimed") == 1
    assert set(said) <= {"claimed", "slots", "moved"} and len(said) == 40
    check(database)


async def test_of_two_processes_that_claim_the_last_credits_exactly_one_gets_them(
    tmp_path: Path,
) -> None:
    database = tmp_path / "orchestrator.db"
    await a_batch(database, 20, State.READY)
    workers = [start("spender", database), start("spender", database)]
    go(*workers)
    said = "".join(worker.communicate(timeout=30)[0] for worker in workers).split()
    assert said.count("claimed") == 1
    assert set(said) <= {"claimed", "budget", "moved"} and len(said) == 40
    check(database)


async def test_a_budget_holds_over_processes_and_a_kill(tmp_path: Path) -> None:
    database = tmp_path / "orchestrator.db"
    await a_batch(database, 150, State.READY)
    killed, other = start("payer", database), start("payer", database)
    assert killed.stdout is not None and other.stdout is not None
    go(killed)
    told = [killed.stdout.readline() for _ in range(20)]
    go(other)
    survivor = [other.stdout.readline()]
    killed.kill()
    told += [line for line in killed.stdout if line.endswith("\n")]
    survivor += list(other.stdout)
    close(killed)
    close(other)
    store = await open_store(database)
    world = await make_world(store)
    rows = await store.job_rows(world.batch)
    charged = {row.job_id for row in rows if row.credits == PRICE}
    paid = [line.split()[1] for line in (*told, *survivor) if line.startswith("paid ")]
    assert set(paid) <= charged and len(set(paid)) == len(paid)
    assert survivor[-1] == "budget\n"
    assert sum(row.attempts for row in rows) == BUDGET / PRICE
    assert await store.spent(world.batch, None) == BUDGET
    await store.close()
    check(database)


async def test_processes_that_open_a_fresh_folder_at_once_share_one_store(tmp_path: Path) -> None:
    database = tmp_path / "state" / "orchestrator.db"
    workers = [start("opener", database) for _ in range(4)]
    go(*workers)
    said = {worker.communicate(timeout=30)[0] for worker in workers}
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    assert said == {"account 1 batch 1\n"}
    left = sorted(path.name for path in database.parent.iterdir())
    assert left == ["orchestrator.db", "orchestrator.db.lock"]


async def test_a_full_disk_is_said_and_changes_nothing(tmp_path: Path) -> None:
    database = tmp_path / "orchestrator.db"
    worker = start("filler", database)
    said, _ = worker.communicate(timeout=30)
    first, second = said.splitlines()
    version, message = first.split(" ", 1)
    assert message.startswith(f"{database}: not written (")
    assert "make room" in message or "free space" in message
    assert second == version and int(version) > 10
    check(database)


@pytest.fixture
async def busy_world(tmp_path: Path) -> World:
    database = tmp_path / "orchestrator.db"
    await a_batch(database, 20)
    return await make_world(await open_store(database))


async def move_all(world: World, times: int) -> None:
    jobs = await world.store.pending(world.batch, 100)
    for _ in range(times):
        for kind in (EventKind.ASSETS_LIVE, EventKind.FILES_EXPIRED):
            moves = (world.store.move(job, event(kind, at=NOW)) for job in jobs)
            jobs = list(await asyncio.gather(*moves))


async def test_a_backup_made_while_jobs_move_is_consistent(
    busy_world: World, tmp_path: Path
) -> None:
    moving = asyncio.create_task(move_all(busy_world, 150))
    await asyncio.to_thread(back_up, tmp_path / "orchestrator.db", tmp_path / "backup.db")
    assert not moving.done(), "the backup was to run beside the moves"
    await moving
    await busy_world.store.close()
    check(tmp_path / "backup.db")


def back_up(source: Path, target: Path) -> None:
    reader = sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)
    copy = sqlite3.connect(target)
    reader.backup(copy)
    copy.close()
    reader.close()


async def test_a_reader_with_a_long_transaction_stops_nobody(
    busy_world: World, tmp_path: Path
) -> None:
    database = tmp_path / "orchestrator.db"
    reader = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    before = reader.execute("SELECT count(*) FROM events").fetchone()
    await asyncio.wait_for(move_all(busy_world, 120), timeout=20)
    assert reader.execute("SELECT count(*) FROM events").fetchone() == before
    await asyncio.wait_for(busy_world.store.close(), timeout=5)
    reader.execute("ROLLBACK")
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (before[0] + 120 * 2 * 20,)
    reader.close()
    check(database)


async def test_the_wal_does_not_grow_with_the_work(busy_world: World, tmp_path: Path) -> None:
    sizes = []
    for _ in range(3):
        await move_all(busy_world, 150)
        sizes.append((tmp_path / "orchestrator.db-wal").stat().st_size)
    await busy_world.store.close()
    assert sizes[2] < 2 * sizes[0]  # unfolded it would be three times


async def test_a_store_that_was_killed_in_a_checkpoint_opens(tmp_path: Path) -> None:
    """The main file is a half-written one; together with the WAL it is whole."""
    source, database = tmp_path / "source.db", tmp_path / "orchestrator.db"
    store = await open_store(source)
    world = await make_world(store)
    await world.plan(*(new(f"job-{n}", "x" * 400, position=n) for n in range(200)))
    shutil.copy(source, database)
    shutil.copy(tmp_path / "source.db-wal", tmp_path / "orchestrator.db-wal")
    await store.close()
    torn = bytearray(database.read_bytes())
    torn[:4096] = source.read_bytes()[:4096]  # page 1 is written first and names more pages
    database.write_bytes(bytes(torn))
    store = await open_store(database)
    world = await make_world(store)
    assert await store.counts(world.batch) == {State.PENDING: 200}
    await store.close()
    check(database)
