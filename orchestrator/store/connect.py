"""Opening a state store: is it ours, is it of this version, and the connections to it.

A file that is not ours is looked at with connections that cannot change it. A new file is built
under another name and renamed when it is whole, so that a file with the final name is always a
complete store. Nothing here reads the database file except through SQLite: closing any other
descriptor of it would drop the locks that SQLite holds in this process (POSIX locks).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import ForeignStore, OrchestratorError, StoreError, StoreFull
from orchestrator.store import faults, folder

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables begin here."""
BUSY_S = 30.0
"""How long a writer waits for another process that writes."""
_OPENING_S = 60.0
_JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024


def open_writer(path: Path, *, create: bool) -> sqlite3.Connection:
    """The connection that writes, to a store of this version, made or upgraded if need be.

    The calling thread owns it. Transactions are the caller's: it sends BEGIN IMMEDIATE.

    Raises:
        ForeignStore: damaged, not ours, or of a newer version; left as it was.
        StoreFull: the file cannot be written.
        StoreError: it is missing and ``create`` is false, or the folder cannot be used.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old; this program needs 3.37 or newer"
        )
    with _translated(path):
        if not create and not path.exists():
            raise StoreError(
                f"{path}: there is no state store; start a batch first, or name its folder with "
                "--state"
            )
        folder.make_folder(path.parent)
        with folder.locked(path, patience_s=_OPENING_S) as held:
            if not held:
                raise StoreError(f"{path}: another process has kept this store busy for a minute")
            conn = _open_locked(path)
        folder.make_private(path)
        return conn


def _open_locked(path: Path) -> sqlite3.Connection:
    _inspect(path)
    if not path.exists() or path.stat().st_size == 0:
        _build(path)
    if not folder.may_write(path):
        # SQLite would open it all the same, and say so only at the first checkpoint.
        raise StoreFull(
            f"{path}: the state store cannot be written; check owner and rights of the file, or "
            "name another folder with --state"
        )
    return _open_and_migrate(path)


def open_reader(path: Path, *, patient: bool = True) -> sqlite3.Connection:
    """A connection that cannot write. It may be closed from another thread.

    ``patient``: it waits where another process has the file to itself for a moment.
    """
    with _translated(path):
        conn = _connect(path, "ro")
        conn.execute("PRAGMA query_only = ON")
        if not patient:
            conn.execute("PRAGMA busy_timeout = 0")
        return conn


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _set_up(conn: sqlite3.Connection, path: Path) -> None:
    mode = conn.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"{path}: SQLite cannot use write-ahead logging here (it says {mode!r}), as on network "
            "file systems; name a folder on a local disk with --state"
        )
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("PRAGMA fullfsync = ON")
    conn.execute("PRAGMA foreign_keys = ON")
    conn.execute("PRAGMA wal_autocheckpoint = 0")
    conn.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT_BYTES}")


def _migrate(conn: sqlite3.Connection, path: Path) -> None:
    """Apply what is missing, in a transaction that begins as a writer."""
    from sqlite_utils import Database

    from orchestrator.store.migrations import migrations

    conn.execute("BEGIN IMMEDIATE")
    try:
        _verify(conn, path)
        migrations.apply(Database(conn, recursive_triggers=False, execute_plugins=False))
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def _open_and_migrate(path: Path) -> sqlite3.Connection:
    conn = _connect(path, "rw")
    try:
        _set_up(conn, path)
        _migrate(conn, path)
    except BaseException:
        conn.close()
        raise
    return conn


def _build(path: Path) -> None:
    """Make a whole store under another name, then give it its own."""
    draft = path.with_name(path.name + ".new")
    for leftover in folder.companions(draft):
        leftover.unlink(missing_ok=True)
    folder.create_private(draft)
    _open_and_migrate(draft).close()
    draft.replace(path)
    folder.sync_folder(path.parent)


def _inspect(path: Path) -> None:
    """Refuse a file that is not ours, without changing a byte of it.

    With a WAL beside it the main file alone may be older, or half checkpointed by a process that
    was killed, so it is read together with the WAL; without one it is read as an immutable file,
    for which SQLite makes no other files.
    """
    if not path.exists():
        return
    wal = folder.companions(path)[1]
    mode = "ro" if wal.exists() and wal.stat().st_size else "ro&immutable=1"
    conn = _connect(path, mode)
    try:
        _verify(conn, path)
    finally:
        conn.close()


def _verify(conn: sqlite3.Connection, path: Path) -> None:
    from orchestrator.store.migrations import APPLICATION_ID, NAMES, SCHEMA_VERSION

    application = conn.execute("PRAGMA application_id").fetchone()[0]
    tables = {row[0] for row in conn.execute("SELECT name FROM sqlite_master")}
    if not tables and application in (0, APPLICATION_ID):
        return
    if application != APPLICATION_ID:
        raise ForeignStore(
            f"{path}: this SQLite file belongs to another program. It was left as it is; name "
            "another folder with --state"
        )
    version = conn.execute("PRAGMA user_version").fetchone()[0]
    unknown = _applied(conn, tables) - NAMES
    if version > SCHEMA_VERSION or unknown:
        raise ForeignStore(
            f"{path}: written by a newer version of this program (schema {version}, this one "
            f"knows {SCHEMA_VERSION}). It was left as it is; update the program, or name another "
            "folder with --state"
        )


def _applied(conn: sqlite3.Connection, tables: set[str]) -> set[str]:
    if "_sqlite_migrations" not in tables:
        return set()
    rows = conn.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = 'orchestrator'")
    return {row[0] for row in rows}


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OrchestratorError:
        raise
    except sqlite3.Error as error:
        raise faults.translate(error, path) from error
    except OSError as error:
        raise StoreError(
            f"{path}: the state store cannot be opened ({error.strerror}); check owner and rights "
            "of the folder, or name another one with --state"
        ) from error
