"""Everybody who watches a run: the view that the stream allows, and the signals."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol, TextIO

from orchestrator.cli.lines import Lines
from orchestrator.cli.writer import Writer
from orchestrator.engine.progress import Notice, Observer, Watched


class View(Observer, Protocol):
    """An observer that shows the run and can be talked to."""

    def start(self) -> None:
        """Called on the event loop, before anything happens."""

    def say(self, text: str) -> None:
        """Show a sentence of the command line itself."""

    def let_go(self) -> None:
        """Give the terminal back at once."""

    def finish(self) -> None:
        """Show the end. Called on the event loop."""

    def close(self) -> None:
        """Return when everything is written. Called when the loop has ended, so that a terminal
        that takes nothing leaves the process open to signals."""


class Everybody:
    """Passes on what it hears to several observers, in their order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def notice(self, notice: Notice) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.notice(notice)

    def watch(self, run: Watched) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.watch(run)


def view_of(name: str, *, quiet: bool, stream: TextIO | None = None) -> View:
    """A live view where ``stream`` (default: stderr) is a terminal, plain lines elsewhere."""
    stream = stream or sys.stderr
    if not quiet and stream.isatty():
        from orchestrator.cli.live import LiveView, drawable

        if (console := drawable(stream)) is not None:
            return LiveView(name, console, Writer())
    return Lines(stream, Writer(), quiet=quiet)
