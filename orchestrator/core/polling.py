"""When to ask about which task: one schedule for all of them, and the waits between questions.

The schedule is a heap with lazy deletion: adding, moving and taking cost O(log n), so that
thousands of tasks in flight are as easy as two. It knows no clock; times are any seconds that
grow.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.model import JobKey

GROWTH = 1.25
"""Each wait is so many times the one before, until the ceiling."""
CEILING = 3.0
"""The longest ordinary wait, in poll intervals: 5 s grow to 15 s."""
OVERDUE_WAIT_S = 300.0
"""An overdue task is asked about this often (scaled)."""


def untaught_wait_s(asked: int, interval_s: float, rng: random.Random) -> float:
    """Seconds until the next question after ``asked`` (>= 0) questions, before anything is learned.

    Grows from ``interval_s`` to three times that, with 10 % jitter either way, so that tasks
    accepted together are not asked about together for ever.
    """
    steps = min(asked, 16)
    wait = min(interval_s * GROWTH**steps, interval_s * CEILING)
    return wait * rng.uniform(0.9, 1.1)


@dataclass(slots=True)
class PollSchedule:
    """Which job's task is asked about next. Each key has at most one due time."""

    _heap: list[tuple[float, JobKey]] = field(default_factory=list)
    _due: dict[JobKey, float] = field(default_factory=dict)

    def put(self, key: JobKey, due: float) -> None:
        """Ask about ``key`` at ``due``; replaces what was planned for it."""
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        if len(self._heap) > 64 + 2 * len(self._due):
            self._heap = [(at, k) for k, at in self._due.items()]
            heapq.heapify(self._heap)

    def drop(self, key: JobKey) -> None:
        """Ask no more about ``key``; nothing happens if it was not planned."""
        self._due.pop(key, None)

    def next_due(self) -> float | None:
        """The earliest due time, None when nothing is planned."""
        self._skip_stale()
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float, most: int) -> list[JobKey]:
        """Take up to ``most`` keys that are due at ``now``, the longest waiting first."""
        taken: list[JobKey] = []
        while len(taken) < most and (due := self.next_due()) is not None and due <= now:
            _, key = heapq.heappop(self._heap)
            del self._due[key]
            taken.append(key)
        return taken

    def _skip_stale(self) -> None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: JobKey) -> bool:
        return key in self._due

    def __iter__(self) -> Iterator[JobKey]:
        return iter(self._due)
