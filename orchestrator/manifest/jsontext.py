"""One line of JSON to nodes that know where they stand, as if it had been written in YAML.

Numbers, ``true`` and ``false`` become the text that was written; their key converts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from orchestrator.manifest.nodes import Entry, Node, Rows, Spot, Table, Text

MAX_DEPTH = 50
_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"null|true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

_scan: Callable[[str, int, bool], tuple[str, int]] = scanstring


class NotJson(Exception):
    """``text`` is no JSON: ``problem`` says why, ``spot`` where."""

    def __init__(self, problem: str, spot: Spot) -> None:
        self.problem, self.spot = problem, spot
        super().__init__(f"{problem} at {spot}")


class LineReader:
    """Reads the JSON value on one line. ``doubles`` has the place of every key that came twice."""

    def __init__(self, text: str, line: int, file: str) -> None:
        self._text, self._line, self._file = text, line, file
        self._at = 0
        self.doubles: list[tuple[str, Spot]] = []

    def read(self) -> Node:
        """The value.

        Raises:
            NotJson: the line does not hold exactly one JSON value.
        """
        node = self._value(0)
        self._skip()
        if self._at < len(self._text):
            raise self._refused("something follows the value")
        return node

    def _spot(self) -> Spot:
        return self._line, self._at + 1, self._file

    def _refused(self, problem: str) -> NotJson:
        return NotJson(problem, self._spot())

    def _skip(self) -> str:
        """Pass over white space; the character that follows, "" at the end."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._refused(f"more than {MAX_DEPTH} levels are nested here")
        match self._skip():
            case '"':
                spot = self._spot()
                return Text(self._string(), spot)
            case "{":
                return self._table(depth)
            case "[":
                return self._rows(depth)
        return self._word()

    def _word(self) -> Text:
        spot, found = self._spot(), _WORD.match(self._text, self._at)
        if found is None:
            raise self._refused("a value is missing here")
        self._at = found.end()
        return Text(None if found[0] == "null" else found[0], spot)

    def _string(self) -> str:
        try:
            text, self._at = _scan(self._text, self._at + 1, True)
        except JSONDecodeError as error:
            self._at = min(error.pos, len(self._text))
            raise self._refused(error.msg.partition(" starting")[0].lower()) from None
        return text

    def _table(self, depth: int) -> Table:
        table = Table({}, self._spot())

        def item() -> None:
            if self._skip() != '"':
                raise self._refused("a key in quotes is missing here")
            spot = self._spot()
            name = self._string()
            if self._skip() != ":":
                raise self._refused('a ":" is missing here')
            self._at += 1
            entry = Entry(spot, self._value(depth + 1))
            if name in table.entries:
                self.doubles.append((name, spot))
            else:
                table.entries[name] = entry

        self._items("}", item)
        return table

    def _rows(self, depth: int) -> Rows:
        rows = Rows([], self._spot())
        self._items("]", lambda: rows.items.append(self._value(depth + 1)))
        return rows

    def _items(self, end: str, item: Callable[[], Any]) -> None:
        """What stands between a bracket and its partner ``end``, with commas between."""
        self._at += 1
        if self._skip() == end:
            self._at += 1
            return
        while True:
            item()
            after = self._skip()
            if after not in (",", end) or not after:
                raise self._refused(f'a "," or "{end}" is missing here')
            self._at += 1
            if after == end:
                return
