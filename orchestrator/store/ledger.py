"""The part of the store that is about money and evidence: charges, costs, attempts in doubt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.model import AccountKey, AttemptKey, BatchKey, RunKey, TaskId
from orchestrator.store import charges as money
from orchestrator.store import money_queries as queries
from orchestrator.store import moves, rows
from orchestrator.store.access import Access, Connection
from orchestrator.store.base import Charge, Cost, Stranger, Unsettled
from orchestrator.store.queries import FIND_TASK

_LOG_READ_AT = "log_read_at"


class Ledger(Access):
    """See :class:`orchestrator.store.base.EngineStore` for every promise."""

    async def unsettled(self, account: AccountKey) -> list[Unsettled]:
        """Every attempt of unknown fate, oldest first.

        One whose request is still under way is among them, without a job: a charged task that
        nobody owns may be its own, until its answer is stored.
        """

        def look(conn: Connection) -> list[Unsettled]:
            found = conn.execute(queries.UNSETTLED, (account,)).fetchall()
            return [_unsettled(conn, row) for row in found]

        return await self._readers.run(look)

    async def uncharged_since(self, batch: BatchKey, after: float) -> float | None:
        """When the oldest attempt of unknown cost began."""
        found = await self._rows(queries.UNCHARGED_SINCE, batch, after)
        since: float | None = found[0][0]
        return since

    async def in_doubt_since(self, batch: BatchKey) -> float | None:
        """When the oldest attempt in doubt began."""
        since: float | None = (await self._rows(queries.IN_DOUBT_SINCE, batch))[0][0]
        return since

    async def owned(self, account: AccountKey, tasks: Sequence[TaskId]) -> set[TaskId]:
        """Those of ``tasks`` that an attempt of the account owns."""

        def look(conn: Connection) -> set[TaskId]:
            return {t for t in tasks if conn.execute(FIND_TASK, (account, t)).fetchone()}

        return await self._readers.run(look)

    async def remember_charges(self, account: AccountKey, charges: Sequence[Charge]) -> None:
        """Keep lines of the credit log.

        Of two lines for one task the one charged later stays, whatever order they come in; of
        two in the same second, the one that comes last. A line below zero takes a charge back:
        it counts as 0 and gives no budget more room than it had.
        """
        await self._writer.run(lambda conn: money.remember(conn, account, charges))

    async def unclaimed(self, account: AccountKey, since: float) -> list[Charge]:
        """Charges of tasks of which nothing is known."""
        return [rows.charge(row) for row in await self._rows(queries.UNCLAIMED, account, since)]

    async def remember_stranger(self, account: AccountKey, stranger: Stranger) -> None:
        """Keep what a query showed; a later answer for the same task replaces it."""
        files = (stranger.video_file_id, stranger.audio_file_id)
        what = (stranger.task_id, stranger.charged_at, *files)
        await self._write(queries.REMEMBER_STRANGER, account, *what)

    async def strangers(self, account: AccountKey, since: float) -> list[Stranger]:
        """Kept strangers that still no attempt owns, oldest first."""
        return [rows.stranger(row) for row in await self._rows(queries.STRANGERS, account, since)]

    async def log_read(self, account: AccountKey, now: float) -> None:
        """Remember when the credit log was read whole.

        The last word counts, also an earlier time: a clock that was wrong must not vouch for
        hours that nobody looked at.
        """
        await self._write(queries.SET_FACT, account, _LOG_READ_AT, now)

    async def log_read_at(self, account: AccountKey) -> float | None:
        """When the credit log was last read whole."""
        found = await self._glance(queries.FACT, account, _LOG_READ_AT)
        return float(found[0][0]) if found else None

    async def fact(self, account: AccountKey, key: str) -> Any:
        """What is remembered of the account; a text that is no JSON counts as nothing."""
        return _fact_of(await self._glance(queries.FACT, account, key))

    async def set_fact(self, account: AccountKey, key: str, value: Any) -> None:
        """Remember JSON values."""
        await self._write(queries.SET_FACT, account, key, rows.to_json(value))

    async def swap_fact(self, account: AccountKey, key: str, value: Any, was: Any) -> bool:
        """Remember JSON values, if ``was`` still stands there."""
        text = rows.to_json(value)

        def swap(conn: Connection) -> bool:
            if _fact_of(conn.execute(queries.FACT, (account, key)).fetchall()) != was:
                return False
            conn.execute(queries.SET_FACT, (account, key, text))
            return True

        return await self._writer.run(swap, brief=True)

    async def notice(self, account: AccountKey, token: str, task_id: TaskId, now: float) -> bool:
        """Keep a webhook's hint, once for each task; a forged token costs no write."""
        attempt = await self._attempt_of(account, token)
        if attempt is None:
            return False
        await self._write(queries.KEEP_NOTICE, attempt, task_id, now)
        return True

    async def _attempt_of(self, account: AccountKey, token: str) -> AttemptKey | None:
        found = await self._glance(queries.ATTEMPT_OF_TOKEN, account, token)
        return AttemptKey(found[0][0]) if found else None

    async def spent(self, batch: BatchKey, run: RunKey | None) -> float:
        """Credits counted for the batch, or for one run."""
        return await self._readers.run(lambda conn: money.spent(conn, batch, run))

    async def costs(self, account: AccountKey) -> list[Cost]:
        """Sums over charged attempts; a line of no credits (a refund) teaches nothing."""
        return [rows.cost(row) for row in await self._rows(queries.COSTS, account)]


def _fact_of(found: Sequence[rows.Row]) -> Any:
    """The value of a row of ``money_queries.FACT``, if there is one and it can be read."""
    try:
        return json.loads(found[0][0]) if found else None
    except (TypeError, ValueError):
        return None


def _unsettled(conn: Connection, row: rows.Row) -> Unsettled:
    """An unsettled attempt from a row of ``money_queries.UNSETTLED``."""
    *columns, batch, clock_offset_s, notice, job = row
    return Unsettled(
        attempt=rows.attempt(tuple(columns)),
        batch=batch,
        job=None if job is None else moves.load_job(conn, job),
        clock_offset_s=clock_offset_s,
        notice=notice,
    )
