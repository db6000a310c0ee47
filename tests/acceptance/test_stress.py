"""State under stress: full disks, read-only folders, foreign files, readers, clocks that jump."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_kit import Batch, Vendor, states, tone, vendor
from fault_kit import Bench, Trial, short_clocks, started, wait_for

from orchestrator import session
from orchestrator.engine.clock import SystemClock

LINUX = sys.platform.startswith("linux")

HASTY = """
import sys
from orchestrator.engine import downloading, submitting
submitting.OUTCOME_PATIENCE_S = 2.0
downloading.DISK_FULL_PAUSE_S = 0.5
from orchestrator.cli.main import main
sys.exit(main())
"""
"""The command with less patience for a full disk."""


def file_jobs(folder: Path, count: int) -> list[dict[str, Any]]:
    """Jobs with a sound file each: what a lost reply made can be told by it."""
    jobs = []
    for i in range(count):
        tone(folder / "media" / f"v{i}.wav", 0.3, 100 + 7 * i)
        audio = {"file": f"media/v{i}.wav"}
        jobs.append({"id": f"job-{i:02d}", "avatar": {"public": "3327"}, "audio": audio})
    return jobs


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    made = Batch(tmp_path / "batch")
    made.folder.mkdir()
    return made


def hasty(batch: Batch) -> list[str]:
    return [sys.executable, "-c", HASTY, "run", str(batch.manifest)]


# A disk that is full.


def known_or_in_doubt(database: Path) -> tuple[int, int]:
    """Tasks that the store knows, and attempts whose outcome it does not know."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        row = connection.execute(
            "SELECT count(task_id), sum(task_id IS NULL AND coalesce(verdict, 'unknown')"
            " = 'unknown') FROM attempts"
        ).fetchone()
    return row[0], row[1]


def check_first(there: Vendor, code: int, words: str, database: Path) -> None:
    """It stopped for the store's sake, and no task is unknown to it without a doubt."""
    assert code == 9, words
    assert "state.db" in words and "run the same command again" in words
    known, in_doubt = known_or_in_doubt(database)
    accepted = there.audit()["accepted"]
    assert known <= accepted <= known + in_doubt


def check_second(there: Vendor, code: int, words: str, jobs: int) -> None:
    """The same command went on: everything is made, and nothing twice."""
    assert code == 0, words
    audit = there.audit()
    assert (audit["accepted"], audit["duplicate_tasks"]) == (jobs, 0)


@pytest.mark.slow
@pytest.mark.skipif(not LINUX, reason="sets a limit on another process")
def test_a_store_that_cannot_grow_stops_the_run_which_resumes(batch: Batch, tmp_path: Path) -> None:
    batch.write(file_jobs(batch.folder, 20), doubt_horizon="1m")
    with vendor(tmp_path / "vendor", render_mean_s=0.4) as there:
        batch.env = there.env
        with started(batch, hasty(batch)) as process:
            wait_for(lambda: there.audit()["accepted"] >= 4)
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, hard))
            out, err = process.communicate(timeout=60)
        check_first(there, process.returncode, out + err, batch.state / "state.db")
        again = batch.run()
        check_second(there, again.returncode, again.stderr, 20)


FULL_DISK = """
set -u
mount -t tmpfs -o size=4m tmpfs "$STATE" || exit 99
( while [ ! -e "$GO" ]; do sleep 0.05; done; cat /dev/zero > "$STATE/filler" ) 2>/dev/null &
"$@"
echo "first $?"
cp -a "$STATE" "$KEPT"
rm "$STATE/filler" "$KEPT/filler"
"$@"
echo "second $?"
cp -a "$STATE" "$KEPT.end"
"""


def namespaces_work() -> bool:
    """Whether this user may mount a small file system of his own."""
    unshare = shutil.which("unshare")
    if not LINUX or unshare is None:
        return False
    command = [unshare, "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not namespaces_work(), reason="needs a mount namespace")


@contextmanager
def in_namespace(
    script: str, batch: Batch, go: Path, **names: Path
) -> Iterator[subprocess.Popen[str]]:
    """A shell script where mounts are private; ``$@`` is the run of the batch. ``go`` is a file
    that the script waits for."""
    command = ["unshare", "-rm", "sh", "-c", script, "sh", *hasty(batch)]
    paths = {name: str(path) for name, path in {"GO": go, **names}.items()}
    batch.env = {**batch.env, **paths}
    try:
        with started(batch, command) as process:
            yield process
    finally:
        go.touch()


@pytest.mark.slow
@needs_mounts
def test_a_full_disk_under_the_store_stops_the_run_which_resumes(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(file_jobs(batch.folder, 20), doubt_horizon="1m")
    batch.state.mkdir()
    kept, go = tmp_path / "kept", tmp_path / "go"
    with vendor(tmp_path / "vendor", render_mean_s=0.4) as there:
        batch.env = there.env
        with in_namespace(FULL_DISK, batch, go, STATE=batch.state, KEPT=kept) as process:
            wait_for(lambda: there.audit()["accepted"] >= 4)
            accepted = there.audit()["accepted"]
            go.touch()
            out, err = process.communicate(timeout=120)
        codes = dict(line.split() for line in out.splitlines() if line[:6] in ("first ", "second"))
        assert accepted < 20, "the disk was full while there was work left"
        assert codes == {"first": "9", "second": "0"}, out + err
        assert "no room is left on the disk" in err
        known, in_doubt = known_or_in_doubt(kept / "state.db")
        assert accepted <= known + in_doubt
        check_second(there, int(codes["second"]), err, 20)


NO_ROOM = """
set -u
mount -t tmpfs -o size=8k tmpfs "$OUT" || exit 99
( while [ ! -e "$GO" ]; do sleep 0.05; done; mount -o remount,size=64m "$OUT" ) &
exec "$@"
"""


@pytest.mark.slow
@needs_mounts
def test_a_full_disk_stops_downloads_only_and_they_go_on_when_there_is_room(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(file_jobs(batch.folder, 6), output="out/{id}.mp4")
    out_folder, go = batch.folder / "out", tmp_path / "go"
    out_folder.mkdir()
    with vendor(tmp_path / "vendor", render_mean_s=0.2) as there:
        batch.env = there.env
        with in_namespace(NO_ROOM, batch, go, OUT=out_folder) as process:
            wait_for(lambda: states_of(batch)["rendered"] == 6)
            assert process.poll() is None
            go.touch()
            out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "downloads wait for the disk: There is no room for" in err
    assert states(batch.status()) == {"done": 6}


def states_of(batch: Batch) -> Mapping[str, int]:
    """Jobs by state, zero for the rest; the store may not be there yet."""
    counts = dict.fromkeys(("pending", "ready", "submitted", "rendered", "done"), 0)
    try:
        return {**counts, **dict(batch.rows("SELECT state, count(*) FROM jobs GROUP BY state"))}
    except sqlite3.OperationalError:
        return counts


# A folder that cannot be written.


def test_a_file_in_place_of_the_state_folder_is_refused_and_kept(batch: Batch) -> None:
    batch.write(file_jobs(batch.folder, 1))
    batch.state.write_text("not a folder")
    with vendor(batch.folder / "vendor") as there:
        batch.env = there.env
        run = batch.run()
        assert there.audit()["submits"] == 0
    assert run.returncode == 9
    assert str(batch.state) in run.stderr and "--state" in run.stderr
    assert batch.state.read_text() == "not a folder"


def give_up_privileges() -> None:
    """In the child: as root too, the rights of files hold from here on."""
    prctl_capbset_drop, dac_override, dac_read_search = 24, 1, 2
    libc = ctypes.CDLL(None)
    for capability in (dac_override, dac_read_search):
        libc.prctl(prctl_capbset_drop, capability, 0, 0, 0)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def rights_hold(folder: Path) -> bool:
    """Whether a child without privileges is kept from writing here."""
    probe = subprocess.run(
        ["touch", str(folder / "probe")], preexec_fn=give_up_privileges, capture_output=True
    )
    return probe.returncode != 0


@pytest.mark.skipif(not LINUX, reason="drops capabilities")
@pytest.mark.parametrize("known", [False, True], ids=["an empty folder", "a store"])
def test_a_read_only_state_folder_stops_a_run_before_anything_is_sent(
    batch: Batch, known: bool
) -> None:
    batch.write(file_jobs(batch.folder, 2))
    with vendor(batch.folder / "vendor") as there:
        batch.env = there.env
        if known:
            assert batch.run("--limit", "1").returncode == 0
        batch.state.mkdir(exist_ok=True)
        before, submits = prints(batch.state), there.audit()["submits"]
        with read_only(batch.state):
            if not rights_hold(batch.state):
                pytest.skip("this user may write everywhere")
            command = batch.command("run", str(batch.manifest))
            with started(batch, command, preexec_fn=give_up_privileges) as process:
                out, err = process.communicate(timeout=60)
        assert process.returncode == 9, out + err
        assert "cannot be written" in err and "--state" in err
        assert there.audit()["submits"] == submits
        assert prints(batch.state) == before


def prints(folder: Path) -> dict[str, str]:
    """Every file's hash; lock files hold nothing that counts."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "lock" not in str(path.relative_to(folder))
    }


# A file that is not ours.


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(40_000))


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.execute("INSERT INTO recipes VALUES ('soup')")


def cut_in_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def header_gone(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:100] = bytes(100)
    path.write_bytes(data)


def of_a_newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {found + 1000}")
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "SELECT migration_set, 'm9999_of_tomorrow', applied_at "
            "FROM _sqlite_migrations LIMIT 1"
        )


SPOILERS = [garbage, of_another_program, cut_in_half, header_gone, of_a_newer_version]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """A batch of one job that is done; its vendor is gone."""
    root = tmp_path_factory.mktemp("finished")
    made = Batch(root / "batch")
    made.folder.mkdir()
    made.write(file_jobs(made.folder, 1))
    with vendor(root / "vendor") as there:
        made.env = there.env
        assert made.run().returncode == 0
    return made


@pytest.mark.slow
@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__)
def test_a_foreign_or_broken_store_is_refused_and_left_as_it_is(
    finished: Batch, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    folder = put(finished.state / "state.db", tmp_path / "state")
    path = folder / "state.db"
    if spoil in (garbage, of_another_program):
        path.unlink()
    spoil(path)
    before = prints(folder)
    for arguments in (("run", str(finished.manifest)), ("status",), ("jobs", "--json")):
        refused = finished.call(*arguments, "--state", str(folder))
        assert refused.returncode == 9, (arguments, refused.stdout, refused.stderr)
        assert str(path) in refused.stderr and "--state" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert prints(folder) == before


# Others who read while a run writes.


def consistent(copy: Path) -> int:
    """Check a copy of the store; returns how many jobs had come further than their beginning."""
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        without_task = connection.execute(
            "SELECT j.job_id FROM jobs j LEFT JOIN attempts a ON a.key = j.attempt "
            "WHERE j.state IN ('submitted', 'rendered', 'done') AND a.task_id IS NULL"
        ).fetchall()
        assert without_task == [], "a state without its evidence"
        torn = connection.execute(
            "SELECT j.job_id, j.state, e.after FROM jobs j JOIN events e ON e.key = "
            "(SELECT max(key) FROM events WHERE job = j.key) WHERE e.after <> j.state"
        ).fetchall()
        assert torn == [], "a job whose state is not what its last event says"
        moved = connection.execute("SELECT count(*) FROM jobs WHERE state <> 'pending'")
        return int(moved.fetchone()[0])


@pytest.mark.slow
def test_copies_taken_during_a_run_are_consistent(batch: Batch, tmp_path: Path) -> None:
    batch.write(file_jobs(batch.folder, 30))
    seen: set[int] = set()
    copy = tmp_path / "copy.db"
    with vendor(tmp_path / "vendor", render_mean_s=0.3) as there:
        batch.env = there.env
        with started(batch, batch.command("run", str(batch.manifest))) as process:
            while process.poll() is None:
                time.sleep(0.1)
                if (batch.state / "state.db").exists():
                    back_up(batch.state / "state.db", copy)
                    seen.add(consistent(copy))
            out, err = process.communicate()
        assert process.returncode == 0, out + err
    assert len(seen) >= 5, f"copies at different moments, with so many jobs under way: {seen}"
    shown = subprocess.run(
        batch.command("status", "--json", "--state", str(put(copy, tmp_path / "restored"))),
        capture_output=True,
        text=True,
        env=batch.environment(),
    )
    assert shown.returncode == 0, shown.stderr


def back_up(path: Path, copy: Path) -> None:
    """As `.backup` of SQLite's shell does it, a few pages at a time."""
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target, pages=20)


def put(copy: Path, folder: Path) -> Path:
    folder.mkdir()
    shutil.copyfile(copy, folder / "state.db")
    return folder


@pytest.mark.slow
def test_a_reader_with_an_open_transaction_does_not_stop_the_run(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(file_jobs(batch.folder, 12))
    with vendor(tmp_path / "vendor", render_mean_s=0.2) as there:
        batch.env = there.env
        assert batch.run("--limit", "1").returncode == 0
        with closing(sqlite3.connect(batch.state / "state.db")) as reader:
            reader.execute("BEGIN")
            before = reader.execute("SELECT count(*) FROM events").fetchone()
            run = batch.run(timeout=60)
            assert run.returncode == 0, run.stderr
            assert reader.execute("SELECT count(*) FROM events").fetchone() == before
        assert there.audit()["accepted"] == 12
    assert states(batch.status()) == {"done": 12}


@pytest.mark.slow
def test_a_run_that_stood_still_for_a_while_goes_on(batch: Batch, tmp_path: Path) -> None:
    """A laptop's lid was closed."""
    batch.write(file_jobs(batch.folder, 10))
    with vendor(tmp_path / "vendor", render_mean_s=0.3) as there:
        batch.env = there.env
        with started(batch, batch.command("run", str(batch.manifest))) as process:
            wait_for(lambda: there.audit()["accepted"] >= 3)
            process.send_signal(signal.SIGSTOP)
            time.sleep(2.0)
            process.send_signal(signal.SIGCONT)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
        assert there.audit()["duplicate_tasks"] == 0


# A wall clock that jumps.


class Jumping(SystemClock):
    """The wall clock is wrong by an hour from time to time; the monotonic one never is."""

    plan: tuple[tuple[float, float], ...] = ()
    began = 0.0

    def wall(self) -> float:
        elapsed = self.monotonic() - self.began
        offsets = [by for at, by in self.plan if elapsed >= at]
        return super().wall() + (offsets[-1] if offsets else 0.0)


HOUR = 3600.0
PLANS = {
    "steady": (),
    "an hour ahead for good": ((0.4, HOUR),),
    "an hour back for good": ((0.4, -HOUR),),
    "ahead from the beginning": ((0.0, HOUR),),
    "back from the beginning": ((0.0, -HOUR),),
    "ahead for a moment": ((0.4, HOUR), (0.8, 0.0)),
    "back for a moment": ((0.4, -HOUR), (0.8, 0.0)),
    "to and fro": tuple((0.15 * n, (-HOUR, 0.0, HOUR)[n % 3]) for n in range(1, 60)),
}
LOSSES = (
    {"on": "submit", "do": "drop_after", "nth": [1, 4]},
    {"on": "submit", "do": "drop_before", "nth": [3]},
)
"""Two replies lost after the task was made, one request lost before."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "vendor_ahead_s"),
    [*((plan, 0.0) for plan in PLANS), ("steady", HOUR), ("steady", -HOUR)],
)
def test_a_wall_clock_that_jumps_changes_no_decision(
    plan: str, vendor_ahead_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SystemClock", Jumping)
    monkeypatch.setattr(Jumping, "plan", PLANS[plan])
    monkeypatch.setattr(Jumping, "began", time.monotonic())
    trial = Trial(
        files=4,
        texts=1,
        rules=LOSSES,
        keys={"doubt_horizon": "2s", "task_deadline": "2s", "on_doubt": "resubmit"},
        # One at a time: a text and another submit of the same second cannot be told apart.
        limits={"in_flight": 1},
        vendor={"clock_offset_s": vendor_ahead_s},
    )
    with short_clocks():
        seen = asyncio.run(run_twice(tmp_path, trial))
    assert seen == ("done done done done done", 0, 5, ())


async def run_twice(folder: Path, trial: Trial) -> tuple[str, int, int, tuple[str, ...]]:
    """A run, and another that finds nothing to do; what came of them."""
    bench = Bench(folder, replace(trial))
    async with bench.emulator, asyncio.timeout(60.0):
        await bench.run()
        seen = await bench.run()
    return seen.states, seen.exit_code, seen.tasks, seen.wrong
