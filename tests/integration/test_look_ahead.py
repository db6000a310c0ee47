"""What is uploaded before a slot is free for it, at real sockets."""

from __future__ import annotations

import json
import sqlite3
import wave
from contextlib import closing
from itertools import accumulate
from pathlib import Path

import pytest
from emulator_support import running

from orchestrator import Orchestrator, RunOptions
from orchestrator.core import decide

FILE_BYTES = 20_000
LIMITS = {"submit_rate": "200/s", "request_rate": "1000/s", "poll_interval": "20ms", "in_flight": 1}


def write(folder: Path, count: int) -> Path:
    """A manifest of so many jobs, each with a sound file of its own."""
    jobs = []
    for number in range(count):
        with wave.open(str(folder / f"{number}.wav"), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(number.to_bytes(2, "little") * (FILE_BYTES // 2))
        audio = {"file": f"{number}.wav"}
        jobs.append({"id": f"j{number}", "avatar": {"public": "3327"}, "audio": audio})
    path = folder / "jobs.yaml"
    head = {"version": 1, "batch": "trial", "limits": LIMITS, "verify": "length"}
    path.write_text(json.dumps(head | {"jobs": jobs}))
    return path


async def most_ahead(folder: Path, count: int) -> int:
    """Run a batch in one slot: by how many files the uploads were ahead of the submits."""
    vendor = folder / "vendor"
    async with running(vendor, render="constant", render_mean_s=0.1, slots=1) as (emulator, _):
        manifest = write(folder, count)
        view = await Orchestrator(folder / "state", env=emulator.environment).run(
            manifest, RunOptions()
        )
        assert view.exit_code == 0
    with closing(sqlite3.connect(vendor / "emulator.sqlite3")) as db:
        calls = db.execute("SELECT endpoint FROM calls WHERE code = '200' ORDER BY id").fetchall()
    steps = {"credential": 1, "submit": -1}
    return max(accumulate(steps.get(endpoint, 0) for (endpoint,) in calls))


async def test_files_are_uploaded_ahead_as_far_as_their_bytes_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "AHEAD_BYTES", 3 * (FILE_BYTES + 100))
    assert 2 <= await most_ahead(tmp_path, 9) <= 4


async def test_small_files_are_uploaded_as_far_ahead_as_jobs_are(tmp_path: Path) -> None:
    assert await most_ahead(tmp_path, 9) >= 7
