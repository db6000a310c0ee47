"""Submit rate used when the rate is the bottleneck, and that no window ever exceeds it.

    python -m bench.rates [--jobs 400] [--per-s 20]

Jobs that share a few uploads, many slots, renders that end at once: nothing but ``submit_rate``
holds the batch up. The vendor's own record of arrivals says what was used of it, and what came in
the busiest window (50 ms shorter than a second: that is how much a request's way may differ).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path

from bench.common import (
    Row,
    call_times,
    child,
    cpu_s,
    emulator,
    paired_jobs,
    report,
    scratch,
    write_manifest,
)

WINDOW_S = 0.95
TARGET = 0.99


def measure(jobs: int, per_s: int, processes: int) -> Row:
    """One batch, or several at once that share the account and so the rate."""
    # A request rate that is no multiple of the submit rate, as it will be in practice.
    limits = {"submit_rate": f"{per_s}/s", "request_rate": f"{per_s * 5 + 3}/s"}
    limits |= {"in_flight": "1000", "poll_interval": "500ms"}
    with scratch() as folder:
        manifests = [_manifest(folder, n, jobs // processes, limits) for n in range(processes)]
        with emulator(folder / "vendor", slots=1000) as vendor:
            asyncio.run(_together(manifests, vendor.env))
            audit = vendor.audit(WINDOW_S)
        times = call_times(folder / "vendor", "submit")
    # Where several begin and end, the others' turns do not count against the rate.
    times = times[len(times) // 20 : len(times) - len(times) // 20]
    used = (len(times) - 1) / (times[-1] - times[0]) / per_s
    busiest, most = audit["max_submits_in_window"], audit["max_requests_in_window"]
    held = busiest <= per_s and most <= per_s * 5 + 3
    who = "one process" if processes == 1 else f"{processes} processes"
    return Row(
        what=f"submit rate used at {per_s}/s, {who}",
        target=f">= {TARGET}, no window exceeded",
        measured=f"{used:.3f}; busiest window: {busiest} submits of {per_s}, "
        f"{most} requests of {per_s * 5 + 3}",
        how=f"{jobs} jobs that share a few uploads; windows of {WINDOW_S:g} s at the vendor",
        met=used >= TARGET and held,
    )


def _manifest(folder: Path, number: int, jobs: int, limits: dict[str, str]) -> Path:
    mine = folder / str(number)
    mine.mkdir()
    return write_manifest(
        mine, paired_jobs(mine, jobs), limits, batch=f"part-{number}", verify="length"
    )


async def _together(manifests: list[Path], env: dict[str, str]) -> None:
    """A process for each manifest, all with one state folder."""
    state = str(manifests[0].parent.parent / "state")
    calls = (
        asyncio.to_thread(child, "bench.rates", "--child", str(m), "--state", state, env=env)
        for m in manifests
    )
    await asyncio.gather(*calls)


def run_batch(manifest: Path, state: Path) -> None:
    """Run one manifest in this process."""
    from orchestrator import Orchestrator, RunOptions

    began = time.perf_counter()
    result = asyncio.run(Orchestrator(state, env=dict(os.environ)).run(manifest, RunOptions()))
    assert result.exit_code == 0, result.headline
    print(json.dumps({"cpu_s": cpu_s(), "seconds": time.perf_counter() - began}))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--per-s", type=int, default=20)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--state", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run_batch(args.child, args.state)
    else:
        report([measure(args.jobs, args.per_s, processes) for processes in (1, 2)])


if __name__ == "__main__":
    main()
