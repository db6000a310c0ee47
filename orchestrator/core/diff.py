"""What a manifest changes about a batch: one row for each case, with its reason.

Pure: what the disk holds at the output path is given as a :class:`Look`. The application carries
the verdicts out; ``plan`` prints them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from orchestrator.model import PAID_FOR, EventKind, State

KEPT_BY_VENDOR_S = 7 * 86400.0
"""The vendor keeps finished videos this long (``docs/vendor.md``)."""

WHOLE = 24
"""Values of a changed key are shown whole if neither has more characters."""
PART = 30
"""So many characters of a longer one are shown, ..."""
LEAD = 14
"""... at most so many of them before the first difference."""


class Case(StrEnum):
    """What happens to one job."""

    NEW = "new"
    KEEP = "keep"
    GOING = "going"
    CHANGED = "changed"
    CHANGED_LATER = "changed_later"
    ADOPT = "adopt"
    RETRY = "retry"
    RESTING = "resting"
    LOST_FILE = "lost_file"
    IN_DOUBT = "in_doubt"
    MOVE = "move"
    SKIPPED = "skipped"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Sizes in bytes of the file at the wanted output path and at the stored one; None: no file."""

    wanted: int | None
    stored: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the store knows of a job, as far as a diff depends on it."""

    state: State
    same_revision: bool
    changes: str
    same_output: bool
    output_bytes: int | None
    task_age_s: float | None
    task_may_deliver: bool
    revival: EventKind
    doubt_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The case, a phrase that gives the reason, and the event that starts it, if any."""

    case: Case
    reason: str
    event: EventKind | None = None


def rule_new(look: Look, *, overwrite: bool, skip_existing: bool) -> Ruling:
    """What happens to a job that the store does not know."""
    if look.wanted is None:
        return Ruling(case=Case.NEW, reason="not made yet")
    if skip_existing:
        return Ruling(case=Case.SKIPPED, reason="its output file exists (--skip-existing)")
    if overwrite:
        return Ruling(case=Case.NEW, reason="not made by this batch; replaces a file (--overwrite)")
    return Ruling(case=Case.CONFLICT, reason="its output file exists, but this batch never made it")


def rule_known(past: Past, look: Look, *, retry_failed: bool, overwrite: bool) -> Ruling:
    """What happens to a job that the store knows."""
    if not past.same_revision:
        return _changed(past)
    if (ruling := rule_by_state(past.state)) is not None:
        return ruling
    if past.state is State.DONE:
        return _done(past, look, overwrite)
    if not retry_failed:
        return Ruling(case=Case.RESTING, reason="failed before; --retry-failed tries again")
    if past.doubt_open:
        reason = "given up while in doubt: may have been paid for; orchestrator resolve settles it"
        return Ruling(case=Case.RESTING, reason=reason)
    return Ruling(case=Case.RETRY, reason="failed before (--retry-failed)", event=past.revival)


_CANCELLED = Ruling(case=Case.RESTING, reason="cancelled by an operator")
_DOUBTFUL = Ruling(case=Case.IN_DOUBT, reason="may have been paid for; never sent blindly again")
_TASK_KNOWN = Ruling(case=Case.GOING, reason="its task is known; asked about first")
_WAITING = Ruling(case=Case.GOING, reason="not submitted yet")


def rule_by_state(state: State) -> Ruling | None:
    """What happens to a job of the same revision whose state alone decides; None: it does not."""
    match state:
        case State.CANCELLED:
            return _CANCELLED
        case State.IN_DOUBT | State.SUBMITTING:
            return _DOUBTFUL
        case State.SUBMITTED | State.RENDERED:
            return _TASK_KNOWN
        case State.PENDING | State.READY:
            return _WAITING
        case State.DONE | State.FAILED:
            return None
        case _:
            assert_never(state)


def _changed(past: Past) -> Ruling:
    reason = f"changed: {past.changes}"
    if past.state in PAID_FOR:
        later = f"{reason}; made anew when the version under way has come to rest"
        return Ruling(case=Case.CHANGED_LATER, reason=later)
    return Ruling(case=Case.CHANGED, reason=reason, event=EventKind.REVISED)


def _done(past: Past, look: Look, overwrite: bool) -> Ruling:
    if not past.same_output:
        moved = _moved(past, look, overwrite)
        if moved is not None:
            return moved
    elif look.wanted is not None:
        same = past.output_bytes is None or look.wanted == past.output_bytes
        return Ruling(case=Case.KEEP, reason="done" if same else "done; its file was changed since")
    return _fetch_again(past)


def _moved(past: Past, look: Look, overwrite: bool) -> Ruling | None:
    """The output path changed; None when the video is at neither place."""
    if look.wanted is not None and look.wanted == past.output_bytes:
        return Ruling(case=Case.MOVE, reason="done; already at its new path", event=EventKind.MOVED)
    if look.wanted is not None and not overwrite:
        return Ruling(case=Case.CONFLICT, reason="another file is at its new output path")
    if look.stored is not None and look.stored == past.output_bytes:
        reason = "done; copied to its new output path"
        return Ruling(case=Case.MOVE, reason=reason, event=EventKind.MOVED)
    return None


def _fetch_again(past: Past) -> Ruling:
    age = past.task_age_s
    if past.task_may_deliver and age is not None and age < KEPT_BY_VENDOR_S:
        reason = "done, but its file is gone: fetched again for nothing"
        return Ruling(case=Case.ADOPT, reason=reason, event=EventKind.FILE_GONE)
    reason = "done, but its file is gone and the vendor no longer keeps it (7 days)"
    return Ruling(case=Case.LOST_FILE, reason=reason)


def changed_fields(differences: Sequence[tuple[str, str | None, str | None]]) -> str:
    """Name what differs between two revisions: "audio.text (old -> new), mode (...)".

    Of long values the part around the first difference is shown, in quotes.
    """
    return ", ".join(f"{key} ({_told(old, new)})" for key, old, new in differences)


def _told(old: str | None, new: str | None) -> str:
    if max(len(old or ""), len(new or "")) <= WHOLE:
        return f"{'none' if old is None else old} -> {'none' if new is None else new}"
    start = _start(old or "", new or "")
    return f"{_part(old, start)} -> {_part(new, start)}"


def _start(old: str, new: str) -> int:
    """Where to begin to show two texts: a word or so before their first difference."""
    pairs = enumerate(zip(old, new, strict=False))
    differs = next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))
    if differs <= LEAD:
        return 0
    space = old.find(" ", differs - LEAD, differs - 1)
    return differs - LEAD if space < 0 else space + 1


def _part(value: str | None, start: int) -> str:
    if value is None:
        return "none"
    end = start + PART
    return f'"{"…" * (start > 0)}{value[start:end]}{"…" * (end < len(value))}"'
