"""The connection that writes, and group commit.

Work is a function of the connection. All work that waits when the connection is free shares one
transaction, hence one wait for the disk, and each caller resumes only after that commit. If a
member raises, the group is rolled back and its members are repeated singly, each in its own
transaction, so that only the guilty one gets its exception. So work must do nothing but read and
write the connection: it may run more than once.

Statements take microseconds, the disk takes milliseconds, and handing the interpreter's lock from
thread to thread takes longer than a statement. So *brief* work, a few statements that indexes
serve, is done in the event loop's own thread, and only the COMMIT, which waits for the disk, is
left to the writer's. All other work is done in that thread from beginning to end; so is brief
work whose transaction cannot begin at once, because another process is writing.

The connection belongs to one thread at a time: to the loop's while the writer is free, to its own
thread from an order to its end.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import StoreError
from orchestrator.store import connect, faults, folder

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
Order = Callable[[sqlite3.Connection], None]

_log = logging.getLogger(__name__)

_GROUP = 512
"""Work in one transaction at the most."""
_BRIEF_GROUP = 64
"""Brief work that the loop does at one go, at the most: some milliseconds."""
_GATHER_S, _ENOUGH = 0.010, 16
"""After a group has begun the next one waits so long for others to join, or until so many have. A
checkpoint that comes alone is written at once, and many together wait for the disk but once."""
_FOLD_AFTER_GROUPS = 200
_FOLD_AFTER_CHANGES = 5_000
_FOLD_WHEN_IDLE_S = 30.0
_CLOSE_PATIENCE_S = 5.0


@dataclass(slots=True, eq=False)
class _Item:
    """Work and the caller that waits for it."""

    work: Work
    brief: bool
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """The only writer of one process; all its methods belong to one event loop's thread."""

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        self._create = create
        self._thread = threading.Thread(target=self._main, name="state-writer", daemon=True)
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._waiting: list[_Item] = []
        self._free = False
        self._begun_at = -_GATHER_S
        self._beginning: asyncio.Handle | None = None
        self._closing = False
        self._groups = 0
        self._changes = 0

    async def start(self) -> None:
        """Start the thread and wait until it has opened the connection.

        Raises:
            StoreError: it could not; the thread has ended.
        """
        self._loop = asyncio.get_running_loop()
        self._resting = asyncio.Event()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._thread.start()
        await self._opened

    async def run(self, work: Callable[[sqlite3.Connection], T], *, brief: bool = False) -> T:
        """Do the work in a transaction; returns its result when that is on disk.

        A caller that is cancelled does not take its work back: it is done all the same.

        ``brief``: a few statements that indexes serve, which nobody will miss a turn of the loop
        for.

        Raises:
            StoreFull: it could not be written; nothing was changed.
            StoreError: the store is closed, or locked by another program.
            Exception: whatever the work raised; nothing was changed.
        """
        if self._closing:
            raise StoreError(f"{self._path}: the state store is closed")
        item = _Item(work=work, brief=brief, future=self._loop.create_future())
        self._waiting.append(item)
        self._resting.clear()
        if self._free:
            self._arrange()
        result: T = await item.future
        return result

    async def close(self) -> None:
        """Write what is queued, fold the WAL back if nobody reads it, close the connection."""
        self._closing = True
        await self._resting.wait()
        self._orders.put(None)
        await asyncio.to_thread(self._thread.join)

    def _arrange(self) -> None:
        """See that the next group begins in time. The connection is free."""
        many = len(self._waiting) >= _ENOUGH
        if self._beginning is not None and len(self._waiting) != _ENOUGH:
            return
        wait_s = self._begun_at + _GATHER_S - self._loop.time()
        if wait_s > 0 and not many:
            self._beginning = self._loop.call_later(wait_s, self._next_group)
            return
        if self._beginning is not None:
            self._beginning.cancel()
        # In the next turn of the loop: whoever else has work in this one shares the transaction.
        self._beginning = self._loop.call_soon(self._next_group)

    def _next_group(self) -> None:
        """Begin with what waits. The connection is free."""
        self._beginning = None
        self._free, self._begun_at = False, self._loop.time()
        here = len(self._waiting) <= _BRIEF_GROUP and all(item.brief for item in self._waiting)
        group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
        done = False
        try:
            done = here and _done_here(self._conn, group)
        finally:
            self._orders.put(partial(self._conclude, group, done))

    def _settle(self, group: Sequence[_Item], *, free: bool) -> None:
        """Wake the callers of a group; ``free``: the connection is the loop's again."""
        for item in group:
            if item.future.cancelled():
                continue
            if item.error is not None:
                item.future.set_exception(item.error)
            else:
                item.future.set_result(item.result)
        if not free:
            return
        self._free = True
        if self._waiting:
            self._arrange()
        else:
            self._resting.set()

    def _hand_over(self, conn: sqlite3.Connection) -> None:
        self._conn, self._free = conn, True
        self._resting.set()
        if not self._opened.cancelled():
            self._opened.set_result(None)

    def _not_opened(self, error: BaseException) -> None:
        self._closing = True
        self._resting.set()
        if not self._opened.cancelled():
            self._opened.set_exception(error)

    def _fold_if_free(self) -> None:
        if self._free and self._beginning is None:
            self._free = False
            self._resting.clear()
            self._orders.put(self._fold_and_free)

    def _refuse_rest(self) -> None:
        """The thread has ended. Answer those who wait, so that nobody waits for ever."""
        self._closing, self._free = True, False
        for item in self._waiting:
            item.error = StoreError(f"{self._path}: the state store is closed")
        rest, self._waiting = self._waiting, []
        self._settle(rest, free=False)
        self._resting.set()

    # From here on: the thread.

    def _post(self, call: Callable[..., None], *args: Any, **named: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(partial(call, *args, **named))
        except RuntimeError:
            # The loop was closed before its callers got their answers: nobody is left to tell.
            _log.debug("%s came after the event loop was closed", call.__name__)

    def _main(self) -> None:
        try:
            conn = connect.open_writer(self._path, create=self._create)
        except BaseException as error:  # noqa: BLE001 - handed to the caller of start()
            self._post(self._not_opened, error)
            return
        try:
            self._prepare(conn)
            self._post(self._hand_over, conn)
            self._serve(conn)
        finally:
            self._finish(conn)
            self._post(self._refuse_rest)

    def _prepare(self, conn: sqlite3.Connection) -> None:
        """Nobody waits for a lock but :func:`_begin`, which says for how long."""
        conn.execute("PRAGMA busy_timeout = 0")

    def _serve(self, conn: sqlite3.Connection) -> None:
        """Carry out orders until there are no more."""
        while True:
            try:
                order = self._orders.get(timeout=_FOLD_WHEN_IDLE_S)
            except queue.Empty:
                if self._groups:
                    self._post(self._fold_if_free)
                continue
            if order is None:
                return
            order(conn)

    def _conclude(self, group: Sequence[_Item], begun: bool, conn: sqlite3.Connection) -> None:
        """See a group to its end; ``begun``: all that is left of it is the COMMIT."""
        if not _commit(conn, group, begun=begun) and len(group) > 1:
            for item in group:
                item.error = None
                _commit(conn, [item], begun=False)
        self._translate(group)
        due = self._fold_is_due(conn)
        self._post(self._settle, group, free=not due)
        if due:
            self._fold_and_free(conn)

    def _translate(self, group: Sequence[_Item]) -> None:
        for item in group:
            if isinstance(item.error, sqlite3.Error):
                translated = faults.translate(item.error, self._path)
                if translated is not item.error:
                    translated.__cause__ = item.error
                    item.error = translated

    def _fold_is_due(self, conn: sqlite3.Connection) -> bool:
        self._groups += 1
        changes = conn.total_changes - self._changes
        return self._groups >= _FOLD_AFTER_GROUPS or changes >= _FOLD_AFTER_CHANGES

    def _fold_and_free(self, conn: sqlite3.Connection) -> None:
        self._fold(conn)
        self._post(self._settle, (), free=True)

    def _fold(self, conn: sqlite3.Connection) -> None:
        """Copy what the WAL holds into the file, unless another process is at it just now.

        It never waits for readers. A failure harms nobody: the WAL still holds everything.
        """
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
                    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                conn.close()
        except (sqlite3.Error, StoreError) as error:
            _log.warning("%s: closed without folding the WAL back: %s", self._path, error)
            conn.close()


def _done_here(conn: sqlite3.Connection, group: Sequence[_Item]) -> bool:
    """Do the work of a group in the calling thread, all but the COMMIT; waits for nobody.

    False: nothing was done; the writer's thread finds out why and whose fault it is.
    """
    done = False
    try:
        conn.execute("BEGIN IMMEDIATE")
        for item in group:
            item.result = item.work(conn)
        done = True
    except Exception as error:  # noqa: BLE001 - it happens again where it is told
        _log.debug("left to the writer's thread: %s", error)
    finally:
        if not done and conn.in_transaction:
            conn.execute("ROLLBACK")
    return done


def _commit(conn: sqlite3.Connection, group: Sequence[_Item], *, begun: bool) -> bool:
    """Do the work of a group in one transaction; ``begun``: all but its COMMIT is done.

    False: it was rolled back for a member's sake; singly, the others may succeed. Where not
    even the transaction could begin, every member has got that error and True is returned.
    """
    try:
        if not begun:
            _begin(conn)
    except sqlite3.Error as error:
        for item in group:
            item.error = error
        return True
    item = group[0]
    try:
        if not begun:
            for item in group:
                item.result = item.work(conn)
        conn.execute("COMMIT")
    except BaseException as error:  # noqa: BLE001 - handed to the caller who waits for it
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        item.error = error
        return False
    return True


def _begin(conn: sqlite3.Connection) -> None:
    """Begin a transaction; another process may be writing, and has its time to end."""
    conn.execute(f"PRAGMA busy_timeout = {connect.BUSY_S * 1000:.0f}")
    try:
        conn.execute("BEGIN IMMEDIATE")
    finally:
        conn.execute("PRAGMA busy_timeout = 0")
