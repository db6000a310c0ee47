"""The programs on this machine: Python, the libraries, SQLite."""

from __future__ import annotations

import platform
import sqlite3
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

from orchestrator.doctor.findings import Check, fault, ok
from orchestrator.store.connect import OLDEST_SQLITE

OLDEST_PYTHON = (3, 11)
LIBRARIES: Mapping[str, str] = {
    "aiohttp": "aiohttp",
    "av": "PyAV",
    "sqlite-utils": "sqlite-utils",
    "pydantic": "pydantic",
    "PyYAML": "PyYAML",
    "typer": "typer",
    "rich": "rich",
    "aiofiles": "aiofiles",
}
"""What must be installed: distribution name, and how people call it."""
WAL_FIXES = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""First versions of each line without the WAL-reset fault (sqlite.org/wal.html#walresetbug)."""

Versions = Callable[[str], str | None]


def installed(name: str) -> str | None:
    """The version of an installed distribution, None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def machine_checks(versions: Versions = installed) -> list[Check]:
    """Everything about the programs that a run uses."""
    return [
        python_check(sys.version_info[:3]),
        libraries_check(versions),
        sqlite_check(sqlite3.sqlite_version_info),
    ]


def python_check(number: tuple[int, ...]) -> Check:
    """Whether this Python is new enough."""
    shown = ".".join(map(str, number))
    if number < OLDEST_PYTHON:
        return fault("python", f"Python {shown} is too old", "install Python 3.11 or newer")
    return ok("python", f"Python {shown} ({platform.system()} {platform.machine()})")


def libraries_check(versions: Versions) -> Check:
    """Which libraries are there, and which event loop runs them."""
    found = {name: versions(name) for name in LIBRARIES}
    missing = [LIBRARIES[name] for name, number in found.items() if number is None]
    if missing:
        return fault(
            "libraries",
            f"not installed: {', '.join(missing)}",
            "install the program again: pip install avatar-orchestrator",
        )
    shown = ", ".join(f"{LIBRARIES[name]} {number}" for name, number in found.items())
    loop = versions("uvloop")
    return ok("libraries", f"{shown}; event loop: {f'uvloop {loop}' if loop else 'asyncio'}")


def sqlite_check(number: tuple[int, ...]) -> Check:
    """Whether SQLite is new enough, and whether it has the WAL-reset fault (which harms no state
    of ours, see ``store.folder``)."""
    shown = ".".join(map(str, number))
    if number < OLDEST_SQLITE:
        return fault(
            "sqlite", f"SQLite {shown} is too old", "use a Python with SQLite 3.37 or newer"
        )
    if has_wal_fault(number):
        return ok(
            "sqlite",
            f"SQLite {shown} has the WAL-reset fault (mended in 3.51.3); this program is safe from "
            "it, since only one process checkpoints at a time, under a lock. Do not write to "
            "state.db with other tools",
        )
    return ok("sqlite", f"SQLite {shown}")


def has_wal_fault(number: tuple[int, ...]) -> bool:
    """Whether a version has the WAL-reset fault by its number; backports may have mended it."""
    if number >= WAL_FIXES[-1]:
        return False
    return not any(fix[:2] == number[:2] and number >= fix for fix in WAL_FIXES)
