"""What waiting costs: memory for each waiting job, and how long the loop is ever blocked.

    python -m bench.waiting --jobs 3000 --in-flight 500 --render-s 20

Runs one batch in this process against the emulator in another. Memory is the resident set,
sampled every 50 ms; lag is how much later than asked a 5 ms sleep returns.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from orchestrator import Notice, Orchestrator, RunOptions, State, Watched
from orchestrator.engine.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
PAGE = resource.getpagesize()


def resident_bytes() -> int:
    """Resident set of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


class Probe:
    """An observer that samples memory and lag while the run goes on."""

    def __init__(self) -> None:
        self.run: Watched | None = None
        self.lags: list[float] = []
        self.memory: list[tuple[float, int, int]] = []

    def notice(self, notice: Notice) -> None:
        """Nothing to do."""

    def watch(self, run: Watched) -> None:
        """Remember whom to ask."""
        self.run = run

    async def measure(self) -> None:
        """Sample until cancelled."""
        turn = 0
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            lag = time.perf_counter() - before - 0.005
            turn += 1
            if self.run is None:
                continue
            self.lags.append(lag)
            if turn % 10 == 0:
                progress: Progress = self.run.progress()
                done = progress.counts.get(State.DONE, 0)
                self.memory.append((time.perf_counter(), resident_bytes(), done))


def make_batch(folder: Path, jobs: int, in_flight: int) -> Path:
    """A manifest of `jobs` jobs with text to speech on a public avatar and one sound file."""
    shutil.copy(ROOT / "examples" / "media" / "hello.wav", folder / "hello.wav")
    entries = [
        {
            "id": f"job-{i:06d}",
            "avatar": {"public": "3327"},
            "audio": {"file": "hello.wav"} if i % 2 else {"text": f"This is text number {i}."},
        }
        for i in range(jobs)
    ]
    limits = {
        "submit_rate": "100/s",
        "request_rate": "200/s",
        "in_flight": in_flight,
        "poll_interval": "2s",
    }
    manifest = folder / "jobs.yaml"
    document = {"version": 1, "batch": "waiting", "limits": limits, "jobs": entries}
    manifest.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))
    return manifest


async def measure(manifest: Path, env: dict[str, str]) -> tuple[Probe, int]:
    """Run the batch and measure."""
    probe = Probe()
    sampling = asyncio.create_task(probe.measure())
    result = await Orchestrator(env=env).run(manifest, RunOptions(), probe)
    sampling.cancel()
    return probe, result.exit_code


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--in-flight", type=int, default=500)
    parser.add_argument("--render-s", type=float, default=20.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = {
            "render": "constant",
            "render_mean_s": args.render_s,
            "slots": args.in_flight,
            "balance": 1e6,
        }
        emulator = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "orchestrator.emulator",
                "--data",
                str(folder / "vendor"),
                "--config",
                json.dumps(config),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            env = json.loads(emulator.stdout.readline())
            manifest = make_batch(folder, args.jobs, args.in_flight)
            gc.collect()
            began, before = time.perf_counter(), resident_bytes()
            probe, code = asyncio.run(measure(manifest, env))
            took = time.perf_counter() - began
        finally:
            emulator.terminate()
            emulator.wait()
        report(probe, code, took, before, args.jobs)


def report(probe: Probe, code: int, took: float, before: int, jobs: int) -> None:
    """Print the table."""
    lags = sorted(probe.lags)
    memory = [m for _, m, _ in probe.memory]
    quarter = memory[len(memory) // 10 : len(memory) // 4]
    last = memory[-len(memory) // 4 :]
    print(f"exit code {code}, {took:.0f} s, {jobs} jobs")
    print(f"resident before the run       {before / 1e6:8.1f} MB")
    print(f"resident early in the waiting {max(quarter) / 1e6:8.1f} MB")
    print(f"resident at the end           {max(last) / 1e6:8.1f} MB")
    print(f"peak                          {max(memory) / 1e6:8.1f} MB")
    print(f"over the start, per job       {(max(memory) - before) / jobs / 1e3:8.1f} KB")
    print(
        f"loop lag p50 {lags[len(lags) // 2] * 1e3:.1f} ms, "
        f"p99 {lags[int(len(lags) * 0.99)] * 1e3:.1f} ms, max {lags[-1] * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    main()
