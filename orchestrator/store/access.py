"""The two ways to the file: the writer, and the readers."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from orchestrator.model import Job
from orchestrator.store import rows
from orchestrator.store.readers import Readers
from orchestrator.store.writer import Writer

Connection = sqlite3.Connection


class Access:
    """What every part of the store is built on."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def close(self) -> None:
        """Write what is queued, close all connections, fold the WAL. Twice is harmless."""
        await self._readers.close()
        await self._writer.close()

    async def _rows(self, query: str, *values: object) -> list[rows.Row]:
        return await self._readers.run(lambda conn: conn.execute(query, values).fetchall())

    async def _glance(self, query: str, *values: object) -> list[rows.Row]:
        """The rows of a query that an index serves, and that finds few."""
        return await self._readers.glance(lambda conn: conn.execute(query, values).fetchall())

    async def _jobs(self, query: str, *values: object) -> list[Job]:
        def look(conn: Connection) -> list[Job]:
            return [rows.job(row) for row in conn.execute(query, values)]

        return await self._readers.run(look)

    async def _write(self, statement: str, *values: object) -> None:
        """Write one row."""
        await self._writer.run(lambda conn: conn.execute(statement, values) and None, brief=True)

    async def _write_many(self, statement: str, values: Sequence[tuple[object, ...]]) -> None:
        def work(conn: Connection) -> None:
            conn.executemany(statement, values)

        await self._writer.run(work)

    async def _write_one(self, statement: str, *values: object) -> rows.Row:
        """Run a statement with RETURNING; its one row."""

        def work(conn: Connection) -> rows.Row:
            found: list[rows.Row] = conn.execute(statement, values).fetchall()
            return found[0]

        return await self._writer.run(work)
