"""Columns of text: fitted to a terminal, or separated by tabs for other programs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

from orchestrator.cli import words

GAP = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. ``least`` is the width that it keeps as long as the table can be fitted at all.

    ``keep_end``: what is too long loses its beginning (a path), not its end. ``yields``: it is
    cut down to ``least`` before any other column gives way.
    """

    title: str
    least: int = 8
    keep_end: bool = False
    yields: bool = False


def tabbed(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Everything in full length, cells separated by tabs, titles first."""
    lines = [[c.title for c in columns], *rows]
    return ["\t".join(words.one_line(cell) for cell in line) for line in lines]


def fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Aligned lines, none wider than ``width`` terminal cells; what is cut shows an ellipsis."""
    lines = [[c.title for c in columns], *([words.one_line(x) for x in row] for row in rows)]
    natural = [max(cell_len(line[i]) for line in lines) for i in range(len(columns))]
    room = width - len(GAP) * (len(columns) - 1)
    for i, column in enumerate(columns):
        if column.yields:
            over = max(0, sum(natural) - room)
            natural[i] -= min(over, max(0, natural[i] - column.least))
    widths = shares(natural, [c.least for c in columns], room)
    return [_line(columns, line, widths) for line in lines]


def shares(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths that fit into ``room``, taken from the widest columns first.

    No column goes below its ``least`` while another is above; if that is still too much, all
    columns lose alike, down to one cell each.
    """
    widths = list(natural)
    while (excess := sum(widths) - room) > 0:
        above = [i for i, w in enumerate(widths) if w > min(least[i], natural[i])]
        above = above or [i for i, w in enumerate(widths) if w > 1]
        if not above:
            break
        widest = max(widths[i] for i in above)
        wide = [i for i in above if widths[i] == widest]
        for i in wide[:excess]:
            widths[i] -= 1
    return widths


def cut(text: str, width: int, *, keep_end: bool = False) -> str:
    """The text in at most ``width`` (>= 1) cells, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    if keep_end:
        kept = text[-width:]
        while cell_len(kept) > width - 1:
            kept = kept[1:]
        return f"…{kept}"
    return f"{(chop_cells(text, width - 1) or [''])[0] if width > 1 else ''}…"


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = [
        cut(cell, w, keep_end=c.keep_end) for c, cell, w in zip(columns, cells, widths, strict=True)
    ]
    padded = [s + " " * (w - cell_len(s)) for s, w in zip(shown, widths, strict=True)]
    return GAP.join(padded).rstrip()
