"""SQLite's errors, and what they mean for the person who reads them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from orchestrator.errors import ForeignStore, StoreError, StoreFull
from orchestrator.store.faults import translate

PATH = Path("/state/orchestrator.db")
IOERR_FSYNC = 1034
READONLY_DBMOVED = 1032


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (sqlite3.SQLITE_FULL, StoreFull, "make room"),
        (sqlite3.SQLITE_IOERR, StoreFull, "check the disk"),
        (IOERR_FSYNC, StoreFull, "check the disk"),
        (sqlite3.SQLITE_READONLY, StoreFull, "check owner and rights"),
        (READONLY_DBMOVED, StoreFull, "moved away"),
        (sqlite3.SQLITE_CANTOPEN, StoreFull, "cannot be opened"),
        (sqlite3.SQLITE_PERM, StoreFull, "rights"),
        (sqlite3.SQLITE_CORRUPT, ForeignStore, "Put a backup in its place"),
        (sqlite3.SQLITE_NOTADB, ForeignStore, "not a readable state store"),
        (sqlite3.SQLITE_BUSY, StoreError, "another program keeps this file locked"),
    ],
)
def test_an_error_names_the_file_and_the_way_out(code: int, kind: type, words: str) -> None:
    translated = translate(sqlite_error(code), PATH)
    assert type(translated) is kind
    assert str(translated).startswith(f"{PATH}: ") and words in str(translated)


def test_what_can_only_be_a_bug_is_not_dressed_up() -> None:
    bug = sqlite3.ProgrammingError("Cannot operate on a closed database.")
    assert translate(bug, PATH) is bug
