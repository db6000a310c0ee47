"""The arithmetic of limits: when the next call may be sent, when the next bytes may pass."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_FURTHEST_S = 600.0
"""A reservation further ahead than this comes from a clock that jumped..."""
_FURTHEST_INTERVALS = 20
"""...unless the calls are so far apart that a few reservations reach further."""
_EXACT = 1e-6
"""Shares of an interval that are smaller than this are errors of arithmetic."""


@dataclass(frozen=True, slots=True)
class Turns:
    """``count`` (>= 1) sending times, ``interval_s`` (> 0) apart from ``first`` on."""

    first: float
    interval_s: float
    count: int

    def __iter__(self) -> Iterator[float]:
        return (self.first + number * self.interval_s for number in range(self.count))

    @property
    def next_at(self) -> float:
        """When another turn may follow."""
        return self.first + self.count * self.interval_s


def reserve(next_at: float | None, now: float, interval_s: float, count: int) -> Turns:
    """Evenly spaced sending times for ``count`` (>= 1) calls.

    ``next_at`` is what the last reservation left behind (None: there was none, the first call
    may go at once). No time is before ``now``, and each is ``interval_s`` after the one before,
    also after those of earlier reservations. A ``next_at`` more than ten minutes ahead (or 20
    intervals, if that is longer) is taken for a clock that jumped, and ``now`` is used.
    """
    furthest = now + max(_FURTHEST_S, _FURTHEST_INTERVALS * interval_s)
    start = now if next_at is None or next_at > furthest else max(next_at, now)
    return Turns(start, interval_s, count)


class TurnQueue:
    """Reserved turns in their order, kept as rows: at high rates there are thousands."""

    def __init__(self) -> None:
        self._rows: deque[Turns] = deque()

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, turns: Turns) -> None:
        """These follow."""
        self._rows.append(turns)

    def clear(self) -> None:
        """Forget all."""
        self._rows.clear()

    @property
    def first(self) -> float:
        """The next turn. There is one."""
        return self._rows[0].first

    @property
    def second(self) -> float | None:
        """The turn after it, if there is one."""
        row = self._rows[0]
        if row.count > 1:
            return row.first + row.interval_s
        return self._rows[1].first if len(self._rows) > 1 else None

    def pop(self) -> float:
        """Take the next turn. There is one."""
        first = self.first
        self._skip(1)
        return first

    def drop_passed(self, at: float) -> None:
        """Forget the turns up to this time."""
        self._skip(self._passed(at))

    def drop_all_but_last(self, at: float) -> None:
        """Of the turns up to this time forget all but the last."""
        self._skip(max(0, self._passed(at) - 1))

    def _passed(self, at: float) -> int:
        """How many turns there are up to this time."""
        steps = (math.floor((at - row.first) / row.interval_s + _EXACT) + 1 for row in self._rows)
        rows = zip(self._rows, steps, strict=True)
        return sum(min(max(0, passed), row.count) for row, passed in rows)

    def _skip(self, count: int) -> None:
        while count > 0:
            row = self._rows.popleft()
            if row.count > count:
                first = row.first + count * row.interval_s
                self._rows.appendleft(Turns(first, row.interval_s, row.count - count))
            count -= row.count


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
