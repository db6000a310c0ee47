"""Times and sizes as people read them, for sentences that the core makes. Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo

_STEPS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))
_UNITS = ("B", "kB", "MB", "GB", "TB")


def span(seconds: float) -> str:
    """At most two units: ``0 s``, ``59 s``, ``12 min 4 s``, ``5 h 10 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    for size, unit, below, smaller in _STEPS:
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def age(seconds: float) -> str:
    """``2 h 3 min ago``; ``just now`` under a second, or if a clock went back."""
    return "just now" if seconds < 1 else f"{span(seconds)} ago"


def ahead(seconds: float) -> str:
    """``in 2 h 3 min``, or how long ago it was."""
    return f"in {span(seconds)}" if seconds >= 1 else age(-seconds)


def moment(at: float, zone: tzinfo | None) -> str:
    """Unix seconds as ``2026-03-01 12:04:05`` in ``zone``; None is the machine's own."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def words_of_bytes(count: int) -> str:
    """Decimal units: ``999 B``, ``1.5 kB``, ``412 MB``."""
    value, unit = float(count), 0
    while round(value) >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.{1 if unit and value < 9.95 else 0}f} {_UNITS[unit]}"


def credits(count: float) -> str:
    """``1 credit``, ``2.5 credits``."""
    return f"{count:g} credit{'' if count == 1 else 's'}"
