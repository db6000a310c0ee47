"""What the gallery shows of each job, and in which order: from rows to cards. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never
from urllib.parse import quote

from orchestrator.model import JobId, JobSpec, State
from orchestrator.report import figures
from orchestrator.report.asked import asked
from orchestrator.report.build import job_view
from orchestrator.report.results import plain, seconds_of
from orchestrator.store.base import JobRow

MOST_CARDS = 3_000
"""A page with more of them is no pleasure to open."""
_LONGEST_ERROR = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """What was found of a finished job's file: whether it is there, how long it lasts (None: not
    known), and a small JPEG of it (None: there is none)."""

    there: bool
    seconds: float | None = None
    poster: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One job on the page. Texts are not yet escaped; ``facts`` are pairs of name and value, and
    so is ``asked``: what the manifest asked for (nothing where that is not known).

    ``mood`` (problem, going, done, aside) chooses the colours, ``link`` is the video's path
    relative to the page, percent-encoded.
    """

    id: JobId
    state: State
    label: str
    mood: str
    output: str
    link: str | None
    missing: bool
    video: Video | None
    clip: str
    error: str
    task_id: str
    tags: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    asked: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and its cards; ``more`` jobs of the section have no card. ``key`` is its id."""

    key: str
    title: str
    jobs: int
    cards: tuple[Card, ...]
    more: int


_TITLES = {
    "problem": "Needs attention",
    "done": "Videos",
    "going": "On the way",
    "aside": "Set aside",
}
"""The moods in the order of the page."""
_GRAVEST = (State.IN_DOUBT, State.FAILED)


def mood(row: JobRow) -> str:
    """In which section the job stands."""
    if row.orphan:
        return "aside"
    match row.state:
        case State.IN_DOUBT | State.FAILED:
            return "problem"
        case State.PENDING | State.READY | State.SUBMITTING | State.SUBMITTED | State.RENDERED:
            return "problem" if row.overdue else "going"
        case State.DONE:
            return "done"
        case State.CANCELLED:
            return "aside"
        case _:
            assert_never(row.state)


def label(state: State) -> str:
    """A state as people read it: ``in doubt``."""
    return state.value.replace("_", " ")


def arrange(rows: Sequence[JobRow], most: int = MOST_CARDS) -> list[tuple[str, list[JobRow], int]]:
    """Sections as key, rows that get a card, and how many do not.

    Jobs in doubt come first, then failed and overdue ones, then videos, then the rest; within a
    section the order of ``rows`` is kept. ``most`` cards are given in all.
    """
    found: dict[str, list[JobRow]] = {key: [] for key in _TITLES}
    for row in rows:
        found[mood(row)].append(row)
    found["problem"].sort(key=_gravity)
    sections = []
    for key, members in found.items():
        shown = members[:most]
        most -= len(shown)
        sections.append((key, shown, len(members) - len(shown)))
    return [(key, shown, more) for key, shown, more in sections if shown or more]


def _gravity(row: JobRow) -> int:
    return _GRAVEST.index(row.state) if row.state in _GRAVEST else len(_GRAVEST)


def sections(
    arranged: Sequence[tuple[str, list[JobRow], int]],
    videos: Mapping[JobId, Video],
    specs: Mapping[JobId, JobSpec],
    beside: Path,
) -> list[Section]:
    """The cards of an arranged page that will lie in the folder ``beside``."""
    return [
        Section(
            key=key,
            title=_TITLES[key],
            jobs=len(rows) + more,
            cards=tuple(
                _card(row, videos.get(row.job_id), specs.get(row.job_id), beside) for row in rows
            ),
            more=more,
        )
        for key, rows, more in arranged
    ]


def _card(row: JobRow, video: Video | None, spec: JobSpec | None, beside: Path) -> Card:
    view = job_view(row)
    there = video is not None and video.there
    seconds = None if video is None else video.seconds or seconds_of(row)
    return Card(
        id=row.job_id,
        state=row.state,
        label=label(row.state) + (", overdue" if view.overdue else ""),
        mood=mood(row),
        output=row.output,
        link=relative(row.output, beside) if there else None,
        missing=video is not None and not there,
        video=video,
        clip="" if seconds is None else figures.clip(seconds),
        error="" if view.error is None else _short(plain(view.error)),
        task_id=row.task_id or "",
        tags=row.tags,
        facts=_facts(row),
        asked=() if spec is None else asked(spec),
    )


def _facts(row: JobRow) -> tuple[tuple[str, str], ...]:
    facts = []
    if row.state is State.DONE and row.output_bytes is not None:
        facts.append(("Size", figures.size(row.output_bytes)))
    if row.credits is not None:
        facts.append(("Credits", figures.credits(row.credits)))
    if row.attempts > 0:
        facts.append(("Attempts", figures.number(row.attempts)))
    if row.orphan:
        facts.append(("Manifest", "no longer in it"))
    return tuple(facts)


def relative(output: str, beside: Path) -> str:
    """The way from the page's folder to a file, as a link that no character can break out of."""
    return "./" + quote(os.path.relpath(output, beside), safe="/", errors="replace")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}…"
