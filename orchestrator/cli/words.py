"""Numbers, paths and commands as people read them: no clock, no terminal, no file."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from orchestrator.model import State
from orchestrator.report import commands, figures

# The command line and the page show the same numbers alike.
number = figures.number
credits = figures.credits
size = figures.size
duration = figures.span
moment = figures.moment
command = commands.command
path = commands.here

_LEAST_WIDTH = 40
_MEASURE = re.compile(r"\d[\d,.]* (?:s|min|h|d|B|[kMGTP]B)\b(?: \d+ (?:s|min|h)\b)?")
"""A number and its unit: a line never ends between them."""
_GLUE = "\ue000"
_IRREGULAR = {"batch": "batches", "is": "are", "has": "have"}


def count(value: int, noun: str) -> str:
    """``1 job``, ``12,345 jobs``, ``no jobs``."""
    if value == 1:
        return f"1 {noun}"
    return f"{number(value) if value else 'no'} {plural(noun)}"


def plural(noun: str) -> str:
    """The English plural of the few nouns that this program uses."""
    return _IRREGULAR.get(noun, f"{noun}s")


def roughly(seconds: float) -> str:
    """A duration that is only guessed, rounded up: ``under a minute``, ``41 min``, ``5 h 10 min``.

    From ten hours on the minutes are left out.
    """
    if seconds < 60:
        return "under a minute"
    grain = 3_600 if seconds >= 36_000 else 60
    return duration(-(-seconds // grain) * grain)


def clock(at: float) -> str:
    """Unix seconds as local time of day, ``12:04:05``."""
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def per_hour(rate: float) -> str:
    """A rate: ``0.4 per hour``, ``58 per hour``, ``1,200 per hour``."""
    return f"{figures.per_hour(rate)} per hour"


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


def quoted(value: str | Path) -> str:
    """A word of a command, quoted for the shell."""
    return shlex.quote(str(value))


def wrapped(text: str, indent: str, width: int | None) -> list[str]:
    """The text in lines of at most ``width`` columns (40 at the least), all but the first behind
    ``indent``; None: in one line. A word that is longer than that (a path) stays whole, and a
    number stays with its unit."""
    if width is None or len(text) <= width:
        return [text]
    lines = textwrap.wrap(
        _MEASURE.sub(lambda found: found[0].replace(" ", _GLUE), text),
        max(width, _LEAST_WIDTH),
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(_GLUE, " ") for line in lines] or [text]


def step(label: str, text: str, width: int | None) -> list[str]:
    """A command to type behind its label; what it does (after ``    # ``) goes on a line of its
    own where both do not fit into ``width``. Commands are never broken: they are to be copied."""
    line = f"{label}{text}"
    command, mark, does = text.partition("    # ")
    if width is None or len(line) <= width or not mark:
        return [line]
    return [f"{label}{command}", f"{' ' * len(label)}# {does}"]
