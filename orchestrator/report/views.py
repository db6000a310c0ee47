"""The read model: what every face prints, computed once from rows.

``to_json`` of a view is the documented JSON of the command line (``docs/json.md``); its keys are
a promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.model import Complaint, JobId, Revision, State, TaskId
from orchestrator.report.told import NOTHING, Told

PLAN_VERSION = 1
"""Of the plan's document, which ``run --plan`` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job as people see it. ``error`` is a sentence, None while all is well.

    ``rehearsal``: it was made (or will be) against the emulator. ``given_up``: it failed because
    somebody gave it up in doubt, so only ``resolve`` brings it back.
    """

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
    rehearsal: bool = False
    given_up: bool = False

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

    ``jobs`` may be 100,000, and asyncio makes the text of whatever a loop's main task returns.
    ``running`` says which process holds the batch ("pid 4711 on host"), None if none does.
    ``rehearsal``: made against the emulator, in a state folder of its own. ``last_began_at`` is
    None if it was never run, ``last_ended_at`` if its last run left no end behind. ``told``: what
    that run was told; ``left_out``: jobs of the manifest that it left out for that, and that no
    run has begun (neither in ``counts`` nor in ``jobs``).
    """

    batch: str
    manifest: str
    rehearsal: bool
    counts: Mapping[State, int]
    jobs: tuple[JobView, ...] = field(repr=False)
    orphans: int = 0
    overdue: int = 0
    credits: float | None = None
    running: str | None = None
    last_exit: int | None = None
    last_ended_at: float | None = None
    last_began_at: float | None = None
    left_out: int = 0
    told: Told = NOTHING

    @property
    def total(self) -> int:
        """Jobs of the manifest, those that were left out included."""
        return sum(self.counts.values()) + self.left_out

    @property
    def not_started(self) -> int:
        """Jobs that were left out and have no video yet."""
        return max(0, self.left_out - self.told.existing)

    @property
    def doubtful(self) -> str:
        """One of the jobs in doubt; "JOB" if there is none."""
        found = (job.id for job in self.jobs if job.state is State.IN_DOUBT and not job.orphan)
        return next(found, "JOB")

    @property
    def cut_off(self) -> bool:
        """The last run left no end behind, and none is at work: it was killed."""
        began = self.last_began_at is not None
        return began and self.last_ended_at is None and self.running is None

    @property
    def given_up(self) -> int:
        """Failed jobs that ``run --retry-failed`` leaves alone, and only ``resolve`` moves."""
        return sum(job.given_up and not job.orphan for job in self.jobs)

    def to_json(self) -> dict[str, Any]:
        """The object of ``status --json``."""
        return {
            "batch": self.batch,
            "counts": {state.value: n for state, n in self.counts.items()},
            "jobs": [job.to_json() for job in self.jobs],
            "left_out": self.left_out,
        }


class Why(StrEnum):
    """What a run would do with one job."""

    CONFLICT = "conflict"  # a file that this batch did not make is at its output path: run stops
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
    UNSELECTED = "unselected"  # not chosen by --only, --limit or --sample


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLine:
    """One job of a plan and the reason for what happens to it.

    ``revision`` is that of a job which would be submitted, and so paid for; None for others.
    """

    id: JobId
    what: Why
    reason: str
    revision: Revision | None = None

    def to_json(self) -> dict[str, Any]:
        """The job's object in ``plan --json``."""
        return {
            "id": self.id,
            "what": self.what.value,
            "reason": self.reason,
            "revision": self.revision,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the videos would take, as far as that can be said before.

    ``render_s``: seconds that one video renders, ``learned`` from earlier ones or merely assumed;
    ``videos``: so many earlier ones it is learned from, 0 where it is assumed.
    ``in_flight``: so many render at once. ``time_s``: all of it, None where nobody said.
    """

    render_s: float = 0.0
    in_flight: int = 1
    learned: bool = False
    videos: int = 0
    time_s: float | None = None


def pace_of(submits: int, *, interval_s: float, in_flight: int, render_s: float) -> Pace:
    """An estimate: slots turn over once a render, and submits leave at least ``interval_s`` apart.

    Nothing to submit takes no time.
    """
    if submits == 0:
        return Pace(render_s=render_s, in_flight=in_flight, time_s=0.0)
    last_submit_s = max((submits - 1) * interval_s, (submits - 1) // in_flight * render_s)
    time_s = last_submit_s + render_s
    return Pace(render_s=render_s, in_flight=in_flight, time_s=time_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """What ``run`` would do, and why. Nothing was spent to find out.

    ``credits_estimate`` is an estimate and labelled so; of ``credits_learned`` of the submits it
    is learned from the account's own charges. ``balance`` is None without credentials or when
    the vendor did not answer. ``terms`` are settings that may cost money later, ``account`` a
    salted mark of the account (None: not known); ``run --plan`` compares both.
    """

    batch: str
    manifest: str
    rehearsal: bool
    lines: tuple[PlanLine, ...] = field(repr=False)
    upload_files: int
    upload_bytes: int
    uploaded_already: int
    submits: int
    credits_estimate: float
    balance: float | None
    at_least_s: float
    warnings: tuple[Complaint, ...] = ()
    credits_learned: int = 0
    pace: Pace = Pace()
    terms: Mapping[str, Any] = field(default_factory=dict)
    account: str | None = None

    @property
    def counts(self) -> dict[Why, int]:
        """Jobs by what happens to them, in the order of ``Why``, without zeros."""
        found = Counter(line.what for line in self.lines)
        return {why: found[why] for why in Why if found[why]}

    def to_json(self) -> dict[str, Any]:
        """The object of ``plan --json``."""
        return {
            "version": PLAN_VERSION,
            "batch": self.batch,
            "manifest": self.manifest,
            "rehearsal": self.rehearsal,
            "account": self.account,
            "terms": dict(self.terms),
            "counts": {why.value: n for why, n in self.counts.items()},
            "jobs": [line.to_json() for line in self.lines],
            "uploads": {
                "files": self.upload_files,
                "bytes": self.upload_bytes,
                "already_there": self.uploaded_already,
            },
            "submits": self.submits,
            "credits": {
                "estimate": self.credits_estimate,
                "learned_submits": self.credits_learned,
                "balance": self.balance,
            },
            "at_least_s": self.at_least_s,
            "time": {
                "estimate_s": self.pace.time_s,
                "render_s": self.pace.render_s,
                "learned": self.pace.learned,
                "learned_videos": self.pace.videos,
                "in_flight": self.pace.in_flight,
            },
            "run_stops": Why.CONFLICT in self.counts,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """How a run ended. ``headline`` is the one line to read the next morning.

    ``next_steps`` are commands to type, each with why, most useful first. ``report`` is the page
    with the videos, "" if there is none. ``notes`` are sentences for people.
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
    notes: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
