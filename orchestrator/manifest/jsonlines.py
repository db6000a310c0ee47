"""JSONL text to candidates: one object a line, nested like a job or with dotted keys, or both."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.manifest.candidates import Candidate, candidate_of
from orchestrator.manifest.columns import column_key
from orchestrator.manifest.csvtext import TAG_SEPARATOR
from orchestrator.manifest.findings import Page
from orchestrator.manifest.jsontext import LineReader, NotJson
from orchestrator.manifest.nodes import Entry, Rows, Spot, Table, Text
from orchestrator.model import Complaint


def json_candidates(
    text: str, file: str, page: Page, found: list[Complaint]
) -> Iterator[Candidate]:
    """Every line of ``text``; what is wrong with it as JSON is added to ``found``."""
    line, start = 0, 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        row, line, start = text[start:end], line + 1, end
        if not row.strip():
            continue
        table = _table(LineReader(row, line, file), page, found)
        if table is not None:
            yield candidate_of(table, Page(file=page.file, table=table, cut=page.cut))


def _table(reader: LineReader, page: Page, found: list[Complaint]) -> Table | None:
    try:
        node = reader.read()
    except NotJson as error:
        problem = f"this is not valid JSON: {error.problem}"
        found.append(page.complaint(error.spot, problem, "write one object in { } on each line"))
        return None
    for name, spot in reader.doubles:
        problem = f'the key "{name}" stands twice in one object'
        found.append(page.complaint(spot, problem, "keep one of them"))
    if not isinstance(node, Table):
        remedy = 'write it like {"id": "hello", "avatar.public": "3327", "audio.text": "Hi."}'
        found.append(page.complaint(node.spot, "this row is no object", remedy))
        return None
    return _nested(node, page, found)


def _nested(row: Table, page: Page, found: list[Complaint]) -> Table:
    """``row`` with its dotted keys as tables, and their names as a job has them."""
    table = Table({}, row.spot)
    for name, entry in row.entries.items():
        key = column_key(name) if not isinstance(entry.value, Table) else None
        section, _, last = (key or name).rpartition(".") if key else ("", "", name)
        into = _section(table, section, entry) if section else table
        if into is None or last in into.entries:
            _refuse_double(key or name, entry.key_spot, page, found)
        elif last in ("avatar", "audio", "vars") and isinstance(entry.value, Table):
            into.entries[last] = Entry(
                entry.key_spot, Table(dict(entry.value.entries), entry.value.spot)
            )
        else:
            into.entries[last] = _tags(entry) if key == "tags" else entry
    return table


def _section(table: Table, name: str, entry: Entry) -> Table | None:
    """The table under ``name``, made if it is not there; None if something else is."""
    there = table.entries.setdefault(name, Entry(entry.key_spot, Table({}, entry.key_spot)))
    return there.value if isinstance(there.value, Table) else None


def _refuse_double(name: str, spot: Spot, page: Page, found: list[Complaint]) -> None:
    problem = f'the key "{name}" is given twice in one row'
    found.append(page.complaint(spot, problem, "keep one of them"))


def _tags(entry: Entry) -> Entry:
    """Tags in one text become a list."""
    value = entry.value
    if not isinstance(value, Text) or value.value is None:
        return entry
    tags = [tag.strip() for tag in value.value.split(TAG_SEPARATOR)]
    return Entry(entry.key_spot, Rows([Text(tag, value.spot) for tag in tags if tag], value.spot))
