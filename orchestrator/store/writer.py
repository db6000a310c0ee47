"""One thread that owns the write connection, and group commit.

Work is a function of the connection. All work that is waiting when the thread gets to it shares
one transaction, hence one wait for the disk, and each caller resumes only after that commit. If
a member raises, the group is rolled back and its members are repeated singly, each in its own
transaction, so that only the guilty one gets its exception. So work must do nothing but read and
write the connection: it may run twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import StoreError
from orchestrator.store import connect, faults, folder

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

_log = logging.getLogger(__name__)

_GROUP = 512
"""Work in one transaction at the most."""
_FOLD_AFTER_GROUPS = 200
_FOLD_AFTER_CHANGES = 5_000
_FOLD_WHEN_IDLE_S = 30.0
_CLOSE_PATIENCE_S = 5.0


@dataclass(slots=True, eq=False)
class _Item:
    """Work and the caller that waits for it."""

    work: Work
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = field(default=None)


class Writer:
    """The only writer of one process. ``run`` and ``close`` belong to the event loop's thread."""

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        self._create = create
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="state-writer", daemon=True)
        self._closing = False
        self._groups = 0
        self._changes = 0

    async def start(self) -> None:
        """Start the thread and wait until it has opened the connection.

        Raises:
            StoreError: it could not; the thread has ended.
        """
        opened = self._item(lambda conn: None)
        self._queue.put(opened)
        self._thread.start()
        await opened.future

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work in a transaction; returns its result when that is on disk.

        A caller that is cancelled does not take its work back: it is done all the same.

        Raises:
            StoreFull: it could not be written; nothing was changed.
            StoreError: the store is closed, or locked by another program.
            Exception: whatever the work raised; nothing was changed.
        """
        if self._closing:
            raise StoreError(f"{self._path}: the state store is closed")
        item = self._item(work)
        self._queue.put(item)
        result: T = await item.future
        return result

    async def close(self) -> None:
        """Write what is queued, fold the WAL back if nobody reads it, close the connection."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _item(self, work: Work) -> _Item:
        loop = asyncio.get_running_loop()
        return _Item(work=work, future=loop.create_future(), loop=loop)

    # From here on: the thread.

    def _main(self) -> None:
        first = self._queue.get()
        assert first is not None, "start() puts the first item"
        try:
            conn = connect.open_writer(self._path, create=self._create)
        except BaseException as error:  # noqa: BLE001 - handed to the caller of start()
            first.error = error
            self._closing = True
            _settle([first])
            return
        try:
            _settle([first])
            self._serve(conn)
        finally:
            self._closing = True
            self._finish(conn)
            self._refuse_rest()

    def _serve(self, conn: sqlite3.Connection) -> None:
        open_for_more = True
        while open_for_more:
            group, open_for_more = self._next_group(conn)
            if not group:
                continue
            if not _commit(conn, group) and len(group) > 1:
                for item in group:
                    item.error = None
                    _commit(conn, [item])
            self._translate(group)
            _settle(group)
            self._fold_if_due(conn)

    def _next_group(self, conn: sqlite3.Connection) -> tuple[list[_Item], bool]:
        """Wait for work and take all that is there; False: no more will come."""
        group: list[_Item] = []
        try:
            item = self._queue.get(timeout=_FOLD_WHEN_IDLE_S)
            while item is not None:
                group.append(item)
                if len(group) == _GROUP:
                    return group, True
                item = self._queue.get_nowait()
        except queue.Empty:
            if not group:
                self._fold(conn)
            return group, True
        return group, False

    def _refuse_rest(self) -> None:
        """Answer those who came too late, so that nobody waits for ever."""
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if item is not None:
                    item.error = StoreError(f"{self._path}: the state store is closed")
                    _settle([item])

    def _translate(self, group: Sequence[_Item]) -> None:
        for item in group:
            if isinstance(item.error, sqlite3.Error):
                translated = faults.translate(item.error, self._path)
                if translated is not item.error:
                    translated.__cause__ = item.error
                    item.error = translated

    def _fold_if_due(self, conn: sqlite3.Connection) -> None:
        self._groups += 1
        changes = conn.total_changes - self._changes
        if self._groups >= _FOLD_AFTER_GROUPS or changes >= _FOLD_AFTER_CHANGES:
            self._fold(conn)

    def _fold(self, conn: sqlite3.Connection) -> None:
        """Copy what the WAL holds into the file, unless another process is at it just now.

        It never waits for readers. A failure harms nobody: the WAL still holds everything.
        """
        if not self._groups:
            return
        self._groups, self._changes = 0, conn.total_changes
        try:
            with folder.locked(self._path, patience_s=0) as held:
                if held:
                    conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except (sqlite3.Error, StoreError) as error:
            _log.warning("%s: the WAL could not be folded back yet: %s", self._path, error)

    def _finish(self, conn: sqlite3.Connection) -> None:
        """Close under the lock, for closing the last connection is a checkpoint too.

        Who does not get the lock in time is not the last one: its holder has a connection.
        """
        try:
            with folder.locked(self._path, patience_s=_CLOSE_PATIENCE_S) as held:
                if held:
                    conn.execute("PRAGMA busy_timeout = 0")
                    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                conn.close()
        except (sqlite3.Error, StoreError) as error:
            _log.warning("%s: closed without folding the WAL back: %s", self._path, error)
            conn.close()


def _commit(conn: sqlite3.Connection, group: Sequence[_Item]) -> bool:
    """Do the work of a group in one transaction.

    False: it was rolled back for a member's sake; singly, the others may succeed. Where not
    even the transaction could begin, every member has got that error and True is returned.
    """
    try:
        conn.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        for item in group:
            item.error = error
        return True
    item = group[0]
    try:
        for item in group:
            item.result = item.work(conn)
        conn.execute("COMMIT")
    except BaseException as error:  # noqa: BLE001 - handed to the caller who waits for it
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        item.error = error
        return False
    return True


def _settle(group: Sequence[_Item]) -> None:
    """Wake the callers, with one call per event loop."""
    for loop in {item.loop for item in group}:
        mine = [item for item in group if item.loop is loop]
        try:
            loop.call_soon_threadsafe(_wake, mine)
        except RuntimeError:
            # The loop was closed before its callers got their answers: nobody is left to tell.
            _log.debug("%d answers came after their event loop was closed", len(mine))


def _wake(group: Sequence[_Item]) -> None:
    for item in group:
        if item.future.cancelled():
            continue
        if item.error is not None:
            item.future.set_exception(item.error)
        else:
            item.future.set_result(item.result)
