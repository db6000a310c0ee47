"""What a batch of 100,000 jobs costs before its first request: new, and half done.

    python -m bench.big [--jobs 100000]

Each measurement is a process of its own, killed at its first submit. Memory is the peak of its
resident set as the kernel counts it (VmHWM), imports and all. A tap in front of the emulator
notes when the first request passes, and when the first submit does. What is half done goes on from
what the run before it has remembered of the manifest.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.common import ROOT, Row, emulator, report, say, scratch, sound

ORCHESTRATOR = (sys.executable, "-m", "orchestrator")
SUBMIT = b"POST /v1/video_avatar/task/submit"
PATIENCE_S = 120.0
FILE_BYTES = 4096
LIMITS = "{submit_rate: 50/s, request_rate: 100/s, in_flight: 8}"


@dataclass(slots=True)
class Tap:
    """What passed on the way to the emulator, in seconds of the monotonic clock."""

    first_request_at: float | None = None
    submitted: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        """Forget what was seen."""
        self.first_request_at = None
        self.submitted.clear()

    def see(self, data: bytes) -> None:
        """Some bytes of a request."""
        if self.first_request_at is None:
            self.first_request_at = time.monotonic()
        if SUBMIT in data:
            self.submitted.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a run began. Seconds from its process's start, and bytes."""

    request_s: float
    submit_s: float
    cpu_s: float
    peak_bytes: int


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tap: Tap | None
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            if tap is not None:
                tap.see(data)
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def tapped(url: str) -> AsyncIterator[tuple[Tap, str]]:
    """A tap before ``url``, and its own address."""
    tap, there = Tap(), urlsplit(url)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(there.hostname, there.port)
        await asyncio.gather(_pump(reader, forth, tap), _pump(back, writer, None))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield tap, f"http://127.0.0.1:{port}"
    finally:
        server.close()


def write_jobs(path: Path, jobs: int, audio: Sequence[str] = ()) -> Path:
    """A manifest as people write it: one line a job, a text each, or one of these sound files."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f"version: 1\nbatch: {path.stem}\nlimits: {LIMITS}\njobs:\n")
        for i in range(jobs):
            text = f"text: This is what job number {i} says to you."
            voice = f"file: {audio[i % len(audio)]}" if audio else text
            file.write(f'  - {{id: job-{i:06d}, avatar: {{public: "3327"}}, audio: {{{voice}}}}}\n')
    return path


def plan(manifest: Path) -> tuple[float, float, int]:
    """Seconds, CPU seconds and peak memory in bytes of `orchestrator plan`."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*ORCHESTRATOR, "plan", str(manifest)],
        cwd=ROOT,
        env=_clean({}),
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"plan ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


async def start(manifest: Path, env: Mapping[str, str], tap: Tap) -> Start:
    """Begin to run the manifest; the process is killed at its first submit."""
    tap.reset()
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(*ORCHESTRATOR, "run", str(manifest), "--quiet"),
        cwd=ROOT,
        env=_clean(env),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            await tap.submitted.wait()
        submitted_at = time.monotonic()
        cpu_s, peak = _cpu_s(process.pid), _peak_bytes(process.pid)
    finally:
        process.kill()
        await process.wait()
    assert tap.first_request_at is not None
    return Start(
        request_s=tap.first_request_at - began,
        submit_s=submitted_at - began,
        cpu_s=cpu_s,
        peak_bytes=peak,
    )


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def half_done(manifest: Path) -> None:
    """Make every second job of the batch done, with a (sparse) file where its video belongs."""
    database = sqlite3.connect(manifest.parent / "state" / "state.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    where = "WHERE key % 2 = 0 AND state = 'pending'"
    outputs = [row[0] for row in database.execute(f"SELECT output FROM jobs {where}")]
    database.execute(f"UPDATE jobs SET state = 'done', output_bytes = {FILE_BYTES} {where}")
    database.execute("COMMIT")
    database.close()
    for name in outputs:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(FILE_BYTES)


def _clean(env: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOPVIEW", "ORCHESTRATOR"))}
    return {**kept, **env}


def start_row(what: str, limit_s: float, start: Start) -> Row:
    """One start of a run."""
    return Row(
        what=what,
        target=f"first request <= {limit_s:g} s, <= 200 MB",
        measured=f"{start.request_s:.1f} s, {start.peak_bytes / 1e6:.0f} MB",
        how=f"first submit after {start.submit_s:.1f} s and {start.cpu_s:.1f} s of CPU; VmHWM",
        met=start.request_s <= limit_s and start.peak_bytes <= 200e6,
    )


def plan_row(what: str, seconds: float, cpu_s: float, peak_bytes: int) -> Row:
    """One plan."""
    return Row(
        what=what,
        target="<= 15 s, <= 200 MB",
        measured=f"{seconds:.1f} s, {peak_bytes / 1e6:.0f} MB",
        how=f"the whole process, {cpu_s:.1f} s of CPU; its VmHWM",
        met=seconds <= 15 and peak_bytes <= 200e6,
    )


async def measure(folder: Path, jobs: int, env: Mapping[str, str]) -> list[Row]:
    """Plan, start and start half done, of two kinds of batch."""
    rows = []
    sounds = [sound(folder / f"{i:04d}.wav", i).name for i in range(1000)]
    async with tapped(env["TOPVIEW_BASE_URL"]) as (tap, url):
        through = {**env, "TOPVIEW_BASE_URL": url}
        for kind, audio in (("texts", []), ("1,000 sound files", sounds)):
            manifest = write_jobs(folder / f"{'sounds' if audio else 'texts'}.yaml", jobs, audio)
            batch = f"{jobs:,} jobs, {kind}"
            say(f"plan: {batch}")
            rows.append(plan_row(f"`plan`: {batch}", *await asyncio.to_thread(plan, manifest)))
            say("run")
            rows.append(start_row(f"`run`: {batch}", 15.0, await start(manifest, through, tap)))
            say("run, half done")
            half_done(manifest)
            resumed = await start(manifest, through, tap)
            rows.append(start_row(f"`run`, half done: {batch}", 5.0, resumed))
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    args = parser.parse_args(argv)
    with scratch() as folder, emulator(folder / "vendor", render="constant") as vendor:
        rows = asyncio.run(measure(folder, args.jobs, vendor.env))
    report(rows)


if __name__ == "__main__":
    main()
