"""Watching a run on a terminal: one calm view, drawn anew at most twice a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TextIO, assert_never

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.cli.frame import ASCII, PROBLEMS, Glyphs, frame, preparing
from orchestrator.cli.writer import Every, Writer, every
from orchestrator.engine.progress import Level, Notice, Watched

INTERVAL_S = 0.5


class LiveView:
    """Owns the terminal while the run works.

    Snapshots are taken on the event loop; drawing happens in the writer's thread, and a frame
    is left out while the one before is still being written. Whatever else is printed to stdout
    or stderr meanwhile appears above the view. The last frame stays.
    """

    def __init__(
        self, name: str, console: Console, writer: Writer, *, schedule: Every = every
    ) -> None:
        self._name, self._console, self._writer = name, console, writer
        self._schedule = schedule
        self._problems: deque[Notice] = deque(maxlen=PROBLEMS)
        self._run: Watched | None = None
        self._live: Live | None = None
        self._stop: Callable[[], None] | None = None
        self._over = False

    def start(self) -> None:
        """Begin to draw; what is over within the first tick shows nothing at all."""
        self._stop = self._schedule(INTERVAL_S, self._tick)

    def watch(self, run: Watched) -> None:
        """From now on the run itself is shown."""
        self._run = run
        self._tick()

    def notice(self, notice: Notice) -> None:
        """Keep a problem in the view; print a reason to stop in full above it, and what is told
        before work begins (warnings about the manifest, the balance)."""
        match notice.level:
            case Level.PROBLEM:
                self._problems.append(notice)
            case Level.STOP:
                self.say(notice.message)
            case Level.INFO:
                if self._run is None:
                    self.say(notice.message)
            case _:
                assert_never(notice.level)

    def say(self, text: str) -> None:
        """Print a sentence above the view."""
        self._writer.put(lambda: self._console.print(Text(text)))

    def let_go(self) -> None:
        """Draw a last frame and give the terminal back: the process may end at any moment."""
        if self._stop is not None:
            self._stop()
        last = self._run is not None
        if last:
            self._draw(over=True)
        self._writer.put(lambda: self._end(keep=last))

    def finish(self) -> None:
        """The run is over: its last frame stays."""
        self.let_go()

    def close(self) -> None:
        """Wait until everything is written."""
        self._writer.close()

    def _tick(self) -> None:
        if not self._writer.behind:
            self._draw()

    def _draw(self, *, over: bool = False) -> None:
        content = self._content(over)
        self._writer.put(lambda: self._show(content))

    def _content(self, over: bool) -> Text:
        if self._run is None:
            return preparing(self._name)
        glyphs = ASCII if self._console.options.ascii_only else Glyphs()
        width = max(20, self._console.width)
        return frame(self._run.progress(), list(self._problems), width, glyphs, over=over)

    def _show(self, content: Text) -> None:
        """In the writer's thread, as is everything that touches ``_live``."""
        if self._over:
            return
        if self._live is None:
            self._live = Live(content, console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(content, refresh=True)

    def _end(self, *, keep: bool) -> None:
        if self._live is not None and not self._over:
            self._live.transient = not keep
            self._live.stop()
        self._over = True


def drawable(stream: TextIO) -> Console | None:
    """A console on ``stream`` if it is a terminal that can move its cursor, else None."""
    if not stream.isatty():
        return None
    console = Console(file=stream, highlight=False, emoji=False, markup=False)
    return console if console.is_terminal and not console.is_dumb_terminal else None
