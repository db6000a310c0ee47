"""A batch that waits for its renders: is memory flat, is the loop ever blocked?

    python -m bench.steady [--jobs 3000] [--in-flight 500] [--render-s 20]

The whole batch is run, from the first request to the last video. Once all slots are taken the
resident set is read every second, until the last submit; lag is how much later than asked a sleep
of 5 ms returns, from the beginning to the end. A second run of fewer jobs, with as many in flight,
tells what a job costs that only waits for its turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.common import (
    Row,
    child,
    emulator,
    loop_factory,
    report,
    say,
    scratch,
    told_jobs,
    write_manifest,
)
from bench.waiting import NAP_S, resident_bytes
from orchestrator import Notice, Orchestrator, RunOptions, Watched

LONGEST_MS, FLAT_MB = 100.0, 5.0
"""Targets: the longest lag, and how much the resident set may move."""


@dataclass
class Steady:
    """An observer that samples lag all the time, and memory while all slots are taken."""

    in_flight: int
    run: Watched | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    lags: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    def notice(self, notice: Notice) -> None:
        """Nothing to do."""

    def watch(self, run: Watched) -> None:
        """The run begins to work."""
        self.run = run
        self.begun.set()

    async def measure(self) -> None:
        """Sample until the run has ended."""
        await self.begun.wait()
        look_at = 0.0
        while not self.ended:
            before = time.perf_counter()
            await asyncio.sleep(NAP_S)
            self.lags.append(time.perf_counter() - before - NAP_S)
            if before >= look_at:
                look_at = before + 1.0
                self._look()

    def _look(self) -> None:
        assert self.run is not None
        if self.run.progress().rendering >= 0.95 * self.in_flight:
            self.resident.append(_resident_bytes())


def _resident_bytes() -> int:
    """As the kernel counts it; cheap, so that looking does not block the loop."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def watched(manifest: Path, in_flight: int) -> dict[str, Any]:
    """Run the batch and measure."""
    probe = Steady(in_flight)
    sampling = asyncio.create_task(probe.measure())
    result = await Orchestrator(env=dict(os.environ)).run(manifest, RunOptions(), probe)
    probe.ended = True
    await sampling
    lags = sorted(probe.lags)
    return {
        "exit": result.exit_code,
        "looks": len(probe.resident),
        "first": probe.resident[0],
        "least": min(probe.resident),
        "most": max(probe.resident),
        "end": resident_bytes(),
        "p99_ms": 1000 * lags[int(len(lags) * 0.99)],
        "longest_ms": 1000 * lags[-1],
    }


def one_run(jobs: int, in_flight: int, render_s: float, loop: str) -> dict[str, Any]:
    """A batch in a process of its own."""
    limits = {"submit_rate": "200/s", "request_rate": "500/s", "in_flight": str(in_flight)}
    with scratch() as folder:
        manifest = write_manifest(folder, told_jobs(jobs), limits, verify="length")
        config = {"render": "constant", "render_mean_s": render_s, "slots": in_flight}
        with emulator(folder / "vendor", **config) as vendor:
            command = ("--child", str(manifest), "--in-flight", str(in_flight), "--loop", loop)
            found = child("bench.steady", *command, env=vendor.env)
    say(f"{jobs} jobs: {found}")
    return found


def measure(jobs: int, in_flight: int, render_s: float, loop: str) -> list[Row]:
    """The batch, and a smaller one."""
    few = in_flight + in_flight // 5
    large, small = (one_run(n, in_flight, render_s, loop) for n in (jobs, few))
    moved_mb = (large["most"] - large["least"]) / 1e6
    waiting_kb = (large["first"] - small["first"]) / (jobs - few) / 1000
    how = f"{jobs} jobs, {in_flight} in flight, renders of {render_s:g} s, {loop}"
    return [
        Row(
            what="resident set while all slots are taken",
            target=f"moves <= {FLAT_MB:g} MB",
            measured=f"moves {moved_mb:.1f} MB in {large['looks']} looks (of "
            f"{large['most'] / 1e6:.0f} MB)",
            how=how,
            met=moved_mb <= FLAT_MB,
        ),
        Row(
            what="memory for each job that waits for its turn",
            target="-",
            measured=f"{waiting_kb:+.1f} KB",
            how=f"against a batch of {few} jobs, when all slots are taken; most of it is what "
            "planning left behind",
        ),
        Row(
            what="longest time that the loop was blocked",
            target=f"< {LONGEST_MS:g} ms",
            measured=f"{large['longest_ms']:.0f} ms (p99 {large['p99_ms']:.1f})",
            how=f"{how}; sleeps of 5 ms from the beginning to the end",
            met=large["longest_ms"] < LONGEST_MS,
        ),
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--in-flight", type=int, default=500)
    parser.add_argument("--render-s", type=float, default=20.0)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.child:
        report(measure(args.jobs, args.in_flight, args.render_s, args.loop))
        return
    with asyncio.Runner(loop_factory=loop_factory(args.loop)) as runner:
        print(json.dumps(runner.run(watched(args.child, args.in_flight))))


if __name__ == "__main__":
    main()
