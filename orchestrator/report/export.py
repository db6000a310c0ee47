"""Results as CSV, JSON and JSONL: one record a job, in a documented order of columns. Pure.

Every format comes as a sequence of lines, so that a batch of any size can be written piece by
piece. ``docs/json.md`` describes the records for people.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, assert_never

from orchestrator.report.results import Result

COLUMNS = (
    *("id", "state", "output", "bytes", "duration_s", "task_id", "attempts", "credits", "error"),
    *("tags", "priority", "submitted_at", "accepted_at", "done_at", "revision"),
    *("overdue", "orphan", "saved_avatar_id"),
)
"""Columns of the CSV and keys of the objects, in their order. New ones are added at the end."""

_TEXT = frozenset({"id", "output", "task_id", "error", "tags", "saved_avatar_id"})
"""Columns whose words come from the manifest or the vendor."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


class Format(StrEnum):
    """How results are written."""

    CSV = "csv"  # a line of titles, then one line a job
    JSON = "json"  # one document
    JSONL = "jsonl"  # one object a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """The lines of one export: ``head``, then ``page`` of every page of results, then ``foot``."""

    head: tuple[str, ...]
    page: Callable[[Sequence[Result]], Iterator[str]]
    foot: tuple[str, ...]


def writing(format: Format, batch: str, *, rehearsal: bool) -> Writing:
    """How the results of one batch become lines (without their line ends)."""
    match format:
        case Format.CSV:
            return Writing(head=(",".join(COLUMNS),), page=_csv_lines, foot=())
        case Format.JSON:
            return _json_document(batch, rehearsal)
        case Format.JSONL:
            return Writing(head=(), page=_json_lines, foot=())
        case _:
            assert_never(format)


def as_object(result: Result) -> dict[str, Any]:
    """A job's object, keys in the order of :data:`COLUMNS`; times are ISO 8601 in UTC."""
    values: dict[str, Any] = {name: getattr(result, name) for name in COLUMNS}
    values["tags"] = list(result.tags)
    for name in ("submitted_at", "accepted_at", "done_at"):
        values[name] = iso(values[name])
    return values


def iso(at: float | None) -> str | None:
    """Unix seconds as ``2026-03-01T12:04:05Z``, rounded down; None stays None."""
    if at is None:
        return None
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json_lines(results: Sequence[Result]) -> Iterator[str]:
    return (json.dumps(as_object(result), ensure_ascii=False) for result in results)


def _json_document(batch: str, rehearsal: bool) -> Writing:
    """One document with an object a line; only the first object has no comma in front."""
    comma = ""

    def page(results: Sequence[Result]) -> Iterator[str]:
        nonlocal comma
        for line in _json_lines(results):
            yield f"{comma}{line}"
            comma = ","

    told = f'"batch": {json.dumps(batch)}, "rehearsal": {json.dumps(rehearsal)}'
    return Writing(head=(f'{{{told}, "jobs": [',), page=page, foot=("]}",))


def _csv_lines(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(_cells(result))
        yield line.getvalue()


def _cells(result: Result) -> list[str]:
    values = as_object(result)
    values["tags"] = ";".join(result.tags)
    return [_cell(name, values[name]) for name in COLUMNS]


def _cell(name: str, value: Any) -> str:
    """Unknown is empty, yes and no are 1 and 0; no text can be taken for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    text = str(value)
    if name in _TEXT and text.startswith(_FORMULA):
        return f"'{text}"
    return text
