"""Everything that the reading of a manifest looks at, so that a later one can tell whether it
would look at the same: the bytes of files, and the names that patterns come to.

Nothing else goes into a reading: no clock, no environment, no current folder (paths are absolute).
"""

from __future__ import annotations

import glob
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.manifest.source import MAX_BYTES, Unreadable, read_bytes


@dataclass(slots=True)
class Inputs:
    """What was looked at so far: hashes of bytes by path, and of names by folder and pattern.

    ``steady``: whatever was looked at twice was the same both times.
    """

    files: dict[str, str] = field(default_factory=dict)
    patterns: dict[tuple[str, str], str] = field(default_factory=dict)
    steady: bool = True

    def read(self, path: Path, what: str, max_bytes: int = MAX_BYTES) -> bytes:
        """The whole file; ``what`` names it in complaints.

        Raises:
            Unreadable: see :func:`orchestrator.manifest.source.read_bytes`.
        """
        data = read_bytes(path, what, max_bytes)
        seen = hashlib.sha256(data).hexdigest()
        self.steady &= self.files.setdefault(str(path), seen) == seen
        return data

    def matching(self, folder: str, pattern: str) -> tuple[str, ...]:
        """Paths of the files that match, sorted; relative to ``folder`` if ``pattern`` is."""
        found = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207  (as written)
        names = tuple(sorted(path for path in found if Path(folder, path).is_file()))
        seen = hashlib.sha256(b"\0".join(map(os.fsencode, names))).hexdigest()
        self.steady &= self.patterns.setdefault((folder, pattern), seen) == seen
        return names

    def unchanged(self) -> bool:
        """Whether all of it is now as it was then. Reads every file again. Blocking."""
        now = Inputs()
        try:
            for path in self.files:
                now.read(Path(path), "file")
        except Unreadable:
            return False
        for folder, pattern in self.patterns:
            now.matching(folder, pattern)
        return now.files == self.files and now.patterns == self.patterns
