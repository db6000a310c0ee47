"""Files of every released version become files of this one, and a fresh file is the same."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from orchestrator.errors import StoreError
from orchestrator.model import State
from orchestrator.store import migrations
from orchestrator.store.sqlite import open_store

RELEASED = sorted(Path(__file__).parent.glob("v*.sql"), key=lambda path: int(path.stem[1:]))
"""A dump of a store of each version, with rows in it; never edited."""
DOCUMENT = Path(__file__).parents[2] / "docs" / "state-store.md"

Schema = dict[tuple[str, str], str | None]


def load(dump: Path, database: Path) -> Path:
    with contextlib.closing(sqlite3.connect(database)) as conn:
        conn.executescript(dump.read_text(encoding="utf-8"))
    return database


def schema(database: Path) -> Schema:
    with contextlib.closing(sqlite3.connect(database)) as conn:
        rows = conn.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        versions = [
            conn.execute(f"PRAGMA {p}").fetchone()[0] for p in ("application_id", "user_version")
        ]
    return {(kind, name): sql for kind, name, sql in rows} | {("pragma", str(versions)): None}


async def fresh(database: Path) -> Path:
    await (await open_store(database)).close()
    return database


@pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)
async def test_a_migrated_schema_is_a_fresh_schema(dump: Path, tmp_path: Path) -> None:
    old = await fresh(load(dump, tmp_path / "old.db"))
    assert schema(old) == schema(await fresh(tmp_path / "fresh.db"))


@pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)
async def test_a_migrated_file_has_kept_its_jobs(dump: Path, tmp_path: Path) -> None:
    store = await open_store(load(dump, tmp_path / "old.db"))
    [batch] = await store.batches()
    assert await store.counts(batch.key) == dict.fromkeys(State, 1)
    watched = [(job.task_id, job.attempts) for job in await store.submitted(batch.key)]
    assert watched == [("task-job-submitted-1", 1), ("task-job-cancelled-1", 1)]
    assert await store.account("one") == batch.account
    await store.close()


@pytest.mark.parametrize("dump", RELEASED, ids=lambda path: path.stem)
async def test_a_migrated_file_has_kept_its_money_and_evidence(dump: Path, tmp_path: Path) -> None:
    store = await open_store(load(dump, tmp_path / "old.db"))
    [batch] = await store.batches()
    assert await store.spent(batch.key, None) == 6.0  # seven attempts at 1 credit, one failed
    in_doubt = [u for u in await store.unsettled(batch.account) if u.job is not None]
    assert [(u.notice, u.clock_offset_s) for u in in_doubt] == [("task-in-doubt", 0.5)]
    [stranger] = await store.strangers(batch.account, 0.0)
    assert (stranger.task_id, stranger.video_file_id) == ("somebody-elses", "file-x")
    [cost] = await store.costs(batch.account)
    assert (cost.mode, cost.audio_kind, cost.credits) == ("avatar1", "file", 1.0)
    assert await store.log_read_at(batch.account) == 1_700_000_003.0
    await store.close()


async def test_the_newest_dump_is_of_the_schema_that_is_made_today(tmp_path: Path) -> None:
    """A released migration must not be edited: add another one, and its dump."""
    newest = load(RELEASED[-1], tmp_path / "newest.db")
    assert schema(newest) == schema(await fresh(tmp_path / "fresh.db"))
    assert len(RELEASED) == migrations.SCHEMA_VERSION


async def test_version_and_names_are_those_of_the_migrations(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(await fresh(tmp_path / "fresh.db"))) as conn:
        assert conn.execute("PRAGMA user_version").fetchone() == (migrations.SCHEMA_VERSION,)
        applied = migrations.migrations.applied(Database(conn))
    assert {migration.name for migration in applied} == migrations.NAMES


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await fresh(tmp_path / "old.db")
    before = schema(database)
    later = Migrations("orchestrator")
    later()(migrations.create_everything)

    @later()
    def half_done(db: Database) -> None:
        db.execute("CREATE TABLE half (done TEXT)")
        raise StoreError("the second half is impossible")

    monkeypatch.setattr(migrations, "migrations", later)
    with pytest.raises(StoreError, match="impossible"):
        await open_store(database)
    assert schema(database) == before


async def test_every_view_and_table_is_documented_with_its_columns(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    with contextlib.closing(sqlite3.connect(await fresh(tmp_path / "fresh.db"))) as conn:
        db = Database(conn)
        missing = [
            f"{name}.{column.name}"
            for name in (*db.table_names(), *db.view_names())
            if not name.startswith(("_", "sqlite_"))
            for column in db[name].columns
            if f"`{column.name}`" not in section(text, name)
        ]
    assert missing == []


def section(text: str, name: str) -> str:
    """The part of the document under the heading of a table or view."""
    _, _, after = text.partition(f"### `{name}`")
    return after.partition("\n##")[0]


async def test_every_query_of_the_document_runs(tmp_path: Path) -> None:
    queries = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    store = await open_store(load(RELEASED[-1], tmp_path / "newest.db"))
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "newest.db")) as conn:
        found = [
            len(
                conn.execute(
                    q.replace("'hello'", "'job-done'").replace("spring-campaign", "spring")
                ).fetchall()
            )
            for q in queries
        ]
    assert len(found) == 6 and all(found)
