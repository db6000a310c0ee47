"""The arithmetic of limits: when the next call may be sent."""

from __future__ import annotations

_FURTHEST_S = 600.0
"""A reservation further ahead than this comes from a clock that jumped..."""
_FURTHEST_INTERVALS = 20
"""...unless the calls are so far apart that a few reservations reach further."""


def reserve(
    next_at: float | None, now: float, interval_s: float, count: int
) -> tuple[tuple[float, ...], float]:
    """Evenly spaced sending times for ``count`` (>= 0) calls, and the new ``next_at``.

    ``next_at`` is what the last reservation left behind (None: there was none, the first call
    may go at once). No time is before ``now``, and each is ``interval_s`` after the one before,
    also after those of earlier reservations. A ``next_at`` more than ten minutes ahead (or 20
    intervals, if that is longer) is taken for a clock that jumped, and ``now`` is used.
    """
    furthest = now + max(_FURTHEST_S, _FURTHEST_INTERVALS * interval_s)
    start = now if next_at is None or next_at > furthest else max(next_at, now)
    times = tuple(start + number * interval_s for number in range(count))
    return times, start + count * interval_s
