"""What a running engine tells those who watch: a snapshot on demand, and notices as they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from orchestrator.model import JobId, State


class Level(StrEnum):
    """How much a notice matters to the person who reads it."""

    INFO = "info"  # the batch goes its way
    PROBLEM = "problem"  # something went wrong; the batch goes on
    STOP = "stop"  # why the run comes to an end before every job rests


class Stage(StrEnum):
    """What a job has behind it on its way, in order."""

    PREPARED = "prepared"  # all files that it needs (there may be none) are at the vendor
    SUBMITTED = "submitted"  # the vendor has it, or (in doubt) may have it
    RENDERED = "rendered"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing worth telling, as a whole sentence. ``job`` is None if it is about the run."""

    at: float
    level: Level
    message: str
    job: JobId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A snapshot of a run.

    ``started_at`` and ``now`` are Unix seconds. ``counts`` are the selected jobs by state (states
    with none left out); ``total`` their sum; ``reached`` how many of them have each stage behind
    them, which never goes back within a run: a job that fails has got as far as it got.
    ``done_here``, ``uploaded``, ``submitted``, ``downloaded`` count what this run did.
    ``rate_per_h`` and ``eta_s`` are None until something was finished. ``waiting_for`` is a phrase
    for what the run waits for, "" when it is busy.
    """

    batch: str
    started_at: float
    now: float
    counts: Mapping[State, int] = field(default_factory=dict)
    total: int = 0
    reached: Mapping[Stage, int] = field(default_factory=dict)
    done_here: int = 0
    uploaded: int = 0
    submitted: int = 0
    downloaded: int = 0
    uploading: int = 0
    submitting: int = 0
    rendering: int = 0
    downloading: int = 0
    slots: int = 0
    overdue: int = 0
    rate_per_h: float | None = None
    eta_s: float | None = None
    draining: bool = False
    waiting_for: str = ""


class Observer(Protocol):
    """Somebody who watches a run: the live view, a log, a test."""

    def notice(self, notice: Notice) -> None:
        """Called on the event loop; must not block."""

    def watch(self, run: Watched) -> None:
        """Called once, when the run begins to work."""


class Watched(Protocol):
    """What an observer may ask and do while the run works."""

    def progress(self) -> Progress:
        """A snapshot as of now; cheap."""

    def drain(self, reason: str) -> None:
        """Start nothing more, let what is on its way arrive (up to 30 s), then end."""

    def abort(self) -> None:
        """End at once. What is not checkpointed is found out by the next run."""


class Silent:
    """An observer that hears nothing."""

    def notice(self, notice: Notice) -> None:
        """Ignore it."""

    def watch(self, run: Watched) -> None:
        """Ignore it."""
