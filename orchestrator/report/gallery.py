"""``report BATCH``: one HTML file that shows a whole batch, to be opened from a folder.

The page asks nobody for anything: posters stand in it, styles and script too, and its content
security policy forbids every other script, style and connection. Whatever comes from a manifest
or the vendor is escaped by the template engine.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import jinja2

from orchestrator.model import JobId, JobSpec, State
from orchestrator.report import figures
from orchestrator.report.build import batch_view
from orchestrator.report.cards import Section, Video, arrange, label, sections
from orchestrator.report.export import iso
from orchestrator.report.views import BatchView
from orchestrator.store.base import BatchRow, JobRow, RunRow

MARK = '<meta name="generator" content="avatar-orchestrator report">'
"""Stands near the beginning of every page: only a file that has it is ever replaced."""

_TEMPLATES = Path(__file__).parent / "templates"
_EXITS = {
    0: "every job done",
    1: "unexpected error",
    3: "some jobs failed",
    4: "some jobs in doubt or overdue",
    5: "stopped by budget or credit",
    6: "stopped by its time window",
    8: "credentials refused",
    9: "state store unusable",
    130: "interrupted",
    143: "ended by a signal",
}
_BAR = 1_000
"""Width of the bar of states, in its own units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a page is about.

    ``running``: which process works on the batch now, None if none does. ``videos`` tells of the
    files of those finished jobs that get a card; ``without_poster`` of them could have a picture
    and were left out to be quick. ``now`` is Unix seconds. ``specs`` tells what was asked for, of
    jobs of which that is known.
    """

    batch: BatchRow
    rows: Sequence[JobRow]
    last: RunRow | None
    running: str | None
    rehearsal: bool
    videos: Mapping[JobId, Video]
    posters_in_all: int
    without_poster: int
    now: float
    specs: Mapping[JobId, JobSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of the summary: its name, its value, and a word of explanation."""

    name: str
    value: str
    note: str = ""


def render(subject: Subject, beside: Path) -> str:
    """The page, for a file in the folder ``beside``."""
    view = batch_view(
        subject.batch,
        subject.rows,
        rehearsal=subject.rehearsal,
        running=subject.running,
        last=subject.last,
    )
    shown = sections(arrange(subject.rows), subject.videos, subject.specs, beside)
    environment = _environment()
    style, script = (_source(name) for name in ("gallery.css", "gallery.js"))
    return environment.get_template("gallery.html").render(
        mark=MARK,
        policy=_policy(style, script),
        style=style,
        script=script,
        batch=view,
        summary=_summary(view),
        figures=_figures(subject, view),
        bar=_bar(view),
        states=_states(shown),
        sections=shown,
        cards=sum(len(section.cards) for section in shown),
        notes=_notes(subject, shown),
        again=_again(view),
        made_at=(iso(subject.now), figures.moment(subject.now)),
    )


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = figures.number
    environment.filters["picture"] = _picture
    return environment


@lru_cache(maxsize=2)
def _source(name: str) -> str:
    """A style or script, whole: its hash stands in the page's policy."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing but this style, this script, pictures in the page and videos of the same place."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "img-src data:",
            "media-src 'self' file:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _picture(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _summary(view: BatchView) -> str:
    """The sentence under the title."""
    total = sum(view.counts.values())
    if not total:
        return "No jobs."
    done = view.counts.get(State.DONE, 0)
    if done == total:
        return "The video is done." if total == 1 else f"All {figures.number(total)} videos done."
    return f"{figures.number(done)} of {figures.number(total)} videos done."


def _figures(subject: Subject, view: BatchView) -> list[Figure]:
    credits = "–" if view.credits is None else figures.credits(view.credits)
    note = "no charge is known yet" if view.credits is None else "as the vendor's log says"
    if view.rehearsal:
        note = "play money of the emulator"
    return [
        Figure(name="Credits", value=credits, note=note),
        *_run_figures(subject),
    ]


def _run_figures(subject: Subject) -> list[Figure]:
    """How long the batch took, how fast the last run was, and how it ended."""
    last = subject.last
    if last is None:
        return [Figure(name="Last run", value="–", note="it was never run")]
    ended = last.ended_at or subject.now
    return [
        *_took(subject),
        *_rate(subject.rows, last.owner.started_at, ended),
        _end(last, subject.running),
    ]


def _took(subject: Subject) -> list[Figure]:
    """From the first run to the last video; pauses between runs count, later runs do not."""
    began = subject.batch.created_at
    done = [r.updated_at for r in subject.rows if r.state is State.DONE and not r.orphan]
    if not done or max(done) <= began:
        return []
    note = "from the first run's start to the last video"
    return [Figure(name="Time taken", value=figures.span(max(done) - began), note=note)]


def _rate(rows: Sequence[JobRow], began: float, ended: float) -> list[Figure]:
    made = sum(
        row.state is State.DONE and not row.orphan and began <= row.updated_at <= ended
        for row in rows
    )
    if made == 0 or ended <= began:
        return []
    rate = figures.per_hour(made / (ended - began) * 3600)
    videos = "1 video" if made == 1 else f"{figures.number(made)} videos"
    return [Figure(name="Per hour", value=rate, note=f"{videos} in the last run")]


def _end(last: RunRow, running: str | None) -> Figure:
    began = f"began {figures.moment(last.owner.started_at)}"
    if last.exit_code is not None:
        took = figures.span((last.ended_at or 0.0) - last.owner.started_at)
        words = _EXITS.get(last.exit_code, "see the list of exit codes")
        return Figure(
            name="Last run", value=f"exit {last.exit_code}", note=f"{words}; {began}, took {took}"
        )
    if running is not None:
        return Figure(name="Last run", value="running", note=f"{running}; {began}")
    note = f"{began}, was killed; run it again to go on"
    return Figure(name="Last run", value="cut off", note=note)


def _bar(view: BatchView) -> list[tuple[str, str, float, float]]:
    """Pieces of the bar of states: state, words, left edge, width, in thousandths."""
    total = sum(view.counts.values())
    pieces, edge = [], 0.0
    for state in _BAR_ORDER:
        count = view.counts.get(state, 0)
        if count:
            width = _BAR * count / total
            pieces.append((state.value, f"{figures.number(count)} {label(state)}", edge, width))
            edge += width
    return pieces


_BAR_ORDER = (
    *(State.DONE, State.RENDERED, State.SUBMITTED, State.SUBMITTING, State.READY),
    *(State.PENDING, State.CANCELLED, State.FAILED, State.IN_DOUBT),
)


def _states(shown: Sequence[Section]) -> list[tuple[str, str, int]]:
    """The states to filter by, gravest first: value, words, how many cards."""
    found = [card.state for section in shown for card in section.cards]
    counted = [(state.value, label(state), found.count(state)) for state in reversed(_BAR_ORDER)]
    return [entry for entry in counted if entry[2]]


def _notes(subject: Subject, shown: Sequence[Section]) -> list[tuple[str, str]]:
    """What the page does not show, and the command (or "") that helps."""
    notes = []
    more = sum(section.more for section in shown)
    if more:
        jobs = "1 more job has" if more == 1 else f"{figures.number(more)} more jobs have"
        why = f"{jobs} no card here, to keep the page quick. All of them:"
        notes.append((why, _command("export", subject)))
    if left := subject.without_poster:
        videos = "1 video was" if left == 1 else f"{figures.number(left)} videos were"
        why = f"{videos} left without a picture, to be done sooner. This adds more:"
        notes.append((why, _command("report", subject)))
    most = subject.posters_in_all
    if sum(len(section.cards) for section in shown if section.key == "done") > most:
        why = (
            f"Only the first {figures.number(most)} videos have a picture, to keep the page small."
        )
        notes.append((why, ""))
    return notes


def _command(name: str, subject: Subject) -> str:
    flags = ["--emulator"] if subject.rehearsal else []
    return shlex.join(["orchestrator", name, subject.batch.name, *flags])


def _again(view: BatchView) -> list[tuple[str, str]]:
    """Commands for jobs that need attention, each with what it does."""
    steps: list[tuple[str, str]] = []
    emulator = ["--emulator"] if view.rehearsal else []
    failed, given_up = view.counts.get(State.FAILED, 0), view.given_up
    if failed or view.counts.get(State.IN_DOUBT, 0):
        why = shlex.join(["orchestrator", "why", f"{view.batch}/JOB", *emulator])
        more = ", and how 'resolve' brings back what was given up in doubt" if given_up else ""
        steps.append((why, f"tells the story of one job{more}"))
    if failed > given_up:
        again = shlex.join(["orchestrator", "run", view.manifest, *emulator, "--retry-failed"])
        steps.append((again, "tries the failed jobs again"))
    return steps
