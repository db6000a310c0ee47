"""The columns of a file of rows: which key of a job each of them is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import get_args

from pydantic import BaseModel

from orchestrator.manifest.complaints import near
from orchestrator.manifest.findings import shown
from orchestrator.manifest.schema import Job

_SEPARATORS = re.compile(r"[\s._-]+")
_VARS = "vars."


@cache
def known_columns() -> dict[str, str]:
    """Every dotted key of a job, by its folded name; the id and the sources first."""
    keys = [key for key in _keys(Job, "") if not key.startswith("vars")]
    keys.sort(key=lambda key: key != "id" and "." not in key)
    return {_folded(key): key for key in sorted(keys, key=lambda key: key != "id")}


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = [p for p in get_args(field.annotation) if isinstance(p, type)]
        sections = [p for p in inner if issubclass(p, BaseModel)]
        if sections:
            yield from _keys(sections[0], f"{prefix}{name}.")
        else:
            yield prefix + name


def _folded(header: str) -> str:
    """``header`` without case; spaces, dots, dashes and underscores are one and the same."""
    return _SEPARATORS.sub(".", header.strip().lower()).strip(".")


def column_key(header: str) -> str | None:
    """The dotted key that ``header`` means: "Audio Text" is audio.text; None if it means none."""
    folded = _folded(header)
    if folded.startswith(_VARS):
        return _VARS + folded.removeprefix(_VARS).replace(".", "_")
    return known_columns().get(folded)


def unknown_column(header: str) -> tuple[str, str, str | None]:
    """Problem and remedy for a header that means nothing, and the key that was perhaps meant."""
    problem = f"the column {shown(header)} is unknown"
    meant = _nearest(_folded(header))
    if meant:
        return problem, f'did you mean "{meant}"?', meant
    keys = ", ".join(known_columns().values())
    return problem, f"the columns known here are: {keys}, and vars.NAME for your own", None


def _nearest(folded: str) -> str | None:
    known = known_columns()
    last_parts: dict[str, list[str]] = {}
    for key in known.values():
        last_parts.setdefault(_folded(key.rpartition(".")[2]), []).append(key)
    whole = near(folded, known)
    if whole:
        return known[whole]
    part = near(folded, last_parts)
    return last_parts[part][0] if part else None
