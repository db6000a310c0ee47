"""Numbers, paths and commands as people read them: no clock, no terminal, no file."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from orchestrator.model import State

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_LEAST_WIDTH = 40
_IRREGULAR = {"batch": "batches", "is": "are", "has": "have"}


def number(value: int) -> str:
    """``12345`` as ``12,345``."""
    return f"{value:,}"


def count(value: int, noun: str) -> str:
    """``1 job``, ``12,345 jobs``, ``no jobs``."""
    if value == 1:
        return f"1 {noun}"
    return f"{number(value) if value else 'no'} {plural(noun)}"


def plural(noun: str) -> str:
    """The English plural of the few nouns that this program uses."""
    return _IRREGULAR.get(noun, f"{noun}s")


def credits(value: float) -> str:
    """Credits with at most two decimals: ``12``, ``12.5``, ``1,200``."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """Two units at the most: ``0 s``, ``59 s``, ``12 min 4 s``, ``5 h 10 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    for size, unit, below, smaller in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // below
            return f"{number(whole // size)} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def roughly(seconds: float) -> str:
    """A duration that is only guessed, rounded up: ``under a minute``, ``41 min``, ``5 h 10 min``.

    From ten hours on the minutes are left out.
    """
    if seconds < 60:
        return "under a minute"
    grain = 3_600 if seconds >= 36_000 else 60
    return duration(-(-seconds // grain) * grain)


def size(size_bytes: int) -> str:
    """Decimal units with three digits at the most: ``999 B``, ``1.5 kB``, ``412 MB``."""
    value, unit = float(size_bytes), 0
    while round(value) >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    digits = 1 if unit and value < 9.95 else 0
    return f"{value:.{digits}f} {_UNITS[unit]}"


def clock(at: float) -> str:
    """Unix seconds as local time of day, ``12:04:05``."""
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def moment(at: float) -> str:
    """Unix seconds as local date and time, ``2026-03-01 12:04``."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")


def per_hour(rate: float) -> str:
    """A rate: ``0.4 per hour``, ``58 per hour``, ``1,200 per hour``."""
    return f"{rate:.1f} per hour" if rate < 10 else f"{rate:,.0f} per hour"


def percent(part: int, total: int) -> int:
    """Rounded down, so that 100 means all; 0 of 0 is 100."""
    return 100 if total == 0 else part * 100 // total


def one_line(text: str) -> str:
    """The text without line breaks, tabs and other control characters, words one space apart."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def state(value: State) -> str:
    """A state as people read it: ``in doubt``."""
    return value.value.replace("_", " ")


def tally(counts: Mapping[State, int], states: Iterable[State] = State) -> list[str]:
    """``["120 done", "2 failed"]``: the given states in their order, without zeros."""
    return [f"{number(counts[s])} {state(s)}" for s in states if counts.get(s, 0) > 0]


def sentence(parts: Sequence[str], otherwise: str = "") -> str:
    """The parts with commas between them, or ``otherwise`` if there is none."""
    return ", ".join(parts) if parts else otherwise


def command(*parts: str | Path) -> str:
    """A command to type, quoted for the shell."""
    return shlex.join(["orchestrator", *map(str, parts)])


def quoted(value: str | Path) -> str:
    """A word of a command, quoted for the shell."""
    return shlex.quote(str(value))


def path(value: str | Path) -> str:
    """A path as somebody in the current folder would type it."""
    relative = os.path.relpath(value)
    return str(value) if relative.startswith("..") else relative


def wrapped(text: str, indent: str, width: int | None) -> list[str]:
    """The text in lines of at most ``width`` columns (40 at the least), all but the first behind
    ``indent``; None: in one line."""
    if width is None:
        return [text]
    return textwrap.wrap(
        text,
        max(width, _LEAST_WIDTH),
        subsequent_indent=indent,
        break_on_hyphens=False,
    ) or [text]


def step(label: str, text: str, width: int | None) -> list[str]:
    """A command to type behind its label; what it does (after ``    # ``) goes on a line of its
    own where both do not fit into ``width``. Commands are never broken: they are to be copied."""
    line = f"{label}{text}"
    command, mark, does = text.partition("    # ")
    if width is None or len(line) <= width or not mark:
        return [line]
    return [f"{label}{command}", f"{' ' * len(label)}# {does}"]
