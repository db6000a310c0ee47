"""What attempts cost: the credit log's lines, and the sums that budgets are checked against.

Like ``moves`` these are functions of the writer's connection, inside its transaction. The log
decides: what a query said of a task's price gives way to it, in whichever order they come.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from orchestrator.model import AccountKey, AttemptKey, BatchKey, JobKey, RunKey
from orchestrator.store import money_queries as queries
from orchestrator.store.base import Charge, Purse

ROUNDING_CREDITS = 1e-6
"""Sums of prices such as 0.1 are not exact: a budget is exceeded only by more than this."""


def covers(conn: sqlite3.Connection, job: JobKey, purse: Purse) -> bool:
    """Whether both limits have room for what is expected of one more submit of the job."""
    limits = ((None, purse.batch_limit), (purse.run, purse.run_limit))
    asked = [(run, limit) for run, limit in limits if limit is not None]
    if not asked:
        return True
    batch = conn.execute(queries.BATCH_OF_JOB, (job,)).fetchone()[0]
    return all(
        spent(conn, batch, run) + purse.expected <= limit + ROUNDING_CREDITS for run, limit in asked
    )


def spent(conn: sqlite3.Connection, batch: BatchKey, run: RunKey | None) -> float:
    """Credits counted for the batch, or only for the attempts of one run of it."""
    if run is None:
        row = conn.execute(queries.SPENT_OF_BATCH, (batch,)).fetchone()
    else:
        row = conn.execute(queries.SPENT_OF_RUN, (batch, run)).fetchone()
    return float(row[0])


def remember(conn: sqlite3.Connection, account: AccountKey, charges: Sequence[Charge]) -> None:
    """Keep lines of the log, and give each owned task's cost to its attempt and job."""
    lines = [(account, c.task_id, c.credits, c.charged_at) for c in charges]
    conn.executemany(queries.REMEMBER_CHARGE, lines)
    for charge in charges:
        _charge_task(conn, account, charge.task_id)


def note_task(conn: sqlite3.Connection, attempt: AttemptKey) -> None:
    """An attempt has just got its task: give it the charge that was read before, if any."""
    row = conn.execute(queries.CHARGE_OF_ATTEMPT, (attempt,)).fetchone()
    if row is not None:
        _charge_task(conn, *row)


def note_statement(
    conn: sqlite3.Connection, job: JobKey, attempt: AttemptKey | None, credits: float
) -> None:
    """The vendor said what the attempt's task cost; a charge in its log knows better.

    The job's cost is the sum over its attempts.
    """
    if attempt is not None:
        conn.execute(queries.STATED_CREDITS, (credits, attempt))
    conn.execute(queries.JOB_CREDITS, (credits, job))


def _charge_task(conn: sqlite3.Connection, account: AccountKey, task_id: str) -> None:
    owners = conn.execute(queries.CHARGE_TASK, (account, task_id)).fetchall()
    for (job,) in owners:
        conn.execute(queries.JOB_CREDITS, (None, job))
