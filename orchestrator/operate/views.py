"""What an operator is shown: a sheet of steps, one a job, and the story of one job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.core.intervene import Effect, Ruling
from orchestrator.core.story import Story, Typed
from orchestrator.model import Job, State, TaskId
from orchestrator.store.base import BatchRow, StoredEvent

__all__ = ["Result", "Sheet", "Step", "Story", "Typed", "WhyView", "step_of"]


class Result(StrEnum):
    """What became (or, before it is carried out, would become) of one job."""

    CHANGE = "would_change"  # looked at, not carried out
    CHANGED = "changed"
    LEFT = "left"  # there was nothing to do
    REFUSED = "refused"  # it cannot or must not be done; the message says why
    STALE = "stale"  # somebody else changed the job meanwhile: not carried out


_BEFORE: Mapping[Effect, Result] = {
    Effect.CHANGE: Result.CHANGE,
    Effect.LEAVE: Result.LEFT,
    Effect.REFUSE: Result.REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One job, the ruling about it, and what came of it. ``after`` is its state since.

    ``data`` and ``task_id`` go with the event.
    """

    batch: BatchRow
    job: Job
    ruling: Ruling
    result: Result
    message: str
    after: State | None = None
    task_id: TaskId | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """BATCH/ID."""
        return f"{self.batch.name}/{self.job.job_id}"

    def to_json(self) -> dict[str, Any]:
        """One object of ``jobs`` in the documents of ``retry``, ``cancel`` and ``resolve``."""
        kind = self.ruling.kind
        return {
            "batch": self.batch.name,
            "id": self.job.job_id,
            "before": self.job.state.value,
            "after": None if self.after is None else self.after.value,
            "result": self.result.value,
            "event": None if kind is None else kind.value,
            "message": self.message,
            "warning": self.ruling.warning or None,
        }


def step_of(batch: BatchRow, job: Job, ruling: Ruling, **more: Any) -> Step:
    """The step as it stands before anything is carried out."""
    result = _BEFORE[ruling.effect]
    return Step(batch=batch, job=job, ruling=ruling, result=result, message=ruling.words, **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Every job that a command is about. ``running``: batches on which a run is at work.

    ``rehearsal``: the jobs are rehearsals, which nothing was paid for. ``rehearsed_too``: they are
    not, and there are rehearsals of the same names.
    """

    command: str
    rehearsal: bool
    steps: tuple[Step, ...]
    running: frozenset[str] = frozenset()
    rehearsed_too: bool = False

    def count(self, result: Result) -> int:
        """Steps with this result."""
        return sum(step.result is result for step in self.steps)

    @property
    def exit_code(self) -> int:
        """0; 1 if some job could not be changed, or if there was nothing to resolve."""
        if self.count(Result.REFUSED) or self.count(Result.STALE):
            return 1
        nothing = self.count(Result.LEFT) == len(self.steps)
        return 1 if nothing and self.command == "resolve" else 0

    def to_json(self) -> dict[str, Any]:
        """The document of ``retry``, ``cancel`` and ``resolve``."""
        counts = Counter(step.result for step in self.steps)
        return {
            "command": self.command,
            "rehearsal": self.rehearsal,
            "counts": {result.value: counts[result] for result in Result if counts[result]},
            "jobs": [step.to_json() for step in self.steps],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyView:
    """The story of one job, and the events that it was made from.

    ``rehearsed_too``: the job is a real one, and there is a rehearsal of the same name.
    """

    batch: str
    job: Job
    rehearsal: bool
    story: Story
    events: tuple[StoredEvent, ...]
    rehearsed_too: bool = False

    def to_json(self) -> dict[str, Any]:
        """The document of ``why``."""
        story = self.story
        return {
            "batch": self.batch,
            "id": self.job.job_id,
            "rehearsal": self.rehearsal,
            "state": self.job.state.value,
            "task_id": self.job.task_id,
            "output": str(self.job.spec.output),
            "credits": self.job.credits,
            "headline": story.headline,
            "known": list(story.known),
            "attempts": list(story.attempts),
            "next": list(story.next),
            "commands": [{"command": c.command, "does": c.does} for c in story.commands],
            "events": [
                _event(stored, told.attempt, told.sentence)
                for stored, told in zip(self.events, story.history, strict=True)
            ],
        }


def _event(stored: StoredEvent, attempt: int | None, sentence: str) -> dict[str, Any]:
    event = stored.event
    return {
        "at": event.at,
        "kind": event.kind.value,
        "before": stored.before.value,
        "after": stored.after.value,
        "attempt": attempt,
        "task_id": event.task_id,
        "reason": event.reason or None,
        "message": event.message or None,
        "data": dict(event.data),
        "sentence": sentence,
    }
