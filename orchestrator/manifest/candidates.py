"""A job as it was written, wherever that was, before the defaults are laid under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.manifest.findings import Page
from orchestrator.manifest.nodes import Plain, Spot, Table, plain_of

NO_NAMES: Mapping[str, str] = {}


@dataclass(slots=True)
class Candidate:
    """An item of the list of jobs, a pair of a matrix, or a row of a file.

    ``own``: places of what the job says itself, rather than the matrix around it. ``names``: what
    ``{avatar}`` and ``{audio}`` stand for.
    """

    plain: Plain
    page: Page
    own: Mapping[str, Spot]
    names: Mapping[str, str] = field(default_factory=lambda: NO_NAMES)


def candidate_of(table: Table, page: Page) -> Candidate:
    """A job that was written as one mapping."""
    plain = plain_of(table)
    return Candidate(plain, page, plain.spots)
