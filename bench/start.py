"""How long ``orchestrator --help`` takes, against a Python that imports asyncio.

python -m bench.start [--rounds 15]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from bench.common import Row, report

TARGET = 4.0


def seconds(command: list[str]) -> float:
    """How long one run of the command takes."""
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def measure(rounds: int) -> Row:
    """The best of the rounds of each, taken in turn."""
    # The command of the environment that this Python belongs to.
    ours = [str(Path(sys.executable).parent / "orchestrator"), "--help"]
    bare = [sys.executable, "-c", "import asyncio"]
    seconds(ours), seconds(bare)
    pairs = [(seconds(ours), seconds(bare)) for _ in range(rounds)]
    best, floor = min(p[0] for p in pairs), min(p[1] for p in pairs)
    return Row(
        what='orchestrator --help against python -c "import asyncio"',
        target=f"<= {TARGET:g} times",
        measured=f"{best / floor:.2f} ({1000 * best:.0f} / {1000 * floor:.0f} ms)",
        how=f"best of {rounds}, in turn",
        met=best / floor <= TARGET,
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    report([measure(args.rounds)])


if __name__ == "__main__":
    main()
