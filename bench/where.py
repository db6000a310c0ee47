"""Where the CPU time of a job goes: a profile of ``bench.cost``, summed up by who spends it.

    python -m bench.cost --jobs 1000 --profile /tmp/cost.profile
    python -m bench.where /tmp/cost.profile --jobs 1000

The profile is of the loop's thread, and a profiler makes small functions look dear: read the
shares, not the milliseconds. The last lines count, for each job, what costs time in other threads
and in the kernel.
"""

from __future__ import annotations

import argparse
import pstats
from collections import Counter
from pathlib import Path
from typing import Any

GROUPS = (
    ("aiohttp, yarl, multidict", ("/aiohttp/", "/yarl/", "/multidict/", "/propcache/")),
    ("asyncio: loop, tasks, sockets", ("/asyncio/", "/selectors.py", "/uvloop/")),
    ("threads asked for something", ("/concurrent/", "/threading.py", "/queue.py", "/aiofiles/")),
    ("engine: loop, decisions, stages", ("/orchestrator/engine/", "/orchestrator/core/decide")),
    ("learning from durations", ("/orchestrator/core/hazard", "/orchestrator/core/polling")),
    ("replies read and judged", ("/orchestrator/topview/", "/orchestrator/core/outcome", "/json/")),
    ("files", ("/orchestrator/media/", "/pathlib.py")),
    ("store, on the loop's side", ("/orchestrator/store/",)),
    ("planning, page and report", ("/orchestrator/",)),
)
"""Who spends it, by the file of the function; the first that fits counts."""
COUNTED = (
    ("visits to a thread", "concurrent/futures/thread.py", "submit"),
    ("work for the store's writer", "store/writer.py", "_item"),
    ("turns of the loop", "asyncio/base_events.py", "_run_once"),
    ("decisions", "core/decide.py", "decide"),
)
BUILT_IN = "built-in functions, called by all of them"
REST = "the rest"


def group_of(file: str) -> str:
    """Who a function belongs to."""
    if file == "~":
        return BUILT_IN
    return next((name for name, parts in GROUPS if any(part in file for part in parts)), REST)


def shares(stats: dict[Any, Any]) -> Counter[str]:
    """Seconds by group."""
    spent: Counter[str] = Counter()
    for (file, _, _), (_, _, own_s, _, _) in stats.items():
        spent[group_of(file)] += own_s
    return spent


def calls(stats: dict[Any, Any], file: str, function: str) -> int:
    """How often a function was entered; a coroutine that waited is entered again each time."""
    found = (v[1] for k, v in stats.items() if k[0].endswith(file) and k[2] == function)
    return sum(found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", type=Path)
    parser.add_argument("--jobs", type=int, default=1000)
    args = parser.parse_args()
    stats: dict[Any, Any] = pstats.Stats(str(args.profile)).stats  # type: ignore[attr-defined]
    spent = shares(stats)
    total = sum(spent.values())
    for name, seconds in spent.most_common():
        print(f"{seconds / total:6.1%}  {name}")
    for name, file, function in COUNTED:
        print(f"{calls(stats, file, function) / args.jobs:6.1f}  {name} for each job")


if __name__ == "__main__":
    main()
