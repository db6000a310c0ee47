"""A thread that writes, and a clock that ticks on the event loop.

A terminal that takes nothing (Ctrl-S, a stalled pipe, a slow line) must never hold up the batch:
whoever watches a run hands its writing to a :class:`Writer` and goes on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol


class Every(Protocol):
    """Calls ``tick`` every ``interval_s`` seconds until the returned function is called."""

    def __call__(self, interval_s: float, tick: Callable[[], None]) -> Callable[[], None]: ...


class Writer:
    """Runs pieces of writing one after the other in a thread of its own.

    When one of them meets a stream that is gone (a closed terminal), the rest is dropped
    silently: the run goes on, its state is on disk.
    """

    def __init__(self) -> None:
        self._pieces: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._gone = False
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    @property
    def behind(self) -> bool:
        """Something waits to be written: a frame can be left out."""
        return not self._pieces.empty()

    def put(self, piece: Callable[[], object]) -> None:
        """Have ``piece`` called, after all that was put before. Returns at once."""
        self._pieces.put(piece)

    def close(self) -> None:
        """Wait until everything is written, and end the thread."""
        self._pieces.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._gone:
                continue
            try:
                piece()
            except (OSError, ValueError):  # ValueError: the stream was closed
                self._gone = True


def every(interval_s: float, tick: Callable[[], None]) -> Callable[[], None]:
    """The real :class:`Every`, on the running event loop."""
    loop = asyncio.get_running_loop()
    handle: asyncio.TimerHandle

    def again() -> None:
        nonlocal handle
        handle = loop.call_later(interval_s, again)
        tick()

    handle = loop.call_later(interval_s, again)
    return lambda: handle.cancel()
