"""Where in a state folder the real jobs are, and where its rehearsals."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from orchestrator.store.base import BatchRow

STATE_FILE = "state.db"
REHEARSALS = "emulator"
"""The folder of rehearsals inside a state folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A state folder, and whether its rehearsals are meant."""

    folder: Path
    rehearsal: bool

    @property
    def own(self) -> Path:
        """The folder of the store that is meant."""
        return self.folder / REHEARSALS if self.rehearsal else self.folder

    @property
    def file(self) -> Path:
        """The state file that is meant."""
        return self.own / STATE_FILE

    def other(self) -> Place:
        """The rehearsals of this folder, or the real thing."""
        return Place(folder=self.folder, rehearsal=not self.rehearsal)

    def lock_of(self, batch: BatchRow) -> Path:
        """The lock file that a run of the batch holds."""
        return self.own / "locks" / f"{batch.name}.{batch.account}.lock"


def typed(path: Path) -> str:
    """The path as somebody in the current folder would type it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
