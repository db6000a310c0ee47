"""From the flags of ``run`` and ``plan`` to the options of the facade, and back to a command."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from orchestrator.app import Rehearsal, RunOptions, duration_s
from orchestrator.approval import Approved, read_plan
from orchestrator.cli import words
from orchestrator.cli.options import positive
from orchestrator.errors import UsageError


def rehearsal(emulator: bool, faults: Path | None, time_scale: float | None) -> Rehearsal | None:
    """What the emulator's flags ask for; None without ``--emulator``.

    Raises:
        UsageError: a flag of the emulator without it, or an impossible value.
    """
    positive(time_scale)
    if not emulator:
        if faults is not None or time_scale is not None:
            flag = "--time-scale" if faults is None else "--faults"
            raise UsageError(f"{flag} is for the emulator: add --emulator, or leave it out")
        return None
    if time_scale is None:
        return Rehearsal(faults=faults)
    return Rehearsal(faults=faults, time_scale=time_scale)


def checked(options: RunOptions) -> RunOptions:
    """The options, if they do not contradict each other.

    Raises:
        UsageError: they do.
    """
    if options.sample is not None and options.limit is not None:
        raise UsageError("--sample and --limit both say how many jobs to start: give one of them")
    if options.overwrite and options.skip_existing:
        raise UsageError(
            "--overwrite and --skip-existing contradict each other: give one of them, "
            "or none to be told which files exist"
        )
    return options


def approved(path: Path | None) -> Approved | None:
    """The plan that ``--plan`` names; None without the flag.

    Raises:
        UsageError: it cannot be read.
    """
    return None if path is None else read_plan(path)


def time_window_s(max_time: str | None, until: str | None, now: datetime) -> float | None:
    """How long a run may submit: the shorter of both, None without either.

    ``now``: this machine's local time, without a zone.

    Raises:
        UsageError: one of them cannot be read.
    """
    given = [_max_time_s(max_time), _seconds_until(until, now)]
    return min((seconds for seconds in given if seconds is not None), default=None)


def _max_time_s(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = duration_s(text.strip())
    if seconds is None or seconds <= 0:
        raise UsageError(f'--max-time "{text}" is no duration; write it like 90m, 6h or 1h30m')
    return seconds


def _seconds_until(text: str | None, now: datetime) -> float | None:
    if text is None:
        return None
    try:
        clock = datetime.strptime(text.strip(), "%H:%M").time()
    except ValueError:
        raise UsageError(f'--until "{text}" is no time of day; write it like 06:00') from None
    at = datetime.combine(now.date(), clock)
    if at <= now:
        at += timedelta(days=1)
    # Through the epoch, so that a night in which the clocks are changed has its true length.
    return at.timestamp() - now.timestamp()


def resume_command(manifest: Path, options: RunOptions, state: Path | None) -> str:
    """The command that goes on where this run stops.

    Permissions that were given once (``--overwrite`` and the like) are not repeated.
    """
    parts: list[str | Path] = ["run", manifest]
    if options.rehearsal is not None:
        parts += options.rehearsal.flags()
    for pattern in options.only:
        parts += ["--only", pattern]
    if options.approved is not None:
        parts += ["--plan", options.approved.path]
    if state is not None:
        parts += ["--state", state]
    return words.command(*parts)


def same_command(manifest: Path, options: RunOptions, state: Path | None) -> str:
    """The run that a plan with these options is about."""
    flags: list[str | Path] = []
    if options.sample is not None:
        flags += ["--sample", str(options.sample)]
    if options.limit is not None:
        flags += ["--limit", str(options.limit)]
    switches = (
        (options.retry_failed, "--retry-failed"),
        (options.overwrite, "--overwrite"),
        (options.skip_existing, "--skip-existing"),
        (options.new_account, "--new-account"),
        (options.same_batch, "--same-batch"),
    )
    flags += [flag for given, flag in switches if given]
    again = resume_command(manifest, options, state)
    return " ".join([again, *map(words.quoted, flags)])
