"""Commands for people to type: every word quoted for the shell, paths as they would type them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def command(*parts: str | Path) -> str:
    """A command of this program."""
    return shlex.join(["orchestrator", *map(str, parts)])


def here(path: str | Path) -> str:
    """A path as somebody in the current folder would type it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


@dataclass(frozen=True, slots=True, kw_only=True)
class Typing:
    """What the commands about one batch have in common.

    ``manifest`` and ``state`` are paths as they are typed; ``state`` None: no ``--state``.
    ``rehearsal``: the flags that a run of a rehearsal needs, ``--emulator`` first; empty for the
    real thing.
    """

    batch: str
    manifest: str
    state: str | None = None
    rehearsal: Sequence[str] = ()

    def run(self, *more: str) -> str:
        """The run that goes on, with these flags besides."""
        return command("run", self.manifest, *self.rehearsal, *self._state(), *more)

    def jobs(self, *more: str) -> str:
        """The list of the batch's jobs."""
        return command("jobs", self.batch, *more, *self._state())

    def of_job(self, verb: str, job: str, *more: str) -> str:
        """A command about one job of the batch."""
        return command(verb, f"{self.batch}/{job}", *more, *self._kind(), *self._state())

    def status(self, *more: str) -> str:
        """How the batch stands."""
        return command("status", self.batch, *more, *self._kind(), *self._state())

    def _kind(self) -> Sequence[str]:
        return self.rehearsal[:1]

    def _state(self) -> Sequence[str]:
        return () if self.state is None else ("--state", self.state)
