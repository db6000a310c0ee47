"""Killed at any moment, started again: nothing lost, nothing made twice."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from batch_kit import Batch, distinct_jobs, seconds_of, states, vendor

KILLS = 10
JOBS = 200


def kill_often(batch: Batch, kills: int, rng: random.Random, *arguments: str) -> int:
    """Start the run and kill it, again and again; returns how many kills hit a living process."""
    hits = 0
    for _ in range(kills):
        process = batch.start(*arguments)
        time.sleep(rng.uniform(0.5, 1.8))
        hits += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return hits


def check_all(batch: Batch, status: dict[str, object], jobs: int) -> None:
    """Every job is done with a whole video, or in doubt; no half file is left."""
    assert len(status["jobs"]) == jobs  # type: ignore[arg-type]
    found = states(status)
    assert found["done"] + found["in_doubt"] == jobs, found
    for job in status["jobs"]:  # type: ignore[attr-defined]
        if job["state"] == "done":
            assert seconds_of(Path(job["output"])) > 0.3
    assert batch.parts() == []


@pytest.mark.slow
def test_ten_kills_leave_one_task_a_job_and_every_video(tmp_path: Path) -> None:
    batch = Batch(tmp_path / "batch")
    batch.folder.mkdir()
    batch.write(distinct_jobs(batch.folder, JOBS), doubt_horizon="4s", task_deadline="4s")
    with vendor(tmp_path / "vendor", render_mean_s=0.4) as there:
        batch.env = there.env
        assert kill_often(batch, KILLS, random.Random(11)) >= KILLS - 1
        last = batch.run()
        status = batch.status()
        check_all(batch, status, JOBS)
        assert last.returncode == (4 if states(status)["in_doubt"] else 0), last.stderr
        audit = there.audit()
    assert audit["duplicate_tasks"] == 0
    assert audit["unfinished_peak"] <= 8
    assert audit["header_leaks"] == []
    assert len(audit["uploads"]) == 20
    assert audit["credentials"] <= 20 + 4 * KILLS, "only what a kill caught is uploaded again"


@pytest.mark.slow
def test_a_rehearsal_killed_with_its_emulator_goes_on(tmp_path: Path) -> None:
    batch = Batch(tmp_path / "batch")
    batch.folder.mkdir()
    batch.write(
        distinct_jobs(batch.folder, 60),
        doubt_horizon="1h",
        task_deadline="1h",
        limits={"submit_rate": "50/s", "request_rate": "200/s", "in_flight": 8},
    )
    arguments = ("--emulator", "--time-scale", "400")
    assert kill_often(batch, 5, random.Random(5), *arguments) >= 4
    last = batch.run(*arguments)
    status = batch.status("--emulator")
    check_all(batch, status, 60)
    assert last.returncode == (4 if states(status)["in_doubt"] else 0), last.stderr
    tasks = batch.rows(
        "SELECT count(DISTINCT task_id) FROM attempts WHERE task_id IS NOT NULL", True
    )
    assert tasks == [(states(status)["done"],)]


@pytest.mark.parametrize(
    ("send", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminate"]
)
def test_the_first_signal_drains_and_says_how_to_resume(
    tmp_path: Path, send: signal.Signals, code: int
) -> None:
    batch = Batch(tmp_path / "batch")
    batch.folder.mkdir()
    batch.write(distinct_jobs(batch.folder, 12))
    with vendor(tmp_path / "vendor", render_mean_s=2.0) as there:
        batch.env = there.env
        process = batch.start()
        wait_for(lambda: there.audit()["accepted"] >= 3)
        process.send_signal(send)
        out, err = process.communicate(timeout=40)
        assert process.returncode == code, err
        assert "orchestrator run" in out + err
        assert states(batch.status())["submitting"] == 0
        assert batch.run().returncode == 0
        assert there.audit()["duplicate_tasks"] == 0


def wait_for(fact: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Until the fact holds."""
    end = time.monotonic() + patience_s
    while not fact():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
