"""Slot use: how much of the time the vendor's slots render while jobs wait.

    python -m bench.slots
    python -m bench.slots --case 8-refuse --scale 4 --jobs 200

Each case runs a learning batch and then the measured one, `orchestrator run` in a process of its
own against the emulator in another, and prints the slot use of the measured one from the
emulator's own tasks: rendering time / (slots x time) from the first to the last accepted submit.
``--scale 4`` makes everything the vendor's pace depends on four times quicker (renders, poll
interval) and the rates as much higher, for a look in a quarter of the time; our own overheads do
not shrink, so the figures are worse.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.common import (
    ROOT,
    Row,
    emulator,
    free_port,
    report,
    say,
    scratch,
    sound,
    write_manifest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row. ``in_flight`` None is `auto`; ``webhooks``: the vendor tells the ends of tasks."""

    slots: int = 8
    over: str = "refuse"
    mean_s: float = 8.0
    jobs: int = 200
    in_flight: int | None = None
    webhooks: bool = False
    target: float = 0.98


CASES = {
    "8-refuse": Case(),
    "8-webhooks": Case(webhooks=True, target=0.99),
    "8-queue": Case(over="queue", target=0.99),
    "30-refuse": Case(slots=30, mean_s=20.0, jobs=400, target=0.97),
    "30-queue": Case(slots=30, mean_s=20.0, jobs=400, over="queue", target=0.97),
    "8-fixed": Case(in_flight=8, target=0.97),
}
MEASURED = ("8-refuse", "8-webhooks", "8-queue", "30-refuse")
"""The cases with a target; the others are for a look."""
RATE_PER_S = 20.0
POLL_INTERVAL_S = 0.25
REAL_SCALE = 20.0
"""Renders of 8 s stand for real ones of 160 s, and 0.25 s for a poll interval of 5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the emulator saw of one batch."""

    use: float
    span_s: float
    polls: float
    refused: float
    calls: float
    cpu_ms: float
    most_in_a_second: int

    def line(self) -> str:
        """For people; calls are per job."""
        return (
            f"slot use {self.use:.4f} over {self.span_s:.1f} s; per job {self.polls:.1f} polls, "
            f"{self.refused:.2f} refused, {self.calls:.1f} calls, {self.cpu_ms:.0f} ms CPU; "
            f"busiest second {self.most_in_a_second} calls"
        )


def measure(name: str, case: Case, scale: float, rounds: int) -> list[Figures]:
    """So many batches in a row that share a state folder and an account."""
    with scratch() as folder:
        config: dict[str, Any] = {
            "render": "lognormal",
            "render_mean_s": case.mean_s * REAL_SCALE,
            "time_scale": REAL_SCALE * scale,
            "render_sigma": 0.3,
            "render_min_s": 0.0,
            "render_max_s": 1e6,
            "slots": case.slots,
            "over_slots": case.over,
            "seed": 7,
        }
        data = folder / "vendor"
        found = []
        with emulator(data, **config) as vendor:
            for number in range(rounds):
                found.append(_batch(case, scale, folder, data, vendor.env, number))
                say(f"{name}, batch {number + 1}: {found[-1].line()}")
        return found


def _batch(
    case: Case, scale: float, folder: Path, data: Path, env: dict[str, str], number: int
) -> Figures:
    home = folder / f"batch-{number}"
    home.mkdir()
    rate = f"{round(RATE_PER_S * scale)}/s"
    limits = {
        "submit_rate": rate,
        "request_rate": rate,
        "in_flight": case.in_flight or "auto",
        "poll_interval": f"{round(1000 * POLL_INTERVAL_S / scale)}ms",
    }
    jobs = [
        {
            "id": f"job-{i:06d}",
            "avatar": {"public": "3327"},
            "audio": {"file": sound(home / f"{i:06d}.wav", 100_000 * number + i).name},
        }
        for i in range(case.jobs)
    ]
    keys: dict[str, Any] = {"batch": f"bench-{number}", "verify": "length"}
    if case.webhooks:
        address = f"127.0.0.1:{free_port()}"
        keys["webhook"] = {"url": f"http://{address}/hook", "listen": address}
    manifest = write_manifest(home, jobs, limits, **keys)
    began = time.time()
    cpu_s = _run(manifest, folder / "state", env)
    return _figures(data, case, began, cpu_s)


def _run(manifest: Path, state: Path, env: dict[str, str]) -> float:
    """Run the batch; CPU seconds of the process."""
    code = (
        "import resource, sys; from orchestrator.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print('cpu', used.ru_utime + used.ru_stime, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, "run", str(manifest), "--state", str(state)]
    done = subprocess.run(command, cwd=ROOT, env=env | _path(), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"exit code {done.returncode}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    return next(float(x.split()[1]) for x in done.stderr.splitlines() if x.startswith("cpu "))


def _path() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}


def _figures(data: Path, case: Case, began: float, cpu_s: float) -> Figures:
    time.sleep(0.5)
    path = data / "emulator.sqlite3"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        tasks = db.execute(
            "SELECT submitted_at, start_at, end_at FROM tasks WHERE submitted_at >= ?", (began,)
        ).fetchall()
        calls = db.execute(
            "SELECT at, endpoint, code FROM calls WHERE at >= ?", (began,)
        ).fetchall()
    first, last = min(t[0] for t in tasks), max(t[0] for t in tasks)
    rendering = sum(max(0.0, min(end, last) - max(start, first)) for _, start, end in tasks)
    count = len(tasks)
    return Figures(
        use=rendering / (case.slots * (last - first)),
        span_s=last - first,
        polls=sum(call[1] == "query" for call in calls) / count,
        refused=sum(call[1:] == ("submit", "4007") for call in calls) / count,
        calls=len(calls) / count,
        cpu_ms=1000 * cpu_s / count,
        most_in_a_second=_busiest([call[0] for call in calls]),
    )


def _busiest(times: Sequence[float], window_s: float = 0.95) -> int:
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def main() -> None:
    """Measure the cases that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append", help="default: those measured")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--at-once", type=int, default=1, help="cases side by side: they mostly wait"
    )
    args = parser.parse_args()
    names = tuple(args.case or MEASURED)
    with ThreadPoolExecutor(args.at_once) as pool:
        report(list(pool.map(lambda name: _row(name, args), names)))


def _row(name: str, args: argparse.Namespace) -> Row:
    case = CASES[name]
    if args.jobs is not None:
        case = replace(case, jobs=args.jobs)
    say(f"{name}: {case}")
    last = measure(name, case, args.scale, args.rounds)[-1]
    return Row(
        what=f"slot use, {name}",
        target=f">= {case.target}",
        measured=f"{last.use:.4f}",
        how=last.line(),
        met=last.use >= case.target,
    )


if __name__ == "__main__":
    main()
