"""A quick, read-only look at the names in a state file, for completing them in a shell.

Nothing but the standard library, a short wait for locks, and no promise: whatever goes wrong,
there is simply nothing to suggest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

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


def batch_names(path: Path, start: str) -> list[str]:
    """Names of batches that begin with ``start``."""
    return _column(path, _BATCHES, (start, MOST))


def job_ids(path: Path, batch: str, start: str) -> list[str]:
    """Ids of a batch's jobs that begin with ``start``, in manifest order."""
    return _column(path, _JOBS, (batch, start, MOST))


def _column(path: Path, query: str, values: Sequence[object]) -> list[str]:
    if not path.is_file():
        return []
    try:
        with closing(_connect(path)) as conn:
            return [row[0] for row in conn.execute(query, values)]
    except sqlite3.Error:
        return []


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None)
