"""The doctor at a real store and a real vendor's door."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from emulator_support import running

from orchestrator.doctor.examine import examine
from orchestrator.doctor.findings import Check, Level, Report
from orchestrator.doctor.state import store_checks
from orchestrator.engine.lock import BatchLock
from orchestrator.store.base import Owner
from orchestrator.store.sqlite import open_store

KEY = "key-that-nobody-may-see"
MANIFEST = """
version: 1
batch: spring
output: out/{id}.mp4
jobs:
  - {id: one, avatar: {public: "3327"}, audio: {text: "Hello."}}
  - {id: two, avatar: {image: face.png}, audio: {text: "Hello.", voice: V}, mode: avatar2}
"""
OWNER = Owner(pid=os.getpid(), host="here", boot_id="b", started_at=1000.0)


def environment(base_url: str) -> dict[str, str]:
    return {"TOPVIEW_BASE_URL": base_url, "TOPVIEW_UID": "uid-1", "TOPVIEW_API_KEY": KEY}


def named(report: Report, name: str) -> list[Check]:
    return [check for check in report.checks if check.name == name]


async def make_store(folder: Path) -> None:
    """A store with a batch whose last run did not end."""
    store = await open_store(folder / "state.db")
    account = await store.account("someone")
    batch = await store.open_batch("spring", account, Path("/m/jobs.yaml"), 1000.0)
    await store.begin_run(batch.key, OWNER)
    await store.close()


async def test_a_sound_setting_has_no_fault(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(MANIFEST)
    (tmp_path / "face.png").write_bytes(b"a face")
    async with running(tmp_path / "vendor") as (emulator, _):
        report = await examine(
            tmp_path / "jobs.yaml", tmp_path / "state", env=environment(emulator.base_url)
        )
    assert [c for c in report.checks if c.level is not Level.OK] == []
    assert report.exit_code == 0
    names = [check.name for check in report.checks]
    assert names[:4] == ["python", "libraries", "sqlite", "credentials"]
    assert names[-6:] == ["manifest", "media", "limits", "disk", "outputs", "leftovers"]
    assert named(report, "manifest")[0].message == "batch spring, 2 jobs"
    assert not (tmp_path / "state").exists()


async def test_the_credentials_are_tried(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor", api_key="another") as (emulator, _):
        report = await examine(state=tmp_path, env=environment(emulator.base_url))
    assert named(report, "credentials")[0].level is Level.FAULT
    assert report.exit_code == 8
    assert KEY not in repr(report)


async def test_missing_credentials_end_with_eight(tmp_path: Path) -> None:
    report = await examine(state=tmp_path, env={})
    assert "TOPVIEW_API_KEY and TOPVIEW_UID are not set" in named(report, "credentials")[0].message
    assert report.exit_code == 8


async def test_a_vendor_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    report = await examine(state=tmp_path, env=environment("http://127.0.0.1:9"))
    assert named(report, "vendor")[0].level is Level.FAULT
    assert report.exit_code == 1


async def test_a_proxy_that_cannot_be_used_is_a_fault(tmp_path: Path) -> None:
    env = environment("https://api.example.invalid") | {"HTTPS_PROXY": "socks5://u:p@127.0.0.1:1"}
    report = await examine(state=tmp_path, env=env)
    assert "socks5 proxy" in named(report, "vendor")[0].message


async def test_a_clock_that_is_wrong_is_a_warning(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor") as (emulator, _):
        report = await examine(
            state=tmp_path,
            env=environment(emulator.base_url),
            wall=lambda: time.time() + 3600,
        )
    assert named(report, "clock")[0].level is Level.WARNING


async def test_a_wrong_manifest_is_a_fault_that_names_validate(tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"
    path.write_text(MANIFEST.replace("batch: spring", "batsch: spring"))
    report = await examine(path, tmp_path / "state", env={})
    (check,) = named(report, "manifest")
    assert check.level is Level.FAULT
    assert check.remedy == f"see them all with: orchestrator validate {path}"


async def test_a_whole_store_is_left_as_it_was(tmp_path: Path) -> None:
    await make_store(tmp_path)
    before = {f.name: (f.read_bytes(), f.stat().st_mtime_ns) for f in tmp_path.iterdir()}
    (check, *_) = store_checks(tmp_path, "state store")
    assert check.level is Level.OK
    assert "is whole" in check.message
    after = {f.name: (f.read_bytes(), f.stat().st_mtime_ns) for f in tmp_path.iterdir()}
    assert after == before


async def test_a_store_in_use_is_read_beside_its_writer(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state.db")
    await store.account("someone")
    (check, *_) = store_checks(tmp_path, "state store")
    await store.close()
    assert check.level is Level.OK


async def test_a_run_that_was_killed_is_named_with_what_to_do(tmp_path: Path) -> None:
    await make_store(tmp_path)
    runs = [c for c in store_checks(tmp_path, "state store") if c.name == "runs"]
    assert [c.level for c in runs] == [Level.WARNING]
    assert "batch spring" in runs[0].message
    assert "goes on" in runs[0].remedy


async def test_a_run_that_is_going_on_is_none_that_was_killed(tmp_path: Path) -> None:
    await make_store(tmp_path)
    with BatchLock(tmp_path / "locks" / "spring.1.lock", OWNER, "spring"):
        report = await examine(state=tmp_path, env={})
    assert named(report, "runs") == []
    assert named(report, "locks")[0].message == f"held: spring by process {os.getpid()} on here"


def test_a_store_left_by_a_killed_process_is_whole(tmp_path: Path) -> None:
    """Its last changes are still in the log beside it."""
    code = (
        "import asyncio, os, sys, signal\nfrom pathlib import Path\n"
        "from orchestrator.store.sqlite import open_store\n"
        "async def main():\n"
        "    store = await open_store(Path(sys.argv[1]))\n"
        "    await store.account('someone')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    path = tmp_path / "state.db"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert path.with_name("state.db-wal").stat().st_size > 0
    assert {c.level for c in store_checks(tmp_path, "state store")} == {Level.OK}


async def test_a_damaged_store_is_a_fault_that_says_to_keep_it(tmp_path: Path) -> None:
    await make_store(tmp_path)
    path = tmp_path / "state.db"
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    (check, *_) = store_checks(tmp_path, "state store")
    assert check.level is Level.FAULT
    assert "do not delete it" in check.remedy


async def test_a_store_of_a_newer_version_is_a_fault(tmp_path: Path) -> None:
    import sqlite3

    await make_store(tmp_path)
    conn = sqlite3.connect(tmp_path / "state.db")
    conn.execute("PRAGMA user_version = 999")
    conn.close()
    (check, *_) = store_checks(tmp_path, "state store")
    assert check.level is Level.FAULT
    assert "newer version" in check.message


async def test_a_store_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    await make_store(tmp_path)
    (tmp_path / "state.db").chmod(0o644)
    privacy = store_checks(tmp_path, "state store")[-1]
    assert privacy.level is Level.WARNING
    assert privacy.remedy.startswith("chmod 600")


async def test_rehearsals_are_looked_at_too(tmp_path: Path) -> None:
    await make_store(tmp_path / "emulator")
    report = await examine(state=tmp_path, env={})
    assert named(report, "rehearsals")[0].level is Level.OK


@pytest.mark.parametrize("videos", [0, 2])
async def test_videos_that_are_there_already_want_no_room(tmp_path: Path, videos: int) -> None:
    (tmp_path / "jobs.yaml").write_text(MANIFEST)
    (tmp_path / "out").mkdir()
    for name in ("one", "two")[:videos]:
        (tmp_path / "out" / f"{name}.mp4").write_bytes(b"x")
    report = await examine(tmp_path / "jobs.yaml", tmp_path / "state", env={})
    assert ("2 videos" in named(report, "disk")[0].message) is (videos == 0)
