"""Numbers as every face shows them. Pure; times of day are given in the machine's own zone."""

from __future__ import annotations

from datetime import datetime

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")


def number(value: int) -> str:
    """``12345`` as ``12,345``."""
    return f"{value:,}"


def credits(value: float) -> str:
    """Credits with at most two decimals: ``12``, ``12.5``, ``1,200``."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def size(size_bytes: int) -> str:
    """Decimal units with three digits at the most: ``999 B``, ``1.5 kB``, ``412 MB``."""
    value, unit = float(size_bytes), 0
    while round(value) >= 1000 and unit < len(_SIZES) - 1:
        value, unit = value / 1000, unit + 1
    digits = 1 if unit and value < 9.95 else 0
    return f"{value:.{digits}f} {_SIZES[unit]}"


def clip(seconds: float) -> str:
    """The length of a video as players show it: ``0:07``, ``12:04``, ``1:00:00``."""
    whole = max(1, round(seconds))
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def span(seconds: float) -> str:
    """Two units at the most: ``0 s``, ``59 s``, ``12 min 4 s``, ``5 h 10 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    for unit_s, unit, smaller_s, smaller in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit_s:
            rest = whole % unit_s // smaller_s
            return f"{number(whole // unit_s)} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def per_hour(rate: float) -> str:
    """``0.4``, ``58``, ``1,200``."""
    return f"{rate:.1f}" if rate < 10 else f"{rate:,.0f}"


def moment(at: float) -> str:
    """Unix seconds as local date and time, ``2026-03-01 12:04``."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
