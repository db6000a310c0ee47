"""What a job costs in CPU time, against the floor that makes the same calls in the same run.

    python -m bench.cost [--jobs 1000] [--rounds 3] [--profile FILE]

Renders of 0 s, one upload each, ``verify: length``, rates far out of the way. Each run is a process
of its own; from its user and system time that of a run of one job is taken off, which is what
starting costs. The best of the rounds counts. ``--profile`` writes a profile of one run instead.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

from bench.common import (
    Row,
    child,
    cpu_s,
    emulator,
    loop_factory,
    per_job,
    report,
    say,
    scratch,
    spoken_jobs,
    write_manifest,
)

LIMITS = {
    "submit_rate": "10000/s",
    "request_rate": "10000/s",
    "in_flight": 50,
    "uploads": 16,
    "downloads": 16,
    "poll_interval": "200ms",
}
Found = dict[str, float]

COMPARED = {
    "floor on uvloop": "CPU per job of the floor itself on uvloop, for comparison",
    "durable floor": "CPU per job of a floor that has five steps of each job, and its video, on "
    "disk before it goes on, for comparison",
}
TARGETS = {"asyncio": 1.5, "uvloop": 1.15}


def run_orchestrator(manifest: Path, loop: str, profile: Path | None) -> dict[str, float]:
    """Run the batch in this process through the library; returns CPU and elapsed seconds.

    ``cpu_s`` is all but ``page_s``, the page of videos with its posters that is made once after
    the run: the floor makes none.
    """
    from orchestrator import Orchestrator, RunOptions
    from orchestrator.engine.runner import Engine
    from orchestrator.session import Session

    began = time.perf_counter()
    engine, page = Meter(Engine, "run"), Meter(Session, "_gallery")
    # CPU time of the loop's thread, not what passes while others have the processor.
    profiler = cProfile.Profile(time.thread_time) if profile else None
    if profiler:
        profiler.enable()
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        result = runner.run(Orchestrator(env=dict(os.environ)).run(manifest, RunOptions()))
    if profiler and profile:
        profiler.disable()
        profiler.dump_stats(profile)
    assert result.exit_code == 0, result.headline
    return {
        "cpu_s": cpu_s() - page.spent_s,
        "engine_s": engine.spent_s,
        "page_s": page.spent_s,
        "seconds": time.perf_counter() - began,
    }


class Meter:
    """CPU time of the process while a method runs."""

    def __init__(self, owner: type, name: str) -> None:
        self.spent_s = 0.0
        inner: Callable[..., Awaitable[Any]] = getattr(owner, name)

        @wraps(inner)
        async def metered(*args: Any) -> Any:
            before = cpu_s()
            try:
                return await inner(*args)
            finally:
                self.spent_s += cpu_s() - before

        setattr(owner, name, metered)


class Bench:
    """One folder of sound files, and the runs over them."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.folder, self.jobs = folder, jobs
        self._entries = spoken_jobs(folder, jobs)
        # A file younger than two seconds is not trusted by its time stamp.
        time.sleep(2.1)

    def ours(self, jobs: int, loop: str, profile: Path | None = None) -> Found:
        """A run of the orchestrator."""
        for name in ("state", "out"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        manifest = write_manifest(
            self.folder, self._entries[:jobs], LIMITS, verify="length", output="out/{id}.mp4"
        )
        more = ["--profile", str(profile)] if profile else []
        with emulator(self.folder / "vendor", slots=1000) as vendor:
            found = child(
                "bench.cost", "--child", str(manifest), "--loop", loop, *more, env=vendor.env
            )
            calls = vendor.audit()["requests"]
        self._forget_vendor()
        _tell(f"orchestrator on {loop}", jobs, found, calls)
        return found

    def floor(self, jobs: int, loop: str, *more: str) -> Found:
        """A run of the floor."""
        shutil.rmtree(self.folder / "floor", ignore_errors=True)
        named = ("--jobs", str(jobs), "--loop", loop, *more)
        with emulator(self.folder / "vendor", slots=1000) as vendor:
            found = child("bench.floor", str(self.folder), *named, env=vendor.env)
            calls = vendor.audit()["requests"]
        self._forget_vendor()
        _tell(" ".join(("floor on", loop, *more)), jobs, found, calls)
        return found

    def _forget_vendor(self) -> None:
        """A new vendor each time, but for the videos that it has made: making them is not what is
        measured, and leaves no processor to measure with."""
        for path in (self.folder / "vendor").iterdir():
            if path.is_file():
                path.unlink()
            elif path.name != "videos":
                shutil.rmtree(path)


def _tell(who: str, jobs: int, found: Found, calls: dict[str, int]) -> None:
    per = ", ".join(f"{name} {count}" for name, count in sorted(calls.items()))
    say(f"{who}: {jobs} jobs, {found['cpu_s']:.2f} s CPU in {found['seconds']:.1f} s ({per})")


def measure(jobs: int, rounds: int) -> list[Row]:
    """Measure everything, a round at a time, so that a busy minute hits all alike."""
    best: dict[str, Found] = {}
    with scratch() as folder:
        bench = Bench(folder, jobs)
        runs: dict[str, Callable[[int], Found]] = {
            "floor": lambda n: bench.floor(n, "asyncio"),
            "floor on uvloop": lambda n: bench.floor(n, "uvloop"),
            "durable floor": lambda n: bench.floor(n, "asyncio", "--durable"),
            "asyncio": lambda n: bench.ours(n, "asyncio"),
            "uvloop": lambda n: bench.ours(n, "uvloop"),
        }
        say("all once, so that the vendor has made its videos")
        bench.floor(jobs, "asyncio")
        start = {name: _quicker(run(1), run(1)) for name, run in runs.items()}
        for _ in range(rounds):
            for name, run in runs.items():
                best[name] = _quicker(run(jobs), best.get(name))
    costs = {name: _per_job(found, start[name], jobs) for name, found in best.items()}
    return _rows(costs, jobs)


def _quicker(one: Found, other: Found | None) -> Found:
    return one if other is None or one["cpu_s"] < other["cpu_s"] else other


def _per_job(found: Found, start: Found, jobs: int) -> Found:
    """Milliseconds a job, without what starting costs."""
    return {name: 1000 * (found[name] - start[name]) / (jobs - 1) for name in found}


def _rows(costs: dict[str, Found], jobs: int) -> list[Row]:
    floor = costs["floor"]["cpu_s"]
    how = f"{jobs} jobs, one upload each, best of the rounds, start-up taken off"
    rows = [_row(name, target, costs[name], floor, how) for name, target in TARGETS.items()]
    for name, what in COMPARED.items():
        cost = costs[name]["cpu_s"]
        measured = f"{cost / floor:.2f} ({per_job(cost)} / {per_job(floor)})"
        rows.append(Row(what=what, target="-", measured=measured, how=how))
    return rows


def _row(name: str, target: float, cost: Found, floor: float, how: str) -> Row:
    plan = cost["cpu_s"] - cost["engine_s"]
    parts = f"engine {per_job(cost['engine_s'])}, plan and report {per_job(plan)}"
    page = f"not counted: {per_job(cost['page_s'])} for the page of videos, made once after the run"
    return Row(
        what=f"CPU per job against the floor, {name}",
        target=f"<= {target}",
        measured=f"{cost['cpu_s'] / floor:.2f} ({per_job(cost['cpu_s'])} / {per_job(floor)}; "
        f"{parts})",
        how=f"{how}; {page}",
        met=cost["cpu_s"] / floor <= target,
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--profile", type=Path, help="write a profile of one run to this file")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(run_orchestrator(args.child, args.loop, args.profile)))
    elif args.profile:
        with scratch() as folder:
            Bench(folder, args.jobs).ours(args.jobs, args.loop, args.profile.absolute())
    else:
        report(measure(args.jobs, args.rounds))


if __name__ == "__main__":
    main()
