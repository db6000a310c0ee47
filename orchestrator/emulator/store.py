"""What the emulator knows, on disk: one SQLite file with one writer thread and group commit.

``commit`` returns when its statements are committed, together with everything noted before;
``note`` does not wait. So what was answered to a client is on disk before the answer leaves,
and a process that is killed at any instant goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

Statement = tuple[str, tuple[Any, ...]]

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
  file_id TEXT PRIMARY KEY, uid TEXT NOT NULL, format TEXT NOT NULL, created_at REAL NOT NULL,
  target TEXT NOT NULL, expires_at REAL NOT NULL, sha256 TEXT, puts INTEGER NOT NULL DEFAULT 0,
  checked INTEGER NOT NULL DEFAULT 0, unchecked_use INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (
  sha256 TEXT PRIMARY KEY, md5 TEXT NOT NULL, size INTEGER NOT NULL, kind TEXT NOT NULL,
  has_video INTEGER NOT NULL, has_audio INTEGER NOT NULL, duration_s REAL,
  puts INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
  number INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, uid TEXT NOT NULL,
  body TEXT NOT NULL, content TEXT NOT NULL, submitted_at REAL NOT NULL, start_at REAL NOT NULL,
  end_at REAL NOT NULL, failed INTEGER NOT NULL, error TEXT, fail_word TEXT NOT NULL,
  cost REAL NOT NULL, job TEXT NOT NULL, identity TEXT NOT NULL, notice_uuid TEXT,
  settled INTEGER NOT NULL DEFAULT 0, notified INTEGER NOT NULL DEFAULT 0,
  end_told INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS ledger (
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL, at REAL NOT NULL, cost REAL NOT NULL,
  task_id TEXT NOT NULL, task_type TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS avatars (
  avatar_id TEXT PRIMARY KEY, uid TEXT NOT NULL, name TEXT NOT NULL, face TEXT NOT NULL,
  created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS calls (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, endpoint TEXT NOT NULL, code TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS leaks (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, listener TEXT NOT NULL, method TEXT NOT NULL,
  path TEXT NOT NULL, header TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS fault_counts (
  key TEXT PRIMARY KEY, seen INTEGER NOT NULL, fired INTEGER NOT NULL
);
"""

_BATCH = 1000


@dataclass(slots=True)
class _Write:
    statements: tuple[Statement, ...]
    done: asyncio.Future[None] | None


class Store:
    """The one owner of the database file. ``open`` and ``close`` block; call them in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def open(self) -> dict[str, list[sqlite3.Row]]:
        """Create what is missing, start the writer, and return every table's rows."""
        with contextlib.closing(self._connect()) as db:
            db.executescript(SCHEMA)
            db.row_factory = sqlite3.Row
            order = {"tasks": "number", "ledger": "id", "calls": "id", "leaks": "id"}
            rows = {t: _rows(db, t, order.get(t)) for t in _tables(db)}
        self._thread = threading.Thread(target=self._work, name="emulator-store", daemon=True)
        self._thread.start()
        return rows

    def close(self) -> None:
        """Write what was noted, end the writer. Safe to call twice."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def note(self, *statements: Statement) -> None:
        """Write soon, in order; nobody waits."""
        self._queue.put(_Write(statements, None))

    async def commit(self, *statements: Statement) -> None:
        """Write, and return when this and all that was noted before is committed.

        Raises:
            sqlite3.Error: the write failed; nothing of its group is on disk.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(_Write(statements, done))
        await done

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=30.0)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        return db

    def _work(self) -> None:
        with contextlib.closing(self._connect()) as db:
            for group in self._groups():
                _settle(group, _write(db, group))

    def _groups(self) -> Iterator[list[_Write]]:
        while (first := self._queue.get()) is not None:
            group = [first]
            ended = False
            while len(group) < _BATCH and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    ended = True
                    break
                group.append(item)
            yield group
            if ended:
                return


def _tables(db: sqlite3.Connection) -> list[str]:
    found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [row[0] for row in found]


def _rows(db: sqlite3.Connection, table: str, order: str | None) -> list[sqlite3.Row]:
    return db.execute(f"SELECT * FROM {table}" + (f" ORDER BY {order}" if order else "")).fetchall()


def _write(db: sqlite3.Connection, group: list[_Write]) -> sqlite3.Error | None:
    try:
        db.execute("BEGIN IMMEDIATE")
        for item in group:
            for sql, values in item.statements:
                db.execute(sql, values)
        db.execute("COMMIT")
    except sqlite3.Error as error:
        logger.error("the emulator cannot write its state: %s", error)
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        return error
    return None


def _settle(group: list[_Write], error: sqlite3.Error | None) -> None:
    for done in (item.done for item in group if item.done is not None):
        # The loop may be gone when the last writes of a stopped emulator are done.
        with contextlib.suppress(RuntimeError):
            done.get_loop().call_soon_threadsafe(_resolve, done, error)


def _resolve(done: asyncio.Future[None], error: sqlite3.Error | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def insert(table: str, **values: Any) -> Statement:
    """An INSERT that replaces a row of the same key."""
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    return f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", tuple(values.values())


def update(table: str, key: str, key_value: Any, **values: Any) -> Statement:
    """An UPDATE of one row."""
    pairs = ", ".join(f"{name} = ?" for name in values)
    return f"UPDATE {table} SET {pairs} WHERE {key} = ?", (*values.values(), key_value)


def count(name: str, by: int = 1) -> Statement:
    """Add to a counter."""
    sql = (
        "INSERT INTO counters (name, value) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
    )
    return sql, (name, by)
