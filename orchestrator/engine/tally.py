"""What a run has done so far: counts in memory for those who watch. Nothing is decided by them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.engine.progress import Stage
from orchestrator.model import TERMINAL, EventKind, Job, JobKey, State

_BEHIND: Mapping[Stage, frozenset[State]] = {
    Stage.PREPARED: frozenset(
        {
            *(State.READY, State.SUBMITTING, State.IN_DOUBT, State.SUBMITTED, State.RENDERED),
            State.DONE,
        }
    ),
    Stage.SUBMITTED: frozenset({State.IN_DOUBT, State.SUBMITTED, State.RENDERED, State.DONE}),
    Stage.RENDERED: frozenset({State.RENDERED, State.DONE}),
    Stage.DONE: frozenset({State.DONE}),
}
"""Which states say that a stage is behind the job."""

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
    _fell: Counter[State] = field(default_factory=Counter)
    _furthest: dict[Stage, int] = field(default_factory=dict)
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
            self._fell[before.state] += after.state is not State.DONE
            self._ends.append(now)

    def reached(self) -> dict[Stage, int]:
        """How many selected jobs have each stage behind them, those that failed since included.

        Never less than it was told before: a job that is rendered again, or whose file is
        uploaded again, had come so far all the same.
        """
        total = sum(self.counts.values())
        for stage, states in _BEHIND.items():
            there = sum(self.counts[state] + self._fell[state] for state in states)
            self._furthest[stage] = min(total, max(there, self._furthest.get(stage, 0)))
        return dict(self._furthest)

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
