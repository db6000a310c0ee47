"""What a run has done so far: counts in memory for those who watch. Nothing is decided by them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.model import TERMINAL, EventKind, Job, State

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
    overdue: int = 0
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=2000))

    def begin(self, counts: Mapping[State, int]) -> None:
        """Start from the store's counts."""
        self.counts = Counter(counts)

    def moved(self, before: Job, after: Job, kind: EventKind, now: float) -> None:
        """A job went from one state to another."""
        if kind is EventKind.SUBMIT_ACCEPTED:
            self.submitted += 1
        if kind is EventKind.DOWNLOADED:
            self.downloaded += 1
        if kind is EventKind.TASK_OVERDUE:
            self.overdue += 1
        elif before.overdue and after.state is not State.SUBMITTED:
            self.overdue -= 1
        if not before.selected or before.orphan:
            return
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
        span = now - max(self.started, now - RATE_WINDOW_S)
        return len(recent) / span if span > 0 else None

    def remaining(self) -> int:
        """Selected jobs that this run still works on."""
        resting = (*TERMINAL, State.IN_DOUBT)
        return sum(n for state, n in self.counts.items() if state not in resting)
