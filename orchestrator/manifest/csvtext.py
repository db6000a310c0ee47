"""CSV text to candidates. The first row names the columns; see ``columns`` for how freely."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.manifest.candidates import Candidate
from orchestrator.manifest.columns import column_key, unknown_column
from orchestrator.manifest.findings import Page, shown
from orchestrator.manifest.nodes import Plain, Spot, Table
from orchestrator.model import Complaint

DELIMITERS = (",", ";", "\t")
TAG_SEPARATOR = ";"


@dataclass(slots=True)
class _Columns:
    """What the header says: the keys that it names, with the numbers of their columns (from 0).

    ``lost`` are keys that a column of a misspelt name was probably meant to be.
    """

    width: int
    keys: list[tuple[int, str, str, str]] = field(default_factory=list)
    unnamed: list[int] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)


def csv_candidates(text: str, file: str, page: Page, found: list[Complaint]) -> Iterator[Candidate]:
    """Every row of ``text``; what is wrong with the file as a CSV file is added to ``found``."""
    rows = _rows(text, file, page, found)
    first = next(rows, None)
    if first is None:
        if not found:
            remedy = "begin with a line such as: id,avatar.video,audio.text,audio.voice"
            found.append(page.complaint((1, 1, file), "the file is empty", remedy))
        return
    columns = _columns_of(first[1], (first[0], file), page, found)
    for line, cells in rows:
        _strangers(columns, cells, (line, file), page, found)
        yield _candidate(columns, cells, (line, file), page)


def _lines(text: str) -> Iterator[str]:
    """The lines of ``text`` with their ends, without a copy of the whole."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _rows(
    text: str, file: str, page: Page, found: list[Complaint]
) -> Iterator[tuple[int, list[str]]]:
    """The line in which a row begins, and its cells. Empty lines are passed over."""
    reader = csv.reader(
        _lines(text), delimiter=delimiter_of(text), skipinitialspace=True, strict=True
    )
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        problem = f"this is not valid CSV: {error}"
        remedy = "look here for a quote that is not closed; double a quote inside of quotes"
        found.append(page.complaint((line, 1, file), problem, remedy))


def delimiter_of(text: str) -> str:
    """What stands between the cells: that of comma, semicolon and tab which gives most columns."""
    first = next((line for line in _lines(text) if line.strip()), "")

    def known(delimiter: str) -> int:
        cells = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])
        return sum(column_key(cell) is not None for cell in cells)

    return max(DELIMITERS, key=known)


def header_keys(text: str) -> list[str]:
    """The keys that the columns of ``text`` stand for, unknown ones left out."""
    lines = (line for line in _lines(text) if line.strip())
    reader = csv.reader(lines, delimiter=delimiter_of(text), skipinitialspace=True)
    keys = (column_key(cell) for cell in next(reader, []))
    return [key for key in keys if key is not None]


def _columns_of(
    header: list[str], at: tuple[int, str], page: Page, found: list[Complaint]
) -> _Columns:
    columns = _Columns(len(header))
    named: dict[str, str] = {}
    for number, name in enumerate(header):
        spot = (at[0], number + 1, at[1])
        key = column_key(name)
        if not name:
            columns.unnamed.append(number)
        elif key is None:
            problem, remedy, meant = unknown_column(name)
            found.append(page.complaint(spot, problem, remedy))
            columns.lost |= {meant} if meant else set()
        elif key in named:
            problem = f"the columns {shown(named[key])} and {shown(name)} are both {key}"
            found.append(page.complaint(spot, problem, "remove one of them"))
        else:
            named[key] = name
            columns.keys.append((number, key, *_split(key)))
    columns.lost -= named.keys()
    return columns


def _split(key: str) -> tuple[str, str]:
    section, _, name = key.rpartition(".")
    return section, name


def _strangers(
    columns: _Columns, cells: list[str], at: tuple[int, str], page: Page, found: list[Complaint]
) -> None:
    """Cells that stand under no name."""
    line, file = at
    numbers = [*columns.unnamed, *range(columns.width, len(cells))]
    for number in numbers:
        if number < len(cells) and cells[number]:
            problem = f"{shown(cells[number])} stands in a column without a name"
            remedy = "name the column in the first line, or put a text with commas in quotes"
            found.append(page.complaint((line, number + 1, file), problem, remedy))
            return


def _candidate(columns: _Columns, cells: list[str], at: tuple[int, str], page: Page) -> Candidate:
    line, file = at
    spots: dict[str, Spot] = {"": (line, 1, file)}
    job = Plain(values={}, spots=spots, spoiled=set(columns.lost))
    for number, key, section, name in columns.keys:
        text = cells[number] if number < len(cells) else ""
        if not text:
            continue
        spot = (line, number + 1, file)
        spots[key] = spot
        if key == "tags":
            job.values[key] = [tag.strip() for tag in text.split(TAG_SEPARATOR) if tag.strip()]
            spots.update({f"tags.{n}": spot for n in range(len(job.values[key]))})
        elif section:
            spots.setdefault(section, spot)
            job.values.setdefault(section, {})[name] = text
        else:
            job.values[key] = text
    return Candidate(job, Page(file=page.file, table=Table({}, spots[""]), cut=page.cut), spots)
