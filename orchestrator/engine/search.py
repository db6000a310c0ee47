"""The state of a run's search for the tasks of jobs in doubt: when to look, what was seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.model import AttemptKey, JobKey, TaskId

LOOKS_S = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""Seconds between looks at the evidence (scaled); the last one repeats."""


@dataclass(slots=True)
class Search:
    """The state of a run's search. Times are monotonic seconds.

    ``held``: attempts that stay in doubt: their horizon is over and the evidence was looked at
    after it, or could not be. ``unread``: looks in a row that could not read the credit log.
    ``deadlines``: when the horizon of each attempt ends. ``visible``: what the
    vendor would show of the jobs in doubt. ``silent``: charged tasks by the number of looks that
    learned nothing of them. ``arose`` counts the doubts of this run.
    """

    next_at: float = 0.0
    looks: int = 0
    looking: bool = False
    open: int = 0
    held: set[AttemptKey] = field(default_factory=set)
    deadlines: dict[AttemptKey, float] = field(default_factory=dict)
    unknown: dict[TaskId, int] = field(default_factory=dict)
    told: set[AttemptKey] = field(default_factory=set)
    unread: int = 0
    silent: dict[TaskId, int] = field(default_factory=dict)
    arose: int = 0
    visible: dict[JobKey, str] = field(default_factory=dict)

    def doubt_arose(self, job: JobKey, visible: str, now: float, scale: float) -> None:
        """Another job is in doubt: look soon, and often at first."""
        self.visible[job] = visible
        self.open += 1
        self.arose += 1
        self.looks = 0
        self.next_at = now + LOOKS_S[0] * scale

    def hint(self, now: float) -> None:
        """A webhook named a task: look now."""
        self.next_at = now

    def plan_next(self, now: float, scale: float) -> None:
        """Look again later; at the end of a horizon at the latest."""
        wait = LOOKS_S[min(self.looks, len(LOOKS_S) - 1)] * scale
        self.looks += 1
        ends = [at for at in self.deadlines.values() if at > now]
        self.next_at = min([now + wait, *(at + 0.01 for at in ends)])
