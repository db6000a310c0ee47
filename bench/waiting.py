"""What waiting costs: memory for each task in flight, and how long the loop is ever blocked.

    python -m bench.waiting [--tasks 5000] [--watch-s 30]

Submits until so many tasks are in flight, then watches them for a while, then stops the run. Lag
is how much later than asked a sleep of 5 ms returns, from the first submit on. Memory is what was
allocated since the run began to work and is still held with all tasks in flight, in a second run
that keeps count of it (tracemalloc); and what the resident set grew by, which may be less: planning
leaves free memory behind that is used again.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import resource
import time
import tracemalloc
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
from orchestrator import Notice, Orchestrator, RunOptions, Watched

PAGE = resource.getpagesize()
NAP_S = 0.005
TARGET_KB, TARGET_LAG_MS = 10.0, 30.0


def resident_bytes() -> int:
    """Resident set of this process (Linux), without what the allocator holds free (glibc)."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        pass  # another C library: what it holds free counts
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@dataclass
class Probe:
    """An observer that waits until all tasks are in flight and samples the loop's lag."""

    tasks: int
    watch_s: float
    trace: bool
    run: Watched | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    before: int = 0
    after: int = 0
    held: int = 0
    most: int = 0
    filling: list[float] = field(default_factory=list)
    watching: list[float] = field(default_factory=list)

    def notice(self, notice: Notice) -> None:
        """Nothing to do."""

    def watch(self, run: Watched) -> None:
        """The run begins to work."""
        self.before, self.run = resident_bytes(), run
        if self.trace:
            tracemalloc.start()
        self.begun.set()

    async def measure(self) -> None:
        """Sample until the tasks have been watched long enough, then stop the run."""
        await self.begun.wait()
        assert self.run is not None
        full_at, turn = None, 0
        while full_at is None or time.perf_counter() < full_at + self.watch_s:
            (self.filling if full_at is None else self.watching).append(await _lag_s())
            turn += 1
            if turn % 50 == 0:
                self.most = max(self.most, self.run.progress().rendering)
                if full_at is None and self.most >= self.tasks:
                    full_at = time.perf_counter()
        self.after = resident_bytes()
        self.held = tracemalloc.get_traced_memory()[0] if self.trace else 0
        self.run.abort()


async def _lag_s() -> float:
    before = time.perf_counter()
    await asyncio.sleep(NAP_S)
    return time.perf_counter() - before - NAP_S


async def watched(manifest: Path, tasks: int, watch_s: float, trace: bool) -> dict[str, Any]:
    """Run the batch and measure."""
    probe = Probe(tasks, watch_s, trace)
    sampling = asyncio.create_task(probe.measure())
    began = time.perf_counter()
    await Orchestrator(env=dict(os.environ)).run(manifest, RunOptions(), probe)
    await sampling
    return {
        "before": probe.before,
        "after": probe.after,
        "held": probe.held,
        "tasks": probe.most,
        "filling": _percentiles(probe.filling),
        "watching": _percentiles(probe.watching),
        "both": _percentiles(probe.filling + probe.watching),
        "seconds": time.perf_counter() - began,
    }


def _percentiles(lags: list[float]) -> list[float]:
    """Median, p99 and maximum in milliseconds."""
    ordered = sorted(lags)
    places = (len(ordered) // 2, int(len(ordered) * 0.99), len(ordered) - 1)
    return [round(1000 * ordered[place], 2) for place in places]


def measure(tasks: int, watch_s: float, loop: str) -> list[Row]:
    """Two runs, each in a process of its own."""
    lag = one_run(tasks, watch_s, loop)
    # With all allocations counted everything takes longer; the lag of this run is no measure.
    memory = one_run(tasks, 1.0, loop, "--trace")
    return _rows(lag, memory, watch_s, loop)


def one_run(tasks: int, watch_s: float, loop: str, *more: str) -> dict[str, Any]:
    """What one run says."""
    limits = {"submit_rate": "500/s", "request_rate": "1000/s", "in_flight": str(tasks)}
    with scratch() as folder:
        manifest = write_manifest(folder, told_jobs(tasks + 200), limits, verify="length")
        config = {"render": "constant", "render_mean_s": 3600.0, "slots": tasks}
        with emulator(folder / "vendor", **config) as vendor:
            command = ("--child", str(manifest), "--tasks", str(tasks), "--loop", loop)
            found = child(
                "bench.waiting", *command, "--watch-s", str(watch_s), *more, env=vendor.env
            )
    say(f"{found}")
    return found


def _rows(lag: dict[str, Any], memory: dict[str, Any], watch_s: float, loop: str) -> list[Row]:
    kb = memory["held"] / memory["tasks"] / 1000
    grown = (lag["after"] - lag["before"]) / lag["tasks"] / 1000
    p50, p99, most = lag["both"]
    parts = f"p99 while filling {lag['filling'][1]:.0f} ms, then {lag['watching'][1]:.0f} ms"
    return [
        Row(
            what=f"memory for each of {memory['tasks']} tasks in flight",
            target=f"<= {TARGET_KB:g} KB",
            measured=f"{kb:.1f} KB (resident set: {grown:+.1f} KB each, {lag['after'] / 1e6:.0f} "
            "MB with all)",
            how="allocated since the run began to work and still held",
            met=kb <= TARGET_KB,
        ),
        Row(
            what=f"loop lag p99 meanwhile, {loop}",
            target=f"<= {TARGET_LAG_MS:g} ms",
            measured=f"{p99:.0f} ms (p50 {p50:.1f}, longest {most:.0f}; {parts})",
            how=f"sleeps of 5 ms from the first submit until {watch_s:g} s after the last",
            met=p99 <= TARGET_LAG_MS,
        ),
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--watch-s", type=float, default=30.0)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    parser.add_argument("--trace", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.child:
        report(measure(args.tasks, args.watch_s, args.loop))
        return
    with asyncio.Runner(loop_factory=loop_factory(args.loop)) as runner:
        print(json.dumps(runner.run(watched(args.child, args.tasks, args.watch_s, args.trace))))


if __name__ == "__main__":
    main()
