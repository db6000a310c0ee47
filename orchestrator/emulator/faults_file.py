"""Where the values of a fault file stand: its YAML (or JSON) read once more, for positions only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import yaml

from orchestrator.emulator.faults_checks import Finding

Path: TypeAlias = tuple[str | int, ...]
Spot: TypeAlias = tuple[int, int]
"""Line and column, from 1."""

DEEPEST = 4
"""Nothing in a fault file lies deeper: faults, number, match, text."""


def told_with_places(file: str, text: str, findings: list[Finding]) -> list[str]:
    """The findings about the file of this name and text as ``file:line:column: words``, by place.

    ``text`` is known to be YAML.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    spots = {} if root is None else dict(_spots(root))
    placed = sorted((_spot(finding, spots), finding.text) for finding in findings)
    return [f"{file}:{line}:{column}: {words}" for (line, column), words in placed]


def _spot(finding: Finding, spots: dict[Path, tuple[Spot, Spot]]) -> Spot:
    """Of the key or the value; if it is not there, of the nearest thing around it."""
    path = finding.path
    if path in spots:
        return spots[path][0 if finding.is_key else 1]
    while path and path not in spots:
        path = path[:-1]
    return spots[path][1] if path in spots else (1, 1)


def _spots(root: yaml.Node) -> Iterator[tuple[Path, tuple[Spot, Spot]]]:
    """Places of keys and values by path. A list of rules alone counts as the one under ``faults``.

    Looks no deeper than a fault file goes, so that no alias can lead it round in circles.
    """
    start: Path = ("faults",) if isinstance(root, yaml.SequenceNode) else ()
    yield (), (_mark(root), _mark(root))
    yield from _inside(root, start)


def _inside(node: yaml.Node, path: Path) -> Iterator[tuple[Path, tuple[Spot, Spot]]]:
    if len(path) >= DEEPEST:
        return
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield (*path, number), (_mark(item), _mark(item))
            yield from _inside(item, (*path, number))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield inner, (_mark(key), _mark(value))
            yield from _inside(value, inner)


def _mark(node: yaml.Node) -> Spot:
    return node.start_mark.line + 1, node.start_mark.column + 1
