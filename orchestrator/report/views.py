"""The read model: what every face prints, computed once from rows.

``to_json`` of a view is the documented JSON of the command line (``docs/json.md``); its keys are
a promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.model import Complaint, JobId, State, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job as people see it. ``error`` is a sentence, None while all is well."""

    id: JobId
    state: State
    task_id: TaskId | None
    output: str
    attempts: int
    credits: float | None
    error: str | None
    overdue: bool = False
    orphan: bool = False
    tags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The job's object in ``status --json`` and ``jobs --json``."""
        return {
            "id": self.id,
            "state": self.state.value,
            "task_id": self.task_id,
            "output": self.output,
            "attempts": self.attempts,
            "credits": self.credits,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """One batch: counts by state (without orphans), its jobs, and who works on it.

    ``running`` says which process holds the batch ("pid 4711 on host"), None if none does.
    ``rehearsal``: made against the emulator, in a state folder of its own.
    """

    batch: str
    manifest: str
    rehearsal: bool
    counts: Mapping[State, int]
    jobs: tuple[JobView, ...]
    orphans: int = 0
    overdue: int = 0
    credits: float | None = None
    running: str | None = None
    last_exit: int | None = None
    last_ended_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of ``status --json``."""
        return {
            "batch": self.batch,
            "counts": {state.value: n for state, n in self.counts.items()},
            "jobs": [job.to_json() for job in self.jobs],
        }


class Why(StrEnum):
    """What a run would do with one job."""

    NEW = "new"
    KEEP = "keep"  # done and unchanged, its file is there
    GOING = "going"  # on its way already: goes on where it was
    CHANGED = "changed"  # another revision is asked for
    ADOPT = "adopt"  # done or failed, but its task can still deliver the file for nothing
    RETRY = "retry"  # failed or cancelled, and --retry-failed was given
    RESTING = "resting"  # failed or cancelled: stays so
    IN_DOUBT = "in_doubt"  # nobody knows yet whether it was paid for
    MOVE = "move"  # only its output path changed: the file is copied
    ORPHAN = "orphan"  # left the manifest
    UNSELECTED = "unselected"  # not chosen by --only or --limit


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """One job of a plan and the reason for what happens to it."""

    id: JobId
    what: Why
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """What ``run`` would do, and why. Nothing was spent to find out.

    ``credits_estimate`` is an estimate and labelled so; ``balance`` is None without credentials
    or when the vendor did not answer.
    """

    batch: str
    manifest: str
    rehearsal: bool
    lines: tuple[PlanLine, ...]
    upload_files: int
    upload_bytes: int
    uploaded_already: int
    submits: int
    credits_estimate: float
    balance: float | None
    at_least_s: float
    warnings: tuple[Complaint, ...] = ()

    @property
    def counts(self) -> dict[Why, int]:
        """Jobs by what happens to them, in the order of ``Why``, without zeros."""
        found = [line.what for line in self.lines]
        return {why: n for why in Why if (n := found.count(why))}

    def to_json(self) -> dict[str, Any]:
        """The object of ``plan --json``."""
        return {
            "batch": self.batch,
            "counts": {why.value: n for why, n in self.counts.items()},
            "jobs": [{"id": x.id, "what": x.what.value, "reason": x.reason} for x in self.lines],
            "uploads": {
                "files": self.upload_files,
                "bytes": self.upload_bytes,
                "already_there": self.uploaded_already,
            },
            "submits": self.submits,
            "credits": {"estimate": self.credits_estimate, "balance": self.balance},
            "at_least_s": self.at_least_s,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """How a run ended. ``headline`` is the one line to read the next morning.

    ``next_steps`` are commands to type, each with why, most useful first. ``report`` is the page
    with the videos, "" if there is none.
    """

    status: BatchView
    exit_code: int
    headline: str
    uploaded: int
    submitted: int
    downloaded: int
    elapsed_s: float
    next_steps: tuple[str, ...] = ()
    outputs: str = ""
    report: str = ""
    state_dir: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
