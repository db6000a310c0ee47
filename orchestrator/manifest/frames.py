"""What the loader keeps of the parts of a YAML text that are still open."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.manifest.nodes import Entry, Rows, Spot, Table


@dataclass(slots=True)
class Key:
    """A key whose value comes next; ``name`` None: the value is to be dropped."""

    name: str | None
    spot: Spot
    merges: bool = False


@dataclass(slots=True)
class Frame:
    """A table or a list that is still open. ``weight``: nodes in it, aliases counted in full."""

    node: Table | Rows
    anchor: str | None
    key: Key | None = None
    weight: int = 1
    merged: Entry | None = None


@dataclass(slots=True)
class Skip:
    """Pass over events until ``depth`` is 0; then the parent gets a lost key or a Spoiled."""

    spot: Spot
    as_key: bool
    depth: int = 1
