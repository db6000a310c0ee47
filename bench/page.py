"""``docs/performance.md``: the machine's facts and the table, made from the kept results."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.common import ROOT

PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "bench" / "results.json"
BEGIN = "<!-- made by scripts/bench: from here -->"
END = "<!-- made by scripts/bench: to here -->"
LIBRARIES = ("aiohttp", "uvloop", "sqlite-utils", "pydantic", "av")


def machine() -> dict[str, str]:
    """What this machine is. Two results belong into one table if these facts are equal."""
    return {
        "Processor": f"{_cpu_model()}, {os.cpu_count()} cores",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "Libraries": ", ".join(f"{name} {_version(name)}" for name in LIBRARIES),
    }


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2] for line in text.splitlines() if "model name" in line]
    return models[0].strip() if models else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def disk() -> str:
    """How long the temporary folder's disk takes to make 4 KB durable."""
    times = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(1000 * (time.perf_counter() - began))
    return f"4 KB made durable in {statistics.median(times):.2f} ms (median of 50)"


@dataclass(slots=True)
class Results:
    """The last results of every benchmark on one machine."""

    machine: dict[str, str]
    benches: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, here: dict[str, str]) -> Results:
        """What was kept, unless it is another machine's: two machines make no table."""
        try:
            kept = json.loads(RESULTS.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(here)
        if kept["machine"] != here:
            print("other results are another machine's and are left out", file=sys.stderr)
            return cls(here)
        return cls(here, kept["benches"])

    def keep(self, name: str, rows: list[str], lines: list[str]) -> None:
        """Take in what a benchmark reported; ``rows`` are JSON, ``lines`` its words."""
        self.benches[name] = {
            "day": time.strftime("%Y-%m-%d"),
            "rows": [json.loads(row) for row in rows],
            "lines": [line for line in lines if line],
        }

    def write(self) -> None:
        """Keep the results and write the page's part."""
        kept = {"machine": self.machine, "benches": self.benches}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        made = "\n".join([BEGIN, "", *self._lines(), "", END])
        PAGE.write_text(before + made + after, encoding="utf-8")

    def _lines(self) -> list[str]:
        lines = ["## The machine", "", "| | |", "| --- | --- |"]
        lines += [f"| {name} | {fact} |" for name, fact in {**self.machine, "Disk": disk()}.items()]
        lines += ["", "## Results", "", "| what | target | measured | how |"]
        lines += ["| --- | --- | --- | --- |"]
        for name, found in self.benches.items():
            lines += [_line(name, found["day"], row) for row in found["rows"]]
        for name, found in self.benches.items():
            if not found["rows"]:
                lines += ["", f"### `{name}` ({found['day']})", "", "```text", *found["lines"]]
                lines += ["```"]
        return lines


def _line(name: str, day: str, row: dict[str, Any]) -> str:
    target = {None: row["target"], True: row["target"], False: f"**{row['target']}** (missed)"}
    cells = (row["what"], target[row["met"]], row["measured"], f"{row['how']}; `{name}`, {day}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
