"""Watching a run without a terminal: one line a minute, one line per problem, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from orchestrator.cli import words
from orchestrator.cli.writer import Every, Writer, every
from orchestrator.engine.progress import Level, Notice, Progress, Watched
from orchestrator.model import State

INTERVAL_S = 60.0


class Lines:
    """Plain lines for a log or a mail: local time, batch, what happened. No control characters.

    ``quiet`` leaves only the problems and the reason why a run stops.
    """

    def __init__(
        self, stream: TextIO, writer: Writer, *, quiet: bool = False, schedule: Every = every
    ) -> None:
        self._stream, self._writer, self._quiet = stream, writer, quiet
        self._schedule = schedule
        self._run: Watched | None = None
        self._stop: Callable[[], None] | None = None

    def start(self) -> None:
        """Nothing to show before the run begins to work."""

    def watch(self, run: Watched) -> None:
        """Say what the run begins with; from now on one line a minute."""
        self._run = run
        if self._quiet:
            return
        now = run.progress()
        self._line(now.now, f"{now.batch}: run begins, {standing(now)}")
        self._stop = self._schedule(INTERVAL_S, self._minute)

    def notice(self, notice: Notice) -> None:
        """Write a problem or a reason to stop; what is merely told only before work begins
        (warnings about the manifest, the balance)."""
        if notice.level is Level.INFO and (self._quiet or self._run is not None):
            return
        about = f"{notice.job}: " if notice.job else ""
        self._line(notice.at, f"{notice.level.value}: {about}{words.one_line(notice.message)}")

    def say(self, text: str) -> None:
        """Write a sentence of the command line itself, also when quiet."""
        self._put(text)

    def let_go(self) -> None:
        """Nothing is held."""

    def finish(self) -> None:
        """Write the end line."""
        if self._stop is not None:
            self._stop()
        if self._run is not None and not self._quiet:
            end = self._run.progress()
            took = words.duration(end.now - end.started_at)
            self._line(end.now, f"{end.batch}: run ends after {took}, {standing(end)}")

    def close(self) -> None:
        """Wait until everything is written."""
        self._writer.close()

    def _minute(self) -> None:
        if self._run is not None:
            now = self._run.progress()
            self._line(now.now, f"{now.batch}: {pulse(now)}")

    def _line(self, at: float, text: str) -> None:
        self._put(f"{words.clock(at)} {text}")

    def _put(self, text: str) -> None:
        def piece() -> None:
            self._stream.write(f"{text}\n")
            self._stream.flush()

        self._writer.put(piece)


def standing(progress: Progress) -> str:
    """``120 of 500 done, 2 failed``: what holds whether or not anything is going on."""
    done = words.number(progress.counts.get(State.DONE, 0))
    troubled = (State.FAILED, State.CANCELLED, State.IN_DOUBT)
    total = words.number(progress.total)
    return words.sentence([f"{done} of {total} done", *words.tally(progress.counts, troubled)])


def pulse(progress: Progress) -> str:
    """``120 of 500 done, 2 failed, 8 rendering, ETA 41 min``."""
    going = [
        f"{words.number(n)} {name}"
        for n, name in (
            (progress.uploading, "uploading"),
            (progress.submitting, "submitting"),
            (progress.rendering, "rendering"),
            (progress.downloading, "downloading"),
            (progress.overdue, "overdue"),
        )
        if n
    ]
    eta = [] if progress.eta_s is None else [f"ETA {words.roughly(progress.eta_s)}"]
    ending = ["starting nothing more"] if progress.draining else []
    waiting = [waits(progress)] if waits(progress) else []
    return words.sentence([standing(progress), *going, *ending, *waiting, *eta])


def waits(progress: Progress) -> str:
    """What holds the run up, "" if it is only that every slot renders (the slots are shown)."""
    return "" if "slot" in progress.waiting_for else progress.waiting_for
