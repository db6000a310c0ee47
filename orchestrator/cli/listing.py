"""How a list of the vendor's is printed: as a table, as CSV, as JSON. Pure.

In a table ids are always whole: where the terminal is too narrow, columns are left out instead.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, TypeVar

from rich.cells import cell_len

from orchestrator.catalogues.facade import (
    Avatar,
    Caption,
    Charge,
    Credits,
    Ethnicity,
    Listing,
    Voice,
)
from orchestrator.cli import tables, words
from orchestrator.cli.tables import GAP, Column

T = TypeVar("T")
_PLAIN_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Face(Generic[T]):
    """How one kind of list looks. ``whole`` columns are never cut; ``wide`` ones are for files
    and pipes only."""

    noun: str
    kind: type[Any]
    columns: tuple[Column, ...]
    cells: Callable[[T], Sequence[str]]
    whole: frozenset[str]
    wide: frozenset[str] = frozenset()


def _column(title: str, least: int) -> Column:
    return Column(title=title, least=least)


AVATARS: Face[Any] = Face(
    noun="avatar",
    kind=Avatar,
    columns=(
        *(_column("AVATAR", 8), _column("NAME", 10), _column("GENDER", 6)),
        *(_column("ETHNICITY", 8), _column("OWN VOICE", 8), _column("PREVIEW", 8)),
    ),
    cells=lambda a: (
        f"{'private' if a.private else 'public'}: {json.dumps(a.id, ensure_ascii=False)}",
        *(a.name, a.gender or "-", ", ".join(a.ethnicities) or "-"),
        *(a.voice or "-", a.preview or "-"),
    ),
    whole=frozenset({"AVATAR", "OWN VOICE"}),
    wide=frozenset({"PREVIEW"}),
)
VOICES: Face[Any] = Face(
    noun="voice",
    kind=Voice,
    columns=(
        *(_column("VOICE", 8), _column("NAME", 8), _column("LANG", 5), _column("GENDER", 6)),
        *(_column("AGE", 6), _column("STYLE", 6), _column("ACCENT", 6), _column("SAMPLE", 8)),
    ),
    cells=lambda v: (
        *(pasted(v.id), v.name, v.language or "-", v.gender or "-", v.age or "-"),
        *(v.style or "-", v.accent or "-", v.sample or "-"),
    ),
    whole=frozenset({"VOICE"}),
    wide=frozenset({"SAMPLE"}),
)
CAPTIONS: Face[Any] = Face(
    noun="caption",
    kind=Caption,
    columns=(_column("CAPTION", 8), _column("PICTURE", 12)),
    cells=lambda c: (pasted(c.id), c.picture or "-"),
    whole=frozenset({"CAPTION"}),
)
ETHNICITIES: Face[Any] = Face(
    noun="name",
    kind=Ethnicity,
    columns=(_column("NAME", 8), _column("ID", 8)),
    cells=lambda e: (e.name, e.id),
    whole=frozenset({"NAME", "ID"}),
)
CHARGES: Face[Any] = Face(
    noun="charge",
    kind=Charge,
    columns=(_column("WHEN", 16), _column("CREDITS", 7), _column("TYPE", 8), _column("TASK", 8)),
    cells=lambda c: (
        *("?" if c.at is None else words.moment(c.at), _amount(c.credits)),
        *(c.task_type or "-", c.task_id or "-"),
    ),
    whole=frozenset({"TASK"}),
)


def pasted(id_: str) -> str:
    """The id as it can be pasted into a manifest: in quotes unless it is a plain word."""
    return id_ if _PLAIN_ID.fullmatch(id_) else json.dumps(id_, ensure_ascii=False)


def table(face: Face[T], items: Sequence[T], width: int | None) -> tuple[list[str], list[str]]:
    """The lines, and the titles of the columns that had to be left out.

    ``width`` None: everything in full, separated by tabs.
    """
    cells = [face.cells(item) for item in items]
    if width is None:
        return tables.tabbed(face.columns, cells), []
    chosen = _that_fit(face, cells, width)
    left_out = [
        c.title
        for i, c in enumerate(face.columns)
        if i not in {n for n, _ in chosen} and c.title not in face.wide
    ]
    columns = [column for _, column in chosen]
    rows = [[row[i] for i, _ in chosen] for row in cells]
    return tables.fitted(columns, rows, width), left_out


def _that_fit(
    face: Face[Any], cells: Sequence[Sequence[str]], width: int
) -> list[tuple[int, Column]]:
    """The columns with their numbers; the first one stays, the last ones go first."""
    found = []
    for i, column in enumerate(face.columns):
        if column.title in face.wide:
            continue
        natural = max([len(column.title), *(cell_len(row[i]) for row in cells)])
        whole = column.title in face.whole
        least = natural if whole else min(column.least, natural)
        found.append((i, Column(title=column.title, least=least)))
    while len(found) > 1 and sum(c.least + len(GAP) for _, c in found) - len(GAP) > width:
        found.pop()
    return found


def table_notes(
    face: Face[Any], found: Listing[Any], shown: int, left_out: Sequence[str]
) -> list[str]:
    """What there is to say beside the table: how many, how old, what is missing."""
    if not found.items:
        lines = [f"no such {words.plural(face.noun)}"]
    elif shown < len(found.items):
        lines = [f"{words.number(shown)} of {words.count(len(found.items), face.noun)} shown"]
    else:
        lines = [words.count(shown, face.noun)]
    if not found.complete and found.total is not None:
        lines.append(f"the vendor counts {words.number(found.total)} of them, but shows no more")
    if left_out:
        titles = ", ".join(left_out)
        lines.append(f"too narrow for {titles}: widen the terminal, or see --csv and --json")
    return [*lines, *age_notes(found)]


def age_notes(found: Listing[Any] | Credits) -> list[str]:
    """The notes of the facade, and how old a copy is."""
    if not found.copy:
        return list(found.notes)
    age = f"shown is a copy of {words.moment(found.at)}, {words.duration(found.age_s)} old"
    return [*found.notes, age]


def as_csv(kind: type[Any], items: Iterable[Any]) -> list[str]:
    """Lines of CSV with one line of titles; names are joined with ``;``, nothing is empty text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    titles = [f.name for f in fields(kind)]
    writer.writerow(titles)
    for item in items:
        writer.writerow([_csv_cell(getattr(item, title)) for title in titles])
    return out.getvalue().rstrip("\n").split("\n")


def document(name: str, found: Listing[Any], shown: Sequence[Any]) -> dict[str, Any]:
    """The JSON of a list."""
    return {
        name: [asdict(item) for item in shown],
        "found": len(found.items),
        "total": found.total,
        "complete": found.complete,
        **_age(found),
    }


def credits_document(found: Credits, shown: Sequence[Any]) -> dict[str, Any]:
    """The JSON of ``credits``."""
    log = None
    if found.charges is not None:
        log = {
            "since": found.since,
            "spent": spent(found),
            "found": len(found.charges),
            "complete": found.complete,
            "charges": [asdict(charge) for charge in shown],
        }
    return {"balance": found.balance, **_age(found), "log": log}


def credits_csv(found: Credits, shown: Sequence[Any]) -> list[str]:
    """The log if it was asked for, else the balance."""
    if found.charges is not None:
        return as_csv(Charge, shown)
    return ["balance,as_of", f"{_csv_cell(found.balance)},{found.at}"]


def spent(found: Credits) -> float:
    """Credits of all entries of the log, refunds taken off."""
    return round(sum((c.credits or 0.0 for c in found.charges or ()), 0.0), 6)


def balance_line(found: Credits) -> str:
    """The balance in words."""
    if found.balance is None:
        return "balance: the vendor does not say"
    return f"balance: {_amount(found.balance)} credits"


def log_notes(found: Credits, shown: int) -> list[str]:
    """What there is to say beside the log."""
    total = len(found.charges or ())
    since = "" if found.since is None else f" since {words.moment(found.since)}"
    some = f"; {words.number(shown)} shown" if shown < total else ""
    more = [] if found.complete else ["the vendor counts more of them than it shows"]
    line = f"{words.count(total, 'charge')}{since}: {_amount(spent(found))} credits{some}"
    return [line, *more, *age_notes(found)]


def _age(found: Listing[Any] | Credits) -> dict[str, Any]:
    return {
        "as_of": found.at,
        "copy": found.copy,
        "age_s": round(found.age_s, 3),
        "notes": list(found.notes),
    }


def _amount(value: float | None) -> str:
    return "?" if value is None else f"{words.credits(value)}"


def _csv_cell(value: Any) -> str:
    if isinstance(value, tuple):
        return ";".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
