"""What a run has done so far: counts in memory for those who watch. Nothing is decided by them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.model import TERMINAL, EventKind, Job, JobKey, State

RATE_WINDOW_S = 900.0
"""The rate is measured over at most the last quarter of an hour."""


@dataclass(slots=True)
class Tally:
    """Selected jobs by state, and what this run did. Times are monotonic seconds."""

    started: float
    counts: Counter[State] = field(default_factory=Counter)
    uploaded: int = 0
    submitted: int = 0
    downloaded: int = 0
    done_here: int = 0
    _overdue: set[JobKey] = field(default_factory=set)
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=2000))

    def begin(self, counts: Mapping[State, int]) -> None:
        """Start from the store's counts."""
        self.counts = Counter(counts)

    @property
    def overdue(self) -> int:
        """Selected jobs whose task is overdue, as far as this run has seen it."""
        return len(self._overdue)

    def moved(self, before: Job, after: Job, kind: EventKind, now: float) -> None:
        """A job went from one state to another."""
        if kind is EventKind.SUBMIT_ACCEPTED:
            self.submitted += 1
        if kind is EventKind.DOWNLOADED:
            self.downloaded += 1
        if not before.selected or before.orphan:
            return
        if after.overdue and after.state is State.SUBMITTED:
            self._overdue.add(after.key)
        else:
            self._overdue.discard(after.key)
        self.counts[before.state] -= 1
        self.counts[after.state] += 1
        if after.state in TERMINAL and before.state not in TERMINAL:
            self.done_here += after.state is State.DONE
            self._ends.append(now)

    def rate_per_s(self, now: float) -> float | None:
        """Jobs that came to rest per second, lately; None before the second one."""
        recent = [at for at in self._ends if at > now - RATE_WINDOW_S]
        if len(recent) < 2:
            return None
        forgotten = len(self._ends) == self._ends.maxlen
        since = recent[0] if forgotten else max(self.started, now - RATE_WINDOW_S)
        span = now - since
        return len(recent) / span if span > 0 else None

    def remaining(self) -> int:
        """Selected jobs that this run still works on."""
        resting = (*TERMINAL, State.IN_DOUBT)
        return sum(n for state, n in self.counts.items() if state not in resting)
