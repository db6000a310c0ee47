"""Folders that videos go to, before there are any."""

from __future__ import annotations

import os
from pathlib import Path


def existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists. Blocks."""
    return next((p for p in (path, *path.parents) if p.exists()), Path(path.anchor or "."))


def obstacle(folder: Path) -> str | None:
    """What keeps files from being made in a folder, which need not exist yet; None: nothing that
    can be seen beforehand. Blocks."""
    place = existing(folder)
    if not place.is_dir():
        return f"{place} is a file, not a folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} is not writable"
    return None
