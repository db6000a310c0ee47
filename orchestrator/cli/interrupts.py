"""The first signal drains the run, the second stops it at once, the third kills the process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from orchestrator.engine.progress import Notice, Watched

_REASONS = {
    signal.SIGINT: "SIGINT",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGTERM",  # a closed terminal asks for the same and ends with the same code
}
_CODES = {"SIGINT": 130, "SIGTERM": 143}


class Interrupts:
    """Stands between the signals of this process and one run.

    ``resume`` is the command that goes on later; ``say`` tells the user; ``let_go`` gives the
    terminal back, because after the second signal the process may end at any moment.
    """

    def __init__(
        self, say: Callable[[str], None], resume: str, let_go: Callable[[], None] = lambda: None
    ) -> None:
        self._say, self._resume, self._let_go = say, resume, let_go
        self._run: Watched | None = None
        self._task: asyncio.Task[object] | None = None
        self._reason: str | None = None
        self._mine: list[signal.Signals] = []

    @property
    def exit_code(self) -> int | None:
        """130 or 143 after the first signal, else None."""
        return None if self._reason is None else _CODES[self._reason]

    def listen(self, task: asyncio.Task[object]) -> None:
        """Take over the signals; ``task`` is what ends if nothing has begun to work yet.

        A SIGHUP that is ignored (``nohup``) stays ignored.
        """
        self._task = task
        self._mine = [n for n in _REASONS if n != signal.SIGHUP or not _ignored(n)]
        for number in self._mine:
            asyncio.get_running_loop().add_signal_handler(number, self.hear, number)

    def forget(self) -> None:
        """Listen no longer."""
        for number in self._mine:
            asyncio.get_running_loop().remove_signal_handler(number)
        self._mine = []

    def watch(self, run: Watched) -> None:
        """From now on there is work to drain."""
        self._run = run

    def notice(self, notice: Notice) -> None:
        """Not our business."""

    def hear(self, number: int) -> None:
        """A signal has come."""
        if self._reason is None:
            self._reason = _REASONS[signal.Signals(number)]
            self._first(self._reason, by_hand=number == signal.SIGINT)
        else:
            self._second()

    def _first(self, reason: str, *, by_hand: bool) -> None:
        if self._run is None:
            self._say("Stopping before any work began: nothing was sent.")
            self._cancel()
            return
        again = "Once more (Ctrl-C)" if by_hand else "A second signal"
        self._say(
            f"{reason}: starting nothing more. Replies to submits and running transfers are "
            f"waited for, 30 s at the most; what renders goes on at the vendor. {again} stops at "
            f"once. To go on later: {self._resume}"
        )
        self._run.drain(reason)

    def _second(self) -> None:
        self._say(f"Stopping at once. To go on later: {self._resume}")
        self._let_go()
        self._die_next_time()
        if self._run is None:
            self._cancel()
        else:
            self._run.abort()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _die_next_time(self) -> None:
        """Back to the system's own way: one more signal ends the process."""
        mine = self._mine
        self.forget()
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def _ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
