"""What the benchmarks share: the emulator in a process of its own, batches, children, the table.

A benchmark prints words as it goes and ends with :func:`report`: rows of *what, target, measured,
how*. ``scripts/bench`` collects them into ``docs/performance.md``.
"""

from __future__ import annotations

import json
import os
import random
import resource
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROWS_FILE = "BENCH_ROWS"
"""The environment variable that names the file to which :func:`report` adds its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. ``met`` None: there is no target to meet, only a figure."""

    what: str
    target: str
    measured: str
    how: str
    met: bool | None = None


def report(rows: Sequence[Row]) -> None:
    """Print the rows, and hand them to ``scripts/bench`` if it asked for them."""
    for row in rows:
        verdict = "" if row.met is None else ("  met" if row.met else "  NOT MET")
        print(f"{row.what}: {row.measured} (target {row.target}){verdict}", flush=True)
    if (name := os.environ.get(ROWS_FILE)) is None:
        return
    with Path(name).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row)) + "\n" for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """An emulator in a process of its own; ``env`` is what a client needs to find it."""

    process: subprocess.Popen[str]
    env: dict[str, str]

    def audit(self, window_s: float = 1.0) -> dict[str, Any]:
        """What it saw."""
        url = f"{self.env['TOPVIEW_BASE_URL']}/_emulator/audit?window_s={window_s}"
        with urllib.request.urlopen(url) as reply:
            return dict(json.load(reply))


@contextmanager
def emulator(data: Path, **config: Any) -> Iterator[Vendor]:
    """Run the emulator with these settings; renders of 0 s and a large balance unless told."""
    settings = {"render": "zero", "balance": 1e9, **config}
    command = [sys.executable, "-m", "orchestrator.emulator", "--data", str(data)]
    process = subprocess.Popen(
        [*command, "--config", json.dumps(settings)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the emulator did not start: exit code {process.wait()}")
        yield Vendor(process=process, env=json.loads(line))
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def free_port() -> int:
    """A port that nobody listens at, now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def busy_share(data: Path, slots: int) -> float:
    """Slot use of a run against an emulator that has ended: rendering time / (slots x time), from
    the first to the last accepted submit. ``data``: its folder."""
    with closing(_database(data)) as db:
        tasks = db.execute("SELECT submitted_at, start_at, end_at FROM tasks").fetchall()
    first, last = min(t[0] for t in tasks), max(t[0] for t in tasks)
    rendering = sum(max(0.0, min(end, last) - max(start, first)) for _, start, end in tasks)
    return float(rendering / (slots * (last - first)))


def call_times(data: Path, endpoint: str, code: str = "200") -> list[float]:
    """When the calls arrived that an emulator, which has ended, answered so; in order."""
    query = "SELECT at FROM calls WHERE endpoint = ? AND code = ? ORDER BY at"
    with closing(_database(data)) as db:
        return [row[0] for row in db.execute(query, (endpoint, code))]


def _database(data: Path) -> sqlite3.Connection:
    path = data / "emulator.sqlite3"
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one measurement, gone afterwards. On the disk of ``TMPDIR``."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield Path(name)


def sound(path: Path, number: int, seconds: float = 0.05) -> Path:
    """A small sound file whose bytes depend on its number."""
    samples = random.Random(number).randbytes(int(8000 * seconds))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(samples)
    return path


def spoken_jobs(folder: Path, count: int, first: int = 0) -> list[dict[str, Any]]:
    """Jobs with one upload each: a public avatar speaks a sound file of the job's own."""
    return [
        {
            "id": f"job-{i:06d}",
            "avatar": {"public": "3327"},
            "audio": {"file": sound(folder / f"{i:06d}.wav", i).name},
        }
        for i in range(first, first + count)
    ]


def told_jobs(count: int) -> list[dict[str, Any]]:
    """Jobs without uploads: a public avatar speaks a text. The texts are few, so that the vendor
    is not busy with making videos."""
    return [
        {
            "id": f"job-{i:06d}",
            "avatar": {"public": "3327"},
            "audio": {"text": f"This is text number {i % 8}."},
        }
        for i in range(count)
    ]


def paired_jobs(folder: Path, count: int, sounds: int = 20) -> list[dict[str, Any]]:
    """Jobs that share a few uploads, as those of a real batch do."""
    names = [sound(folder / f"{i:03d}.wav", i).name for i in range(sounds)]
    return [
        {
            "id": f"job-{i:06d}",
            "avatar": {"public": "3327"},
            "audio": {"file": names[i % sounds]},
        }
        for i in range(count)
    ]


def write_manifest(
    folder: Path, jobs: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], **keys: Any
) -> Path:
    """A manifest in the folder. JSON is YAML, and quick to write."""
    path = folder / "jobs.yaml"
    head = {"version": 1, "batch": "bench", "limits": limits}
    document = {**head, **keys, "jobs": list(jobs)}
    path.write_text(json.dumps(document, indent=0), encoding="utf-8")
    return path


def child(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run ``python -m MODULE ARGUMENTS`` and return the JSON object of its last line."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOPVIEW", "ORCHESTRATOR"))}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**kept, **(env or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def cpu_s() -> float:
    """User and system time of this process so far, all its threads, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def loop_factory(name: str) -> Any:
    """What ``asyncio.Runner`` takes: "asyncio" or "uvloop"."""
    if name == "asyncio":
        return None
    import uvloop

    return uvloop.new_event_loop


def say(words: str) -> None:
    """Tell how far it is."""
    print(f"[{time.strftime('%H:%M:%S')}] {words}", file=sys.stderr, flush=True)


def per_job(ms: float) -> str:
    """Milliseconds for people."""
    return f"{ms:.2f} ms"
