"""A batch on disk, the real command in a process of its own, and the emulator in another.

Everything is real: processes, sockets, SQLite files, signals. Only the vendor is the emulator.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.request
import wave
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import sin
from pathlib import Path
from typing import Any

import av
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples" / "media"
QUICK = {
    "submit_rate": "50/s",
    "request_rate": "200/s",
    "in_flight": 8,
    "poll_interval": "100ms",
}


@dataclass
class Vendor:
    """An emulator in a process of its own; it lives on when the orchestrator is killed."""

    process: subprocess.Popen[str]
    env: dict[str, str]

    def audit(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.env['TOPVIEW_BASE_URL']}/_emulator/audit") as reply:
            return dict(json.load(reply))


@contextmanager
def vendor(data: Path, faults: Any = None, **config: Any) -> Iterator[Vendor]:
    """Run the emulator; ``config`` are its settings (render times of 0.5 s unless told)."""
    settings = {"render": "constant", "render_mean_s": 0.5, "slots": 8, **config}
    command = [sys.executable, "-m", "orchestrator.emulator", "--data", str(data)]
    command += ["--config", json.dumps(settings)]
    if faults is not None:
        command += ["--faults-json", json.dumps(faults)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the emulator did not start: exit code {process.wait()}"
        yield Vendor(process, json.loads(line))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


@dataclass
class Batch:
    """A folder with a manifest, media, a state folder, and the ways to run it."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def manifest(self) -> Path:
        return self.folder / "jobs.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write(self, jobs: list[dict[str, Any]], **keys: Any) -> None:
        document = {"version": 1, "batch": "trial", "limits": QUICK, **keys, "jobs": jobs}
        self.manifest.write_text(yaml.safe_dump(document, sort_keys=False))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "orchestrator", *arguments]

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOPVIEW", "ORCH"))}
        return {**kept, **self.env}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`orchestrator run` of this manifest, not waited for."""
        return subprocess.Popen(
            self.command("run", str(self.manifest), *arguments),
            env=self.environment(),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def call(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            cwd=self.folder,
            text=True,
            capture_output=True,
            timeout=timeout,
        )

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return self.call("run", str(self.manifest), *arguments, timeout=timeout)

    def status(self, *arguments: str) -> dict[str, Any]:
        result = self.call("status", "trial", "--json", *arguments)
        assert result.returncode == 0, result.stderr
        return dict(json.loads(result.stdout))

    def rows(self, query: str, rehearsal: bool = False) -> list[tuple[Any, ...]]:
        path = self.state / ("emulator/state.db" if rehearsal else "state.db")
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def parts(self) -> list[Path]:
        return sorted(self.folder.rglob("*.part"))


def tone(path: Path, seconds: float, pitch: float) -> Path:
    """A sound file whose bytes depend on its pitch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (int(8000 * sin(i * pitch / 1273)) for i in range(int(8000 * seconds)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(s.to_bytes(2, "little", signed=True) for s in samples))
    return path


def seconds_of(path: Path) -> float:
    """How long a video lasts."""
    with av.open(str(path)) as container:
        assert container.streams.video, f"{path} has no picture"
        assert container.duration is not None
        return container.duration / 1e6


def states(status: Mapping[str, Any]) -> Counter[str]:
    return Counter(job["state"] for job in status["jobs"])


AVATARS = ["3327", "9001", *(str(n) for n in range(3400, 3440))]
"""Public avatars that the emulator knows."""
VOICE = "ExampleVoice0000000000000000Abcd"


def distinct_jobs(folder: Path, count: int, voices: int = 20) -> list[dict[str, Any]]:
    """Jobs of which no two ask for the same video, and how they share uploads.

    Every third speaks a text of its own on an avatar of the account; the others pair public
    avatars with `voices` sound files.
    """
    for i in range(voices):
        tone(folder / "media" / f"v{i}.wav", 0.4, 100 + 7 * i)
    jobs: list[dict[str, Any]] = []
    for i in range(count):
        if i % 3 == 0:
            avatar: dict[str, Any] = {"private": "9002"}
            audio: dict[str, Any] = {"text": f"This is text {i}.", "voice": VOICE}
        else:
            avatar = {"public": AVATARS[i // voices % len(AVATARS)]}
            audio = {"file": f"media/v{i % voices}.wav"}
        jobs.append({"id": f"job-{i:03d}", "avatar": avatar, "audio": audio})
    return jobs
