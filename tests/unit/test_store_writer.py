"""The writer's thread: group commit, and whose fault a failure is."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store import connect
from orchestrator.store.writer import Writer

Work = Callable[[sqlite3.Connection], object]


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    writer = Writer(tmp_path / "orchestrator.db", create=True)
    await writer.start()
    yield writer
    await writer.close()


def insert(key: str) -> Work:
    def work(conn: sqlite3.Connection) -> object:
        conn.execute("INSERT INTO meta VALUES (?, '')", (key,))
        return key

    return work


def failing(error: Exception) -> Work:
    def work(conn: sqlite3.Connection) -> object:
        conn.execute("INSERT INTO meta VALUES ('half', 'done')")
        raise error

    return work


def keys(conn: sqlite3.Connection) -> set[str]:
    return {row[0] for row in conn.execute("SELECT key FROM meta WHERE key <> 'salt'")}


class Gate:
    """Work that holds the thread until it is opened, so that other work gathers behind it."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()

    def work(self, conn: sqlite3.Connection) -> None:
        self._reached.set()
        self._open.wait(10)

    async def reached(self) -> None:
        await asyncio.to_thread(self._reached.wait, 10)

    def open(self) -> None:
        self._open.set()


async def together(writer: Writer, *works: Work) -> list[object]:
    """Run all works in one group; results and exceptions in order."""
    gate = Gate()
    first = asyncio.create_task(writer.run(gate.work))
    await gate.reached()
    tasks = [asyncio.create_task(writer.run(work)) for work in works]
    await asyncio.sleep(0)  # every task has queued its work
    gate.open()
    await first
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_work_that_waits_shares_one_transaction(writer: Writer) -> None:
    seen: list[str] = []

    def trace(conn: sqlite3.Connection) -> None:
        conn.set_trace_callback(lambda sql: seen.append(sql.split(" ")[0]))

    await writer.run(trace)
    assert await together(writer, *(insert(str(n)) for n in range(20))) == [
        str(n) for n in range(20)
    ]
    await writer.run(lambda conn: conn.set_trace_callback(None))
    # One for the gate, one for the twenty, and the begin of the one that ends the tracing.
    assert (seen.count("COMMIT"), seen.count("BEGIN"), seen.count("INSERT")) == (3, 3, 20)


async def test_only_the_guilty_member_of_a_group_gets_its_exception(writer: Writer) -> None:
    guilty = ValueError("mine")
    results = await together(writer, insert("a"), failing(guilty), insert("b"))
    assert results == ["a", guilty, "b"]
    assert await writer.run(keys) == {"a", "b"}


async def test_two_guilty_members_get_an_exception_each(writer: Writer) -> None:
    first, second = ValueError("first"), KeyError("second")
    results = await together(writer, failing(first), insert("a"), failing(second))
    assert results == [first, "a", second]
    assert await writer.run(keys) == {"a"}


async def test_a_failure_alone_leaves_nothing_behind(writer: Writer) -> None:
    with pytest.raises(ValueError, match="mine"):
        await writer.run(failing(ValueError("mine")))
    assert await writer.run(keys) == set()


async def test_a_bug_in_sql_comes_back_as_it_is(writer: Writer) -> None:
    await writer.run(insert("a"))
    with pytest.raises(sqlite3.IntegrityError):
        await writer.run(insert("a"))


async def test_a_caller_that_is_cancelled_does_not_take_its_work_back(writer: Writer) -> None:
    gate = Gate()
    first = asyncio.create_task(writer.run(gate.work))
    await gate.reached()
    task = asyncio.create_task(writer.run(insert("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    await first
    assert await writer.run(keys) == {"a"}


async def test_closing_waits_for_what_is_queued(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "orchestrator.db", create=True)
    await writer.start()
    tasks = [asyncio.create_task(writer.run(insert(str(n)))) for n in range(50)]
    await asyncio.sleep(0)
    await writer.close()
    assert await asyncio.gather(*tasks) == [str(n) for n in range(50)]
    with pytest.raises(StoreError, match="is closed"):
        await writer.run(insert("late"))


async def test_a_file_that_others_keep_locked_is_said_to_every_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "BUSY_S", 0.05)
    writer = Writer(tmp_path / "orchestrator.db", create=True)
    await writer.start()
    other = sqlite3.connect(tmp_path / "orchestrator.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(
        *(writer.run(insert(str(n))) for n in range(3)), return_exceptions=True
    )
    other.execute("ROLLBACK")
    assert [type(result) for result in results] == [StoreError] * 3
    assert "another program keeps this file locked" in str(results[0])
    assert await writer.run(insert("a")) == "a"
    other.close()
    await writer.close()


def rows_seen(path: Path) -> set[str]:
    """What another process would see."""
    with contextlib.closing(sqlite3.connect(path)) as other:
        return keys(other)


async def brief(writer: Writer, *works: Work) -> list[object]:
    """Run all works as brief ones that come in one turn of the loop."""
    runs = (writer.run(work, brief=True) for work in works)
    return list(await asyncio.gather(*runs, return_exceptions=True))


async def test_brief_work_is_done_in_the_loops_thread_in_one_transaction(writer: Writer) -> None:
    seen: list[str] = []
    threads: set[int] = set()

    def work(conn: sqlite3.Connection) -> None:
        threads.add(threading.get_ident())

    await writer.run(lambda conn: conn.set_trace_callback(lambda sql: seen.append(sql[:6])))
    seen.clear()
    await brief(writer, *(insert(str(n)) for n in range(20)), work)
    assert (seen.count("BEGIN "), seen.count("COMMIT"), seen.count("INSERT")) == (1, 1, 20)
    assert threads == {threading.get_ident()}


async def test_who_did_brief_work_resumes_when_others_can_see_it(
    writer: Writer, tmp_path: Path
) -> None:
    for n in range(30):
        await writer.run(insert(str(n)), brief=True)
        assert str(n) in rows_seen(tmp_path / "orchestrator.db")


async def test_only_the_guilty_of_brief_work_gets_its_exception(writer: Writer) -> None:
    guilty = ValueError("mine")
    results = await brief(writer, insert("a"), failing(guilty), insert("b"))
    assert results == ["a", guilty, "b"]
    assert await writer.run(keys) == {"a", "b"}


async def test_brief_work_waits_for_another_writer_without_holding_up_the_loop(
    writer: Writer, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "orchestrator.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(writer.run(insert("a"), brief=True))
    turns = 0
    for _ in range(30):
        await asyncio.sleep(0.005)
        turns += 1
        assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    assert await waiting == "a" and turns == 30


async def test_brief_and_long_work_keep_their_order(writer: Writer) -> None:
    def read(conn: sqlite3.Connection) -> set[str]:
        return keys(conn)

    runs = (
        writer.run(insert("a"), brief=True),
        writer.run(read),
        writer.run(insert("b"), brief=True),
        writer.run(read, brief=True),
    )
    assert await asyncio.gather(*runs) == ["a", {"a"}, "b", {"a", "b"}]


async def test_closing_waits_for_brief_work_that_gathers(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "orchestrator.db", create=True)
    await writer.start()
    await writer.run(insert("first"), brief=True)
    tasks = [asyncio.create_task(writer.run(insert(str(n)), brief=True)) for n in range(3)]
    await asyncio.sleep(0)
    await writer.close()
    assert await asyncio.gather(*tasks) == ["0", "1", "2"]


async def test_a_writer_that_cannot_open_says_why_and_ends(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "orchestrator.db", create=False)
    with pytest.raises(StoreError, match="there is no state store"):
        await writer.start()
    await writer.close()
