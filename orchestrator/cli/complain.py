"""Complaints about a manifest as people read them: every place as they typed it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.cli import words
from orchestrator.manifest.complaints import MOST_SHOWN, shown
from orchestrator.model import Complaint


def complaint_lines(complaints: Sequence[Complaint], manifest: Path | None = None) -> list[str]:
    """Every complaint, those about the manifest first; their kinds, where there are very many.

    ``manifest``: the path as it was typed; None if it is not known.
    """
    if manifest is None:
        return shown(complaints)
    return shown([_as_typed(c, manifest) for c in complaints], str(manifest))


def _as_typed(complaint: Complaint, manifest: Path) -> Complaint:
    file = complaint.place.file
    if file == os.path.abspath(manifest):  # noqa: PTH100 - resolve() would follow symlinks
        file = str(manifest)
    elif Path(file).is_absolute() and not manifest.is_absolute():
        file = words.path(file)
    return replace(complaint, place=replace(complaint.place, file=file))


def tally(complaints: Sequence[Complaint]) -> str:
    """``2 complaints, 1 warning``."""
    warnings = sum(c.warning for c in complaints)
    errors = words.count(len(complaints) - warnings, "complaint")
    return f"{errors}, {words.count(warnings, 'warning')}" if warnings else errors


def advice(complaints: Sequence[Complaint], manifest: Path | None) -> list[str]:
    """What to type to see all complaints, where only some are shown."""
    path = "..." if manifest is None else words.quoted(manifest)
    lines = []
    if len(complaints) > MOST_SHOWN:
        lines.append(f"Shown is one of each kind. All: orchestrator validate {path} --json")
    return lines
