"""The file of the SQLite store: its rights, its look from outside, and files that are not ours."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlite_utils
from store_kit import NOW, WIDE, event, make_world, new

from orchestrator.errors import ForeignStore, StoreError, StoreFull
from orchestrator.model import EventKind, State, TaskId
from orchestrator.store import migrations, money_queries
from orchestrator.store.sqlite import open_store

NOBODY = 65534


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "state" / "orchestrator.db"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_folder_and_files_are_private_to_their_owner(database: Path) -> None:
    store = await open_store(database)
    world = await make_world(store)
    await world.plan(new("job"))
    modes = {path.name: mode(path) for path in database.parent.iterdir()}
    await store.close()
    assert mode(database.parent) == 0o700
    assert modes == dict.fromkeys(
        [database.name, f"{database.name}-wal", f"{database.name}-shm", f"{database.name}.lock"],
        0o600,
    )


async def test_rights_that_somebody_added_are_taken_back(database: Path) -> None:
    await (await open_store(database)).close()
    database.chmod(0o644)
    store = await open_store(database)
    assert mode(database) == 0o600
    await store.close()


async def test_closing_folds_the_wal_into_one_file(database: Path) -> None:
    store = await open_store(database)
    world = await make_world(store)
    await world.plan(new("job"))
    await store.close()
    assert sorted(path.name for path in database.parent.iterdir()) == [
        database.name,
        f"{database.name}.lock",
    ]


async def test_closing_twice_is_harmless_and_a_closed_store_says_so(database: Path) -> None:
    store = await open_store(database)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.account("one")
    with pytest.raises(StoreError, match="is closed"):
        await store.batches()


async def test_a_store_opens_again_with_everything_in_it(database: Path) -> None:
    store = await open_store(database)
    job = await (await make_world(store)).reach("job", State.SUBMITTED)
    await store.close()
    store = await open_store(database)
    world = await make_world(store)
    assert await store.submitted(world.batch) == [job]
    await store.close()


async def test_two_stores_in_one_process_see_each_others_work(database: Path) -> None:
    first, second = await asyncio.gather(open_store(database), open_store(database))
    world = await make_world(first)
    job = await world.reach("job", State.READY)
    await first.close()
    claim = await second.claim(world.account, job, WIDE, "token", NOW)
    assert claim.refusal is None
    assert await second.counts(world.batch) == {State.SUBMITTING: 1}
    await second.close()


async def test_the_account_is_nowhere_in_the_file(database: Path) -> None:
    store = await open_store(database)
    await store.account("https://api.example|uid-of-somebody")
    await store.close()
    assert b"uid-of-somebody" not in database.read_bytes()


async def test_two_stores_hide_one_account_differently(tmp_path: Path) -> None:
    hashes = set()
    for name in ("a.db", "b.db"):
        store = await open_store(tmp_path / name)
        await store.account("one")
        await store.close()
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as conn:
            hashes.add(conn.execute("SELECT hash FROM accounts").fetchone()[0])
    assert len(hashes) == 2


def test_importing_the_store_does_not_load_sqlite_utils() -> None:
    code = "import sys, orchestrator.store.sqlite; sys.exit('sqlite_utils' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_the_views_read_well_with_sqlite_utils(database: Path) -> None:
    store = await open_store(database)
    world = await make_world(store)
    job = await world.reach("job", State.RENDERED)
    await store.move(job, event(EventKind.DOWNLOADED, bytes=12))
    await store.close()
    with contextlib.closing(sqlite3.connect(database)) as conn:
        db = sqlite_utils.Database(conn)
        [row] = db["v_jobs"].rows
        assert (row["batch"], row["job"], row["state"]) == ("spring", "job", "done")
        assert (row["task_id"], row["output_bytes"]) == ("task-job-1", 12)
        assert row["updated_at"] == "2023-11-14T22:13:20Z"
        [attempt] = db["v_attempts"].rows
        assert (attempt["verdict"], attempt["ended_as"]) == ("accepted", "task_succeeded")
        kinds = [row["kind"] for row in db.query("SELECT kind FROM v_events ORDER BY event_key")]
        assert kinds[0] == "assets_live" and kinds[-1] == "downloaded"
        [batch] = db["v_batches"].rows
        assert (batch["jobs"], batch["done"], batch["failed"]) == (1, 1, 0)


async def test_no_view_shows_a_webhook_token(database: Path) -> None:
    store = await open_store(database)
    world = await make_world(store)
    await world.reach("job", State.SUBMITTED)
    await store.notice(world.account, "token-job-1", TaskId("T"), NOW)
    await store.close()
    with contextlib.closing(sqlite3.connect(database)) as conn:
        for view in sqlite_utils.Database(conn).view_names():
            assert "token-job" not in str(conn.execute(f"SELECT * FROM {view}").fetchall())
        assert "token-job" in str(conn.execute("SELECT * FROM attempts").fetchall())


async def test_a_budget_is_summed_from_an_index_alone(database: Path) -> None:
    """A claim holds the write lock: it must not read a hundred thousand rows for its sums."""
    await (await open_store(database)).close()
    with contextlib.closing(sqlite3.connect(database)) as conn:
        for query, values in (
            (money_queries.SPENT_OF_BATCH, (1,)),
            (money_queries.SPENT_OF_RUN, (1, 1)),
            (money_queries.COSTS, (1,)),
        ):
            plan = [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {query}", values)]
            assert len(plan) == 1 and "USING COVERING INDEX" in plan[0]


async def test_what_was_spent_is_the_sum_of_the_column_that_people_see(database: Path) -> None:
    store = await open_store(database)
    world = await make_world(store)
    for state in State:
        await world.reach(f"job-{state}", state)
        await world.reach(f"charged-{state}", state)
        await world.charge(f"task-charged-{state}-1", 0.25)
    spent = await store.spent(world.batch, None)
    with contextlib.closing(sqlite3.connect(database)) as conn:
        by_hand = [
            conn.execute(f"SELECT sum(cost) FROM {view}").fetchone()
            for view in ("v_attempts", "v_jobs")
        ]
    await store.close()
    assert by_hand == [(spent,), (spent,)] and spent > 0


async def test_the_credit_log_reads_well_with_its_owners(database: Path) -> None:
    store = await open_store(database)
    world = await make_world(store)
    await world.reach("job", State.SUBMITTED)
    await world.charge("task-job-1", 1.5)
    await world.charge("of another tool", 4.0, at=NOW + 60)
    await store.close()
    found = list(sqlite_utils.Database(database).query("SELECT * FROM v_charges"))
    seen = [(row["task_id"], row["credits"], row["job"], row["attempt"]) for row in found]
    assert seen == [("task-job-1", 1.5, "job", 1), ("of another tool", 4.0, None, None)]
    assert found[0]["charged_at"] == "2023-11-14T22:13:20Z"


# --- files that are not ours


async def refused(path: Path, because: str, error: type[StoreError] = ForeignStore) -> None:
    """Opening fails with words that name the file and the way out, and touches nothing."""
    before = path.read_bytes()
    with pytest.raises(error, match=because) as caught:
        await open_store(path)
    assert str(path) in str(caught.value)
    assert "left as it" in str(caught.value) and "--state" in str(caught.value)
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.db"
    path.write_text("version: 1\nbatch: spring\n" * 200)
    await refused(path, "not a readable state store")


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.db"
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE bookmarks (url TEXT)")
        conn.commit()
    await refused(path, "belongs to another program")


async def test_a_truncated_store_is_refused(database: Path) -> None:
    await (await open_store(database)).close()
    os.truncate(database, database.stat().st_size - 4096)
    await refused(database, "not a readable state store")


async def test_a_store_with_garbage_in_it_is_refused(database: Path) -> None:
    await (await open_store(database)).close()
    whole = database.read_bytes()
    database.write_bytes(whole[:100] + b"\xff" * 3996 + whole[4096:])
    await refused(database, "not a readable state store")


async def test_damage_that_shows_only_later_names_the_file(database: Path) -> None:
    store = await open_store(database)
    world = await make_world(store)
    await world.plan(*(new(f"job-{n}", "x" * 300) for n in range(300)))
    await store.close()
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))
    store = await open_store(database)
    with pytest.raises(ForeignStore, match="not a readable state store"):
        await store.known(world.batch)
    await store.close()


async def test_a_store_of_a_newer_schema_is_refused(database: Path) -> None:
    await (await open_store(database)).close()
    with contextlib.closing(sqlite3.connect(database)) as conn:
        conn.execute(f"PRAGMA user_version = {migrations.SCHEMA_VERSION + 1}")
    await refused(database, "newer version .*update the program")


async def test_a_store_with_an_unknown_migration_is_refused(database: Path) -> None:
    await (await open_store(database)).close()
    with contextlib.closing(sqlite3.connect(database)) as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('orchestrator', 'later')"
        )
        conn.commit()
    await refused(database, "newer version")


async def test_a_newer_schema_that_is_still_in_the_wal_is_seen(database: Path) -> None:
    await (await open_store(database)).close()
    newer = sqlite3.connect(database)
    newer.execute("PRAGMA user_version = 99")
    await refused(database, "newer version")
    newer.close()


async def test_no_other_file_appears_beside_a_foreign_one_but_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.db"
    path.write_text("not a database " * 400)
    with pytest.raises(ForeignStore):
        await open_store(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, f"{path.name}.lock"]


async def test_a_store_cut_off_while_it_was_made_is_made_anew(database: Path) -> None:
    database.parent.mkdir()
    database.touch()
    database.with_name(database.name + ".new").write_bytes(b"half")
    store = await open_store(database)
    assert await store.batches() == []
    await store.close()
    assert not database.with_name(database.name + ".new").exists()


# --- folders that cannot be used


async def test_a_missing_store_is_not_made_for_a_reader(database: Path) -> None:
    with pytest.raises(StoreError, match=r"orchestrator\.db: there is no state store.*--state"):
        await open_store(database, create=False)
    assert not database.parent.exists()


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"the state folder cannot be made.*--state"):
        await open_store(tmp_path / "file" / "state" / "orchestrator.db")


@contextlib.contextmanager
def an_ordinary_user(*owned: Path) -> Iterator[None]:
    """The superuser may write everywhere, so the test goes on as somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    for path in owned:
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others can reach too."""
    folder = Path(tempfile.mkdtemp(prefix="store-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


async def test_a_folder_that_cannot_be_written_is_said(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with (
        an_ordinary_user(open_folder),
        pytest.raises(StoreError, match=r"cannot be written .*check its owner"),
    ):
        await open_store(open_folder / "orchestrator.db")


async def test_a_file_that_cannot_be_written_is_said(open_folder: Path) -> None:
    database = open_folder / "orchestrator.db"
    await (await open_store(database)).close()
    database.chmod(0o400)
    owned = (open_folder, database, database.with_name(database.name + ".lock"))
    with (
        an_ordinary_user(*owned),
        pytest.raises(
            StoreFull, match=r"orchestrator\.db: the state store cannot be written; check"
        ),
    ):
        await open_store(database)
