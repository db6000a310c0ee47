"""A YAML document as a light tree that remembers where everything stands.

Lines and columns count from 1. A scalar is text whatever it looks like (``no`` is not False,
``3327`` is not a number); only a plain ``null``, ``~`` or nothing at all is ``None``. The records
are not frozen: a manifest of 100,000 jobs makes millions of them, and freezing doubles their cost.
Nobody changes one after the loader has handed it out, so an alias may share the anchor's node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from orchestrator.model import Place

Spot: TypeAlias = tuple[int, int] | tuple[int, int, str]
"""Line and column, from 1, in the manifest; or in another file, which is then the third item."""


def place_of(spot: Spot, file: str) -> Place:
    """``spot`` as a place; ``file`` is the manifest."""
    return Place(file=spot[2] if len(spot) == 3 else file, line=spot[0], column=spot[1])


@dataclass(slots=True)
class Text:
    """A scalar; ``value`` is None for a plain null."""

    value: str | None
    spot: Spot


@dataclass(slots=True)
class Entry:
    """One key of a table: where the key stands, and its value."""

    key_spot: Spot
    value: Node


@dataclass(slots=True)
class Table:
    """A mapping; keys are text, in the order of the file, each once."""

    entries: dict[str, Entry]
    spot: Spot


@dataclass(slots=True)
class Rows:
    """A sequence."""

    items: list[Node]
    spot: Spot


@dataclass(slots=True)
class Spoiled:
    """Something that could not be read and was complained about; nothing follows from it."""

    spot: Spot


Node: TypeAlias = Text | Table | Rows | Spoiled


def merge_into(table: Table | Rows, value: Node) -> list[Node]:
    """Do what ``<<: value`` asks for: give ``table`` the keys that it does not have itself.

    The first of several merged tables wins. Returns what cannot be merged.
    """
    refused: list[Node] = []
    for source in value.items if isinstance(value, Rows) else [value]:
        if isinstance(source, Table) and isinstance(table, Table):
            for name, entry in source.entries.items():
                table.entries.setdefault(name, entry)
        elif not isinstance(source, Spoiled):
            refused.append(source)
    return refused


@dataclass(slots=True)
class Plain:
    """A table as plain values for a model.

    ``values`` holds dicts, lists, text and None. ``spots`` has the place of every value by dotted
    key ("audio.speed", "tags.0"; "" is the table itself). ``spoiled`` names the dotted keys whose
    values are unreadable and therefore left out of ``values``.
    """

    values: dict[str, Any]
    spots: dict[str, Spot]
    spoiled: set[str]


def plain_of(table: Table) -> Plain:
    """The plain values of ``table`` with their places."""
    plain = Plain(values={}, spots={"": table.spot}, spoiled=set())
    _fill(table, "", plain.values, plain)
    return plain


def _fill(table: Table, prefix: str, into: dict[str, Any], plain: Plain) -> None:
    spots = plain.spots
    for name, entry in table.entries.items():
        node, dotted = entry.value, prefix + name
        spots[dotted] = node.spot
        if type(node) is Text:
            into[name] = node.value
        elif type(node) is Table:
            _fill(node, dotted + ".", into.setdefault(name, {}), plain)
        elif type(node) is Rows:
            into[name] = _list(node, dotted + ".", plain)
        else:
            plain.spoiled.add(dotted)


def _list(rows: Rows, prefix: str, plain: Plain) -> list[Any]:
    """The items of ``rows``; if they are not all texts, by way of a table with keys 0, 1, ..."""
    if all(type(item) is Text for item in rows.items):
        for number, item in enumerate(rows.items):
            plain.spots[f"{prefix}{number}"] = item.spot
        return [item.value for item in rows.items if type(item) is Text]
    entries = {str(i): Entry(item.spot, item) for i, item in enumerate(rows.items)}
    values: dict[str, Any] = {}
    _fill(Table(entries, rows.spot), prefix, values, plain)
    return list(values.values())


def key_spot(table: Table, location: tuple[str | int, ...]) -> Spot:
    """Where the key at ``location`` is written; the nearest thing around it if it is not there."""
    node: Node = table
    spot = table.spot
    for step in location:
        if isinstance(node, Table) and step in node.entries:
            entry = node.entries[str(step)]
            node, spot = entry.value, entry.key_spot
        elif isinstance(node, Rows) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            spot = node.spot
        else:
            return node.spot
    return spot
