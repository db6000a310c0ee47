"""Connections that cannot write: one for glances, and a small pool of threads for the rest."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import StoreError
from orchestrator.store import connect, faults

T = TypeVar("T")

_THREADS = 3


class Readers:
    """Runs functions of a read-only connection, off the event loop or, if they are brief, in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="state-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._closed = False
        self._at_hand: sqlite3.Connection | None = None

    async def glance(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """The result of a ``look`` of one statement that an index serves.

        It is done at once, in the calling thread: that takes some microseconds, where a visit to
        another thread takes a hundred. If another process has the file to itself, it waits in a
        thread after all.

        Raises:
            StoreError: the store is closed, damaged or cannot be read.
        """
        if self._closed:
            raise StoreError(f"{self._path}: the state store is closed")
        try:
            return look(self._own_connection())
        except sqlite3.Error as error:
            if faults.primary_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise faults.translate(error, self._path) from error
        return await self.run(look)

    def _own_connection(self) -> sqlite3.Connection:
        if self._at_hand is None:
            self._at_hand = connect.open_reader(self._path, patient=False)
            self._connections.append(self._at_hand)
        return self._at_hand

    async def run(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """The result of ``look``, which sees one unchanging state of the store.

        Raises:
            StoreError: the store is closed, damaged or cannot be read.
        """
        if self._closed:
            raise StoreError(f"{self._path}: the state store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._look, look)

    async def close(self) -> None:
        """Wait for what is being read, then close every connection."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)
        while self._connections:
            self._connections.pop().close()

    def _look(self, look: Callable[[sqlite3.Connection], T]) -> T:
        try:
            conn = self._connection()
            conn.execute("BEGIN")
            try:
                return look(conn)
            finally:
                conn.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise faults.translate(error, self._path) from error

    def _connection(self) -> sqlite3.Connection:
        conn: sqlite3.Connection | None = getattr(self._local, "conn", None)
        if conn is None:
            conn = self._local.conn = connect.open_reader(self._path)
            self._connections.append(conn)
        return conn
