"""Which rules of a fault file have done all that they will ever do on a data folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from orchestrator.emulator.faults import Fault, Faults
from orchestrator.emulator.server import DATABASE


def used_up(faults: Faults, data: Path) -> list[str]:
    """The rules whose counts are used up, each as ``drop_after on submit (nth 3)``.

    Counts are kept in ``data`` as long as the folder lives. A rule that counts for each job by
    itself is never used up: there may be other jobs. Blocking.
    """
    database = data / DATABASE
    if not faults.rules or not database.exists():
        return []
    with closing(sqlite3.connect(database, timeout=5.0)) as db:
        # A start that was killed at once left no table.
        known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'fault_counts'").fetchone()
        return list(_spent(faults, db)) if known else []


def _spent(faults: Faults, db: sqlite3.Connection) -> Iterator[str]:
    counted = ((n, rule) for n, rule in enumerate(faults.rules) if rule.per != "job")
    for number, rule in counted:
        key = f"{number}:{rule.do}:"  # as `FaultPlan` names it
        rows = db.execute("SELECT seen, fired FROM fault_counts WHERE key = ?", (key,)).fetchall()
        for seen, fired in rows:
            if why := _bound(rule, seen, fired):
                yield f"{rule.do} on {', '.join(rule.on)} ({why})"


def _bound(rule: Fault, seen: int, fired: int) -> str:
    """The count that keeps the rule from firing again, "" if none does."""
    if rule.nth and seen >= max(rule.nth):
        return f"nth {', '.join(map(str, rule.nth))}"
    if rule.first is not None and seen >= rule.first:
        return f"first {rule.first}"
    return f"limit {rule.limit}" if rule.limit is not None and fired >= rule.limit else ""
