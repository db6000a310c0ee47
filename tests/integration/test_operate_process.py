"""The operators' commands as they are typed: real processes, a real store, the real emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from operate_kit import ACCEPTED, E, Folder

MANIFEST = """
version: 1
batch: spring
output: out/{id}.mp4
limits: {submit_rate: 20/s, request_rate: 50/s, in_flight: 4}
doubt_horizon: 6m
defaults: {audio: {voice: VOICE}}
jobs:
  - {id: one, avatar: {public: "3327"}, audio: {text: "Welcome one."}}
  - {id: two, avatar: {public: "3327"}, audio: {text: "Welcome two."}}
"""
LOST = "faults: [{on: submit, do: drop_after, first: 2}]\n"


def orchestrator(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOPVIEW_", "ORCHESTRATOR_"))}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        cwd=folder,
        env=kept | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def document(ended: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(ended.stdout)


def test_two_lost_replies_are_explained_and_settled_without_paying_again(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(MANIFEST)
    (tmp_path / "faults.yaml").write_text(LOST)
    rehearse = ("run", "jobs.yaml", "--emulator", "--time-scale", "100")
    assert orchestrator(tmp_path, *rehearse, "--faults", "faults.yaml").returncode == 4

    why = document(orchestrator(tmp_path, "why", "one", "--emulator", "--json"))
    assert why["state"] == "in_doubt"
    assert "it is open which" in why["next"][1]
    adopt, resubmit = why["commands"][0]["command"], why["commands"][2]["command"]
    assert resubmit == "orchestrator resolve spring/one --resubmit --emulator"

    settled = orchestrator(tmp_path, *adopt.split()[1:], "--json")
    assert settled.returncode == 0, settled.stderr
    assert document(settled)["jobs"][0]["after"] == "submitted"

    assert orchestrator(tmp_path, *rehearse).returncode == 0
    jobs = document(orchestrator(tmp_path, "jobs", "--json"))["jobs"]
    assert {job["id"]: job["state"] for job in jobs} == {"one": "done", "two": "done"}
    assert [job["attempts"] for job in jobs] == [1, 1]
    assert len({job["task_id"] for job in jobs}) == 2


async def test_a_shell_completes_batches_and_jobs(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "state")
    for name in ("spring/de-1", "spring/de-2", "summer/en-1"):
        await folder.add(name)

    def names(*words: str) -> list[str]:
        line = ("orchestrator", *words)
        asked = {"COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(words))}
        ended = orchestrator(tmp_path, _ORCHESTRATOR_COMPLETE="complete_bash", **asked)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.split()

    assert names("status", "s") == ["spring", "summer"]
    assert names("jobs", "su") == ["summer"]
    assert names("why", "s") == ["spring/", "summer/"]
    assert names("why", "spr") == ["spring/de-1", "spring/de-2"]
    assert names("retry", "spring/de-2", "summer/e") == ["summer/en-1"]
    assert names("cancel", "--emulator", "s") == []
    assert names("resolve", "--state", "elsewhere", "s") == []


def test_the_scripts_for_three_shells_are_printed(tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        ended = orchestrator(tmp_path, _ORCHESTRATOR_COMPLETE=f"source_{shell}")
        assert f"_ORCHESTRATOR_COMPLETE=complete_{shell}" in ended.stdout


async def test_a_command_works_on_the_real_store_from_any_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    await folder.add("spring/hello", *ACCEPTED, E.TASK_FAILED)
    ended = orchestrator(tmp_path, "retry", "hello", "--state", "data")
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1] == (
        "next: orchestrator run jobs.yaml --state data    # goes on with it"
    )
    assert (await folder.job("spring/hello")).state == "ready"
