"""What SQLite's errors mean for the person who runs the program."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from orchestrator.errors import ForeignStore, StoreError, StoreFull

_PRIMARY = 0xFF
"""The low byte of an extended result code is the primary one (sqlite.org/rescode.html)."""

_CANNOT_WRITE = {
    sqlite3.SQLITE_FULL: "no room is left on the disk; make room and run the same command again",
    sqlite3.SQLITE_IOERR: "the disk reported an input/output error; check the disk and its free "
    "space, then run the same command again",
    sqlite3.SQLITE_READONLY: "the file or its folder cannot be written (or the file was moved "
    "away); check owner and rights, then run the same command again",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check owner and rights of the file and "
    "its folder",
    sqlite3.SQLITE_PERM: "the rights of the file do not allow it; check its owner and rights",
}


def primary_code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code, None for an error that the Python module found itself."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def translate(error: sqlite3.Error, path: Path) -> Exception:
    """The project's exception for an SQLite error on the file ``path``.

    An error that can only be a bug of this program (a constraint, wrong SQL) is returned as is.
    """
    code = primary_code(error)
    if code in _CANNOT_WRITE:
        return StoreFull(f"{path}: not written ({error}): {_CANNOT_WRITE[code]}")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, str(error))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"{path}: another program keeps this file locked ({error}); end it and run again"
        )
    return error


def damaged(path: Path, clue: str) -> ForeignStore:
    """The file is no SQLite database, or a broken one."""
    return ForeignStore(
        f"{path}: not a readable state store ({clue}). The file was left as it is. Put a backup "
        "in its place, or name another folder with --state; do not start the same batch on an "
        "empty folder while tasks of it may be running at the vendor"
    )
