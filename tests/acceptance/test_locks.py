"""Several processes: one run a batch, and limits that all runs of an account share."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from batch_kit import AVATARS, QUICK, VOICE, Batch, Vendor, states, tone, vendor
from fault_kit import started, wait_for

WINDOW_S, CROWDED_WINDOW_S = 0.95, 0.75
"""Of an audit at the receiver: a second less 50 ms of jitter, or more where the machine has more
to do than it can, so that requests arrive late after they were sent in time."""


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    made = Batch(tmp_path / "batch")
    made.folder.mkdir()
    return made


def text_jobs(name: str, count: int) -> list[dict[str, Any]]:
    """Jobs with a text each, different from those of every other batch."""
    return [
        {
            "id": f"{name}-{i:02d}",
            "avatar": {"public": AVATARS[i % 2]},
            "audio": {"text": f"Text {i} of {name}.", "voice": VOICE},
        }
        for i in range(count)
    ]


def file_jobs(folder: Path, name: str, count: int, pitch: float) -> list[dict[str, Any]]:
    """The same with sounds."""
    jobs = []
    for i in range(count):
        tone(folder / "media" / f"{name}{i}.wav", 0.3, pitch + 7 * i)
        audio = {"file": f"media/{name}{i}.wav"}
        jobs.append({"id": f"{name}-{i:02d}", "avatar": {"public": "3327"}, "audio": audio})
    return jobs


def add(batch: Batch, name: str, jobs: list[dict[str, Any]], **limits: Any) -> Path:
    """Another manifest in the batch's folder, so that it shares the state folder."""
    path = batch.folder / f"{name}.yaml"
    document = {"version": 1, "batch": name, "limits": {**QUICK, **limits}, "jobs": jobs}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def running(batch: Batch, manifest: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    """`orchestrator run` of a manifest."""
    return started(batch, batch.command("run", str(manifest)))


def audit(there: Vendor) -> Mapping[str, Any]:
    crowded = os.getloadavg()[0] > (os.cpu_count() or 1)
    window_s = CROWDED_WINDOW_S if crowded else WINDOW_S
    address = f"{there.env['TOPVIEW_BASE_URL']}/_emulator/audit?window_s={window_s}"
    with urllib.request.urlopen(address) as reply:
        return dict(json.load(reply))


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_of_two_runs_of_one_batch_one_works_and_one_says_who_does(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(text_jobs("one", 8))
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        with running(batch, batch.manifest) as first, running(batch, batch.manifest) as second:
            shells = [first, second]
            ends = [shell.communicate(timeout=60) for shell in shells]
        codes = sorted(shell.returncode for shell in shells)
        assert codes == [0, 7], ends
        worker, refused = sorted(shells, key=lambda shell: shell.returncode)
        words = ends[shells.index(refused)][1]
        assert f"process {worker.pid} on " in words
        assert "orchestrator status trial" in words
        assert audit(there)["accepted"] == 8
    assert states(batch.status()) == {"done": 8}


@pytest.mark.slow
def test_a_stopped_run_that_keeps_the_store_busy_still_says_who_holds_the_batch(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(text_jobs("one", 4))
    with vendor(tmp_path / "vendor", render_mean_s=30.0) as there:
        batch.env = there.env
        with running(batch, batch.manifest) as first:
            wait_for(lambda: audit(there)["accepted"] >= 1)
            first.send_signal(signal.SIGSTOP)
            writing = sqlite3.connect(batch.state / "state.db", timeout=1, isolation_level=None)
            with closing(writing):
                with suppress(sqlite3.OperationalError):  # the stopped one is writing itself
                    writing.execute("BEGIN IMMEDIATE")
                refused = batch.run(timeout=20)
                first.send_signal(signal.SIGCONT)
    assert refused.returncode == 7, refused.stderr
    assert f"process {first.pid} on " in refused.stderr


@pytest.mark.slow
def test_five_shells_at_once_make_each_video_once(batch: Batch, tmp_path: Path) -> None:
    batch.write(text_jobs("many", 10))
    with vendor(tmp_path / "vendor", render_mean_s=1.0) as there:
        batch.env = there.env
        with ExitStack() as stack:
            shells = [stack.enter_context(running(batch, batch.manifest)) for _ in range(5)]
            ends = [shell.communicate(timeout=60) for shell in shells]
        codes = sorted(shell.returncode for shell in shells)
        assert codes[0] == 0 and set(codes) <= {0, 7}, ends
        seen = audit(there)
        assert (seen["accepted"], seen["duplicate_tasks"]) == (10, 0)


@pytest.mark.slow
def test_a_killed_run_holds_nothing_back(batch: Batch, tmp_path: Path) -> None:
    batch.write(text_jobs("killed", 6), doubt_horizon="3s")
    with vendor(tmp_path / "vendor", render_mean_s=6.0) as there:
        batch.env = there.env
        with running(batch, batch.manifest) as first:
            wait_for(lambda: audit(there)["accepted"] >= 2)
            assert batch.run().returncode == 7
            killed(first)
        again = batch.run()
        # Whoever was being submitted at that moment may have to stay in doubt.
        assert again.returncode in (0, 4), again.stderr
        assert "already being worked on" not in again.stderr
        assert audit(there)["duplicate_tasks"] == 0


@pytest.mark.slow
def test_two_batches_side_by_side_share_one_submit_rate(batch: Batch, tmp_path: Path) -> None:
    limits = {"submit_rate": "4/s", "request_rate": "40/s", "in_flight": 6}
    a = add(batch, "left", text_jobs("left", 10), **limits)
    b = add(batch, "right", text_jobs("right", 10), **limits)
    with vendor(tmp_path / "vendor", render_mean_s=0.3, slots=12) as there:
        batch.env = there.env
        with running(batch, a) as left, running(batch, b) as right:
            ends = [shell.communicate(timeout=90) for shell in (left, right)]
        assert (left.returncode, right.returncode) == (0, 0), ends
        seen = audit(there)
    assert (seen["accepted"], seen["duplicate_tasks"]) == (20, 0)
    assert seen["max_submits_in_window"] <= 4
    assert seen["max_requests_in_window"] <= 40
    assert seen["unfinished_peak"] <= 6


@pytest.mark.slow
def test_of_different_limits_the_lower_ones_hold(batch: Batch, tmp_path: Path) -> None:
    """The narrow batch is there first and ends last, so its limits hold all the time."""
    wide = {"submit_rate": "20/s", "request_rate": "100/s", "in_flight": 8}
    narrow = {"submit_rate": "4/s", "request_rate": "30/s", "in_flight": 2}
    a = add(batch, "wide", text_jobs("wide", 5), **wide)
    b = add(batch, "narrow", text_jobs("narrow", 80), **narrow)
    with vendor(tmp_path / "vendor", render_mean_s=0.2, slots=12) as there:
        batch.env = there.env
        with running(batch, b) as second:
            wait_for(lambda: audit(there)["accepted"] >= 1)
            with running(batch, a) as first:
                out, err = first.communicate(timeout=60)
            assert (first.returncode, second.poll()) == (0, None), out + err
            seen = audit(there)
    assert seen["max_submits_in_window"] <= 4
    assert seen["max_requests_in_window"] <= 30
    assert seen["unfinished_peak"] <= 2


@pytest.mark.slow
def test_a_neighbour_that_died_does_not_hold_its_slots_for_ever(
    batch: Batch, tmp_path: Path
) -> None:
    """Its tasks end at the vendor, but nobody asks about them: the living batch goes on."""
    limits = {"in_flight": 2}
    a = add(batch, "dead", text_jobs("dead", 2), **limits)
    b = add(batch, "living", text_jobs("living", 4), **limits)
    with vendor(tmp_path / "vendor", render_mean_s=1.0, slots=4) as there:
        batch.env = there.env
        with running(batch, a) as first:
            wait_for(lambda: audit(there)["accepted"] >= 2)
            time.sleep(0.3)
            killed(first)
        with running(batch, b) as second:
            out, err = second.communicate(timeout=60)
        assert second.returncode == 0, out + err
        seen = audit(there)
        assert (seen["accepted"], seen["duplicate_tasks"]) == (6, 0)
        assert seen["unfinished_peak"] <= 2
        again = batch.call("run", str(a))
        assert again.returncode in (0, 4), again.stderr
        assert audit(there)["accepted"] == 6


@pytest.mark.slow
def test_batches_side_by_side_upload_a_shared_file_for_both(batch: Batch, tmp_path: Path) -> None:
    """Each may upload it, when both begin at once; none uses the other's unchecked file."""
    shared = file_jobs(batch.folder, "s", 3, 300)
    a = add(batch, "here", shared)
    b = add(batch, "there", [{**job, "avatar": {"public": "9001"}} for job in shared])
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        with running(batch, a) as left, running(batch, b) as right:
            ends = [shell.communicate(timeout=60) for shell in (left, right)]
        assert (left.returncode, right.returncode) == (0, 0), ends
        seen = audit(there)
    assert (seen["accepted"], seen["duplicate_tasks"], seen["used_unchecked"]) == (6, 0, 0)
    assert seen["repeated_uploads"] <= 3
