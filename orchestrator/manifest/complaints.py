"""What is done with complaints, whoever made them: sort, sum up, tell as JSON; and near misses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from orchestrator.model import Complaint, Place

_VARIABLE = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # what the user wrote
    r"|\{\w*\}"  # a placeholder
    r"|\S+:\d+:\d+"  # a place
    r"|(?<!\w)[\w.~-]*/\S+?(?=[:,;]?(?:\s|$))"  # a path
    r"|(?<![\w.])\d[\d.,]*(?![\w])"  # a number
)
_CUTOFF = 0.6
MOST_SHOWN = 50
"""More complaints than this are summed up by kind where people read them."""


class ComplaintDocument(TypedDict):
    """A complaint as JSON; ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int
    problem: str
    remedy: str
    warning: bool


def to_json(complaint: Complaint) -> ComplaintDocument:
    """``complaint`` as JSON values."""
    place = complaint.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "problem": complaint.problem,
        "remedy": complaint.remedy,
        "warning": complaint.warning,
    }


def in_order(complaints: Iterable[Complaint], first: str = "") -> tuple[Complaint, ...]:
    """Sorted by place: those about the file ``first`` (the manifest), then file by file.

    At one place errors come before warnings.
    """
    return tuple(
        sorted(
            complaints,
            key=lambda c: (
                c.place.file != first,
                c.place.file,
                c.place.line,
                c.place.column,
                c.warning,
                c.problem,
            ),
        )
    )


@dataclass(slots=True)
class _Kind:
    count: int
    first: Complaint


def summary(complaints: Iterable[Complaint]) -> list[str]:
    """One line for each kind of complaint: how many, what, and the first of them with its place.

    Complaints are of one kind if they differ only in names, numbers, paths and places. Errors come
    before warnings, frequent ones before rare ones.
    """
    kinds: dict[tuple[bool, str, str], _Kind] = {}
    for complaint in complaints:
        key = (complaint.warning, _kind_of(complaint.problem), _kind_of(complaint.remedy))
        kind = kinds.setdefault(key, _Kind(0, complaint))
        kind.count += 1
        if _spot(complaint.place) < _spot(kind.first.place):
            kind.first = complaint
    ranked = sorted(kinds.values(), key=lambda k: (k.first.warning, -k.count, _spot(k.first.place)))
    width = max((len(f"{kind.count:,}") for kind in ranked), default=0)
    return [f"{kind.count:>{width},} like {kind.first}" for kind in ranked]


def shown(complaints: Iterable[Complaint], first: str = "") -> list[str]:
    """The lines for a person: all by place, or their kinds where there are more than 50."""
    ordered = in_order(complaints, first)
    return summary(ordered) if len(ordered) > MOST_SHOWN else [str(c) for c in ordered]


def _kind_of(words: str) -> str:
    return _VARIABLE.sub("…", words)


def _spot(place: Place) -> tuple[str, int, int]:
    return place.file, place.line, place.column


def near(word: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``word`` was probably meant to be; None if there is none.

    Case, spaces, dots and dashes do not count; of two that are equally near, neither is taken.
    """
    plain = {_plain(name): name for name in known}
    if _plain(word) in plain:
        return plain[_plain(word)]
    close = difflib.get_close_matches(_plain(word), plain, n=2, cutoff=_CUTOFF)
    if len(close) == 2 and _likeness(word, close[0]) == _likeness(word, close[1]):
        return None
    return plain[close[0]] if close else None


def _likeness(word: str, plain: str) -> float:
    return difflib.SequenceMatcher(None, plain, _plain(word)).ratio()


def _plain(word: str) -> str:
    return re.sub(r"[\s.\-]+", "_", word.strip().lower())
