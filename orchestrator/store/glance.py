"""A quick, read-only look into a state file: names, for completing them in a shell, and prices.

Nothing but the standard library, a short wait for locks, and no promise: whatever goes wrong,
there is simply nothing to show.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

WAIT_S = 0.2
MOST = 200
"""More suggestions than these help nobody."""

_BATCHES = """
SELECT DISTINCT name FROM batches WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name LIMIT ?2
"""
_JOBS = """
SELECT DISTINCT j.job_id FROM jobs AS j JOIN batches AS b ON b.key = j.batch
WHERE b.name = ?1 AND substr(j.job_id, 1, length(?2)) = ?2 ORDER BY j.position, j.key LIMIT ?3
"""
_CHARGED = """
SELECT task_id, credits FROM charges
WHERE account = ?1 AND task_id IN (SELECT value FROM json_each(?2))
"""


def batch_names(path: Path, start: str) -> list[str]:
    """Names of batches that begin with ``start``."""
    return _column(path, _BATCHES, (start, MOST))


def job_ids(path: Path, batch: str, start: str) -> list[str]:
    """Ids of a batch's jobs that begin with ``start``, in manifest order."""
    return _column(path, _JOBS, (batch, start, MOST))


def charged(path: Path, account: int, tasks: Sequence[str]) -> dict[str, float]:
    """What the account's credit log says that these tasks cost; those that it names."""
    if not tasks:
        return {}
    found = _rows(path, _CHARGED, (account, json.dumps(list(tasks))))
    return {str(task): float(credits) for task, credits in found}


def _column(path: Path, query: str, values: Sequence[object]) -> list[str]:
    return [row[0] for row in _rows(path, query, values)]


def _rows(path: Path, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    if not path.is_file():
        return []
    try:
        with closing(_connect(path)) as conn:
            return conn.execute(query, values).fetchall()
    except sqlite3.Error:
        return []


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None)
