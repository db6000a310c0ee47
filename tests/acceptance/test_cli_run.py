"""The command as a user types it, against the embedded emulator and the real store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

JOBS = 4
MANIFEST = """
version: 1
batch: spring
output: out/{id}.mp4
limits: {submit_rate: 20/s, request_rate: 50/s, in_flight: 4}
defaults: {audio: {voice: VOICE}}
jobs:
"""
JOB = '  - {{id: job-{n}, avatar: {{public: "3327"}}, audio: {{text: "Welcome number {n}."}}}}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a manifest of a few jobs."""
    jobs = "".join(JOB.format(n=n) for n in range(JOBS))
    (tmp_path / "jobs.yaml").write_text(MANIFEST + jobs)
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator", *words]


def environment(**more: str) -> dict[str, str]:
    """This process's environment without any account."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOPVIEW_", "ORCHESTRATOR_"))}
    return kept | more


def orchestrator(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def document(ended: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(ended.stdout)


REHEARSE = ("run", "jobs.yaml", "--emulator", "--time-scale", "200")


def test_a_rehearsal_makes_every_video_and_a_second_one_has_nothing_to_do(folder: Path) -> None:
    first = orchestrator(folder, *REHEARSE, "--json")
    assert first.returncode == 0, first.stderr
    assert document(first)["counts"] == {"done": JOBS}
    outputs = [Path(job["output"]) for job in document(first)["jobs"]]
    assert outputs == [folder / "rehearsal" / "out" / f"job-{n}.mp4" for n in range(JOBS)]
    assert all(output.stat().st_size > 0 for output in outputs)

    again = orchestrator(folder, *REHEARSE)
    assert again.returncode == 0
    assert "nothing to do" in again.stdout.splitlines()[0]
    assert "\x1b" not in again.stdout + again.stderr

    assert document(orchestrator(folder, "status", "spring", "--json")) == document(first)
    listed = orchestrator(folder, "jobs", "--match", "job-1").stdout.splitlines()
    assert listed[1].split("\t")[:2] == ["job-1", "done"]
    plan = document(orchestrator(folder, "plan", "jobs.yaml", "--emulator", "--json"))
    assert (plan["counts"], plan["submits"]) == ({"keep": JOBS}, 0)


def test_an_interrupted_rehearsal_resumes_with_the_same_command(folder: Path) -> None:
    slow = ("run", "jobs.yaml", "--emulator", "--time-scale", "5")
    with subprocess.Popen(
        command(*slow), cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "run begins" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=40)
    assert process.returncode == 130, said
    assert "To go on later: orchestrator run jobs.yaml --emulator --time-scale 5" in said
    resumed = orchestrator(folder, *REHEARSE)
    assert resumed.returncode == 0, resumed.stderr


def test_reading_never_makes_a_state_folder(folder: Path) -> None:
    assert orchestrator(folder, "status").stdout == "no batches in state\n"
    assert document(orchestrator(folder, "jobs", "--json")) == {"jobs": []}
    assert orchestrator(folder, "plan", "jobs.yaml").returncode == 0
    assert not (folder / "state").exists()


def test_a_run_without_credentials_ends_8(folder: Path) -> None:
    ended = orchestrator(folder, "run", "jobs.yaml")
    assert ended.returncode == 8
    assert "TOPVIEW_" in ended.stderr


def test_a_wrong_manifest_ends_2_with_every_complaint(folder: Path) -> None:
    text = (folder / "jobs.yaml").read_text().replace("avatar:", "avatr:", 1)
    (folder / "jobs.yaml").write_text(text.replace("id: job-3", "id: job-2"))
    ended = orchestrator(folder, "validate", "jobs.yaml", "--json")
    assert ended.returncode == 2
    assert document(ended)["valid"] is False
    assert len(document(ended)["complaints"]) >= 2
    lines = orchestrator(folder, "run", "jobs.yaml").stderr.splitlines()
    assert lines[-1].endswith("complaints")
    assert all("jobs.yaml:" in line for line in lines[:-1])


@pytest.mark.parametrize("name", ["run", "plan", "validate"])
def test_a_manifest_that_does_not_exist_ends_2(folder: Path, name: str) -> None:
    ended = orchestrator(folder, name, "none.yaml")
    assert ended.returncode == 2
    assert "none.yaml" in ended.stderr + ended.stdout


def test_a_state_file_that_is_not_ours_ends_9(folder: Path) -> None:
    (folder / "state").mkdir()
    (folder / "state" / "state.db").write_bytes(b"something else entirely" * 100)
    ended = orchestrator(folder, "status", "--json")
    assert ended.returncode == 9
    assert document(ended)["error"]["code"] == 9


def test_schema_is_a_json_schema(folder: Path) -> None:
    assert "jobs" in document(orchestrator(folder, "schema"))["properties"]


def test_a_run_in_another_process_uses_the_emulator_that_runs_alone(folder: Path) -> None:
    with subprocess.Popen(
        command("emulator", "--data", "vendor", "--time-scale", "200", "--json"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "Ctrl-C ends it" not in process.stderr.readline():
            assert process.poll() is None
        assert process.stdout is not None
        text = ""
        while text.count("}") < 2:
            text += process.stdout.readline()
        ended = orchestrator(folder, "run", "jobs.yaml", "--only", "job-0", **_env(text))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert ended.returncode == 0, ended.stderr
    assert (folder / "out" / "job-0.mp4").stat().st_size > 0
    assert process.returncode == 0


def _env(text: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(text)["environment"]
    return found
