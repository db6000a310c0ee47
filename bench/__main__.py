"""Run the benchmarks and write ``docs/performance.md``.

    python -m bench                 all of them, most of an hour
    python -m bench cost start      these only; the page keeps the others' last results
    python -m bench --list

Each benchmark is a module with a ``main()`` and runs in a process of its own. What it reports is
kept in ``bench/results.json``, from which the page's table is made; what else is written on the
page stays.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.common import ROOT, ROWS_FILE, say
from bench.page import Results, machine

BENCHES: dict[str, tuple[str, tuple[str, ...]]] = {
    "start": ("how long --help takes", ()),
    "cost": ("CPU per job against the floor", ()),
    "rates": ("submit rate used when it is the bottleneck", ()),
    "checkpoints": ("durable checkpoints per second against raw sqlite3", ()),
    "transfer": ("a 2 GB file up and down against curl", ("--mb", "2000")),
    "waiting": ("5,000 tasks in flight: memory and loop lag", ()),
    "steady": ("3,000 jobs, 500 in flight: flat memory, a free loop", ()),
    "big": ("100,000 jobs: plan, start, resume", ()),
    "slots": ("slot use on the real engine", ("--at-once", "2")),
    "peers": (
        "the orchestrator beside a hand-written script and a durable engine",
        ("--jobs", "200", "--mean-s", "8"),
    ),
    "simulate": ("the flow of a batch in virtual time", ()),
}
"""What each one measures, and the arguments that it is run with."""


def present() -> list[str]:
    """The benchmarks that are there."""
    return [name for name in BENCHES if importlib.util.find_spec(f"bench.{name}")]


def run(name: str, results: Results) -> bool:
    """Run one benchmark and keep what it reports; whether it ran to its end."""
    say(f"bench.{name}")
    with tempfile.TemporaryDirectory(prefix="bench-rows-") as folder:
        rows = Path(folder) / "rows"
        rows.touch()
        process = subprocess.Popen(
            [sys.executable, "-m", f"bench.{name}", *BENCHES[name][1]],
            cwd=ROOT,
            env={**os.environ, ROWS_FILE: str(rows), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
        if process.wait() != 0:
            say(f"bench.{name} ended with exit code {process.returncode}; its last result stays")
            return False
        results.keep(name, rows.read_text(encoding="utf-8").splitlines(), lines)
        return True


def main() -> int:
    """Parse, run, write the page; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all if none is named")
    parser.add_argument("--list", action="store_true", help="list them and end")
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    args = parser.parse_args()
    if args.list:
        print("\n".join(f"{name:12} {BENCHES[name][0]}" for name in present()))
        return 0
    unknown = [name for name in args.names if name not in present()]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(present())}")
    results = Results.load(machine())
    names = [] if args.page else (args.names or present())
    ended = [run(name, results) for name in names]
    results.write()
    return 0 if all(ended) else 1


if __name__ == "__main__":
    sys.exit(main())
