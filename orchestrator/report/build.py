"""From rows to views. The only place that reads the store for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orchestrator.model import TERMINAL, State
from orchestrator.report.told import NOTHING, Told
from orchestrator.report.views import BatchView, JobView
from orchestrator.store.base import BatchRow, JobRow, RunRow

QUIET = frozenset({State.DONE, State.PENDING, State.READY, State.SUBMITTED, State.RENDERED})
"""States in which an old reason is history, not an error."""

GIVEN_UP = "operator:drop"
"""The reason of a job that somebody gave up in doubt."""


def job_view(row: JobRow) -> JobView:
    """One job for people. A reason counts as an error where the job stands because of it."""
    error = row.message or row.reason or None
    if row.state in QUIET and not row.overdue:
        error = None
    return JobView(
        id=row.job_id,
        state=row.state,
        task_id=row.task_id,
        output=row.output,
        attempts=row.attempts,
        credits=row.credits,
        error=error,
        overdue=row.overdue and row.state not in TERMINAL,
        orphan=row.orphan,
        tags=row.tags,
        given_up=row.state is State.FAILED and row.reason == GIVEN_UP,
    )


def batch_view(
    batch: BatchRow,
    rows: Sequence[JobRow],
    *,
    rehearsal: bool,
    running: str | None,
    last: RunRow | None,
    told: Told = NOTHING,
) -> BatchView:
    """One batch for people; orphans are counted apart. ``told``: what its last run was told."""
    jobs = tuple(job_view(row) for row in rows)
    counted = Counter(job.state for job in jobs if not job.orphan)
    costs = [job.credits for job in jobs if job.credits is not None]
    return BatchView(
        batch=batch.name,
        manifest=str(batch.manifest),
        rehearsal=rehearsal,
        counts={state: counted[state] for state in State if counted[state]},
        jobs=jobs,
        orphans=sum(job.orphan for job in jobs),
        overdue=sum(job.overdue for job in jobs if not job.orphan),
        credits=sum(costs) if costs else None,
        running=running,
        last_exit=None if last is None else last.exit_code,
        last_ended_at=None if last is None else last.ended_at,
        last_began_at=None if last is None else last.owner.started_at,
        left_out=told.left_out(rows),
        told=told,
    )
