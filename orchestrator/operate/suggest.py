"""Names to complete in a shell: batches, and jobs as BATCH/ID. Quick, read-only, silent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.config import state_dir as folder_of
from orchestrator.operate.places import REHEARSALS, STATE_FILE
from orchestrator.store.glance import batch_names, job_ids


def suggest_batches(
    state_dir: Path | None, env: Mapping[str, str], *, rehearsal: bool | None, start: str
) -> list[str]:
    """Names of batches that begin with ``start``; ``rehearsal`` None: of both kinds."""
    found = [n for path in _files(state_dir, env, rehearsal) for n in batch_names(path, start)]
    return sorted(set(found))


def suggest_jobs(
    state_dir: Path | None, env: Mapping[str, str], *, rehearsal: bool | None, start: str
) -> list[str]:
    """BATCH/ID of jobs that begin with ``start``; while several batches do, only ``BATCH/``.

    ``rehearsal`` None: of both kinds, each name once.
    """
    batch, slash, job = start.partition("/")
    paths = _files(state_dir, env, rehearsal)
    if not slash:
        names = sorted({n for path in paths for n in batch_names(path, batch)})
        if len(names) != 1:
            return [f"{name}/" for name in names]
        batch = names[0]
    found = [f"{batch}/{name}" for path in paths for name in job_ids(path, batch, job)]
    return list(dict.fromkeys(found))


def _files(state_dir: Path | None, env: Mapping[str, str], rehearsal: bool | None) -> list[Path]:
    folder = folder_of(state_dir, env, None)
    real, rehearsed = folder / STATE_FILE, folder / REHEARSALS / STATE_FILE
    if rehearsal is None:
        return [real, rehearsed]
    return [rehearsed if rehearsal else real]
