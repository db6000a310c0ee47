"""The folder of a state store: made with the right modes, and locked for the rare moments.

The lock file beside the database is an OS lock (``flock``): it vanishes with its process, so it
never has to be deleted by hand, and never is. It is held while a store is made or upgraded and
while a WAL checkpoint runs, because older SQLite versions can lose data when two connections
checkpoint the same WAL at the same moment (sqlite.org/wal.html, "the WAL-reset bug").
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import StoreError

_PAUSE_S = 0.01
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


def lock_path(database: Path) -> Path:
    """Where the lock of a database lies."""
    return database.with_name(database.name + ".lock")


def companions(database: Path) -> tuple[Path, Path, Path]:
    """The database and the two files that SQLite keeps beside it."""
    return (
        database,
        database.with_name(database.name + "-wal"),
        database.with_name(database.name + "-shm"),
    )


def make_folder(folder: Path) -> None:
    """Make the folder, private to its owner, unless it is there.

    Raises:
        StoreError: it cannot be made, or something else has its name.
    """
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder}: the state folder cannot be made ({error.strerror}); "
            "name a folder that you may write with --state"
        ) from error


def make_private(database: Path) -> None:
    """Take all rights of group and others from our own files, whoever gave them."""
    for file in companions(database):
        with contextlib.suppress(FileNotFoundError):
            found = file.stat()
            if found.st_uid == os.geteuid() and found.st_mode & 0o077:
                file.chmod(_FILE_MODE)


def may_write(file: Path) -> bool:
    """Whether this process, as the user it acts for, may write the file."""
    return os.access(file, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def create_private(file: Path) -> None:
    """Make an empty file that only its owner can read. It must not exist."""
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(database: Path, *, patience_s: float) -> Iterator[bool]:
    """Hold the lock of a database's folder; yields whether it was got within ``patience_s``.

    Blocks the thread. Two stores in one process exclude each other too.

    Raises:
        StoreError: the lock file cannot be made or opened.
    """
    descriptor = _open_lock(lock_path(database))
    try:
        yield _acquire(descriptor, patience_s)
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, _FILE_MODE)
    except OSError as error:
        raise StoreError(
            f"{path}: the state folder cannot be written ({error.strerror}); check its owner and "
            "rights, or name another folder with --state"
        ) from error


def _acquire(descriptor: int, patience_s: float) -> bool:
    tries = 1 + int(patience_s / _PAUSE_S)
    for number in range(tries):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if number + 1 < tries:
                time.sleep(_PAUSE_S)
        else:
            return True
    return False
