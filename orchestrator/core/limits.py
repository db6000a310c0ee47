"""The arithmetic of limits: when the next call may be sent, when the next bytes may pass."""

from __future__ import annotations

from collections.abc import Callable

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


BURST_BYTES = 256 * 1024
"""What may pass at once after a pause."""
_LARGEST_PIECE, _SMALLEST_PIECE = 64 * 1024, 1024
_PIECES_PER_S = 8


def pass_bytes(
    free_at: float | None, now: float, size_bytes: int, per_s: float
) -> tuple[float, float]:
    """When a piece may pass that is ready at ``now``, and the new ``free_at``.

    ``free_at`` is what the last piece left behind (None: there was none), on the clock of ``now``;
    ``per_s`` is in bytes (> 0). In any window of T seconds no more passes than ``per_s`` x T and
    :data:`BURST_BYTES` besides (one piece, if that is larger). A piece that comes late may make up
    for the lost time within that burst.
    """
    full_at = now - BURST_BYTES / per_s
    start = full_at if free_at is None else max(free_at, full_at)
    end = start + size_bytes / per_s
    return max(now, end), end


class Throttle:
    """One bandwidth for everything that passes it, in whatever number of streams.

    ``bytes_per_s`` (> 0). ``clock`` gives seconds that never go backwards.
    """

    def __init__(self, bytes_per_s: float, clock: Callable[[], float]) -> None:
        self._per_s, self._clock = bytes_per_s, clock
        self._free_at: float | None = None
        self.piece_bytes = int(
            min(_LARGEST_PIECE, max(_SMALLEST_PIECE, bytes_per_s / _PIECES_PER_S))
        )
        """Pieces of this size flow smoothly: several a second, also on a narrow line."""

    def wait_s(self, size_bytes: int) -> float:
        """Let a piece pass: so many seconds (>= 0) from now on, after all pieces before it."""
        now = self._clock()
        passes_at, self._free_at = pass_bytes(self._free_at, now, size_bytes, self._per_s)
        return passes_at - now
