"""What ``run`` prints at the end: from a view of the read model to lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.cli import words
from orchestrator.model import State
from orchestrator.report.views import JobView, RunView

SHOWN = 5
TROUBLED = (State.FAILED, State.IN_DOUBT)


def run_lines(view: RunView, width: int | None = None) -> list[str]:
    """The end of a run, headline first; on a terminal of ``width`` columns words are wrapped."""
    headline = words.wrapped(headline_of(view), "  ", width)
    notes = [line for note in view.notes for line in words.wrapped(note, "  ", width)]
    return [
        *(*headline, "", *_tally(view, width), *_troubled(view.status.jobs, width)),
        *([*notes, ""] if notes else []),
        *_places(view, width),
    ]


def headline_of(view: RunView) -> str:
    """The one line to read; a rehearsal's cannot be taken for the real thing."""
    batch = view.status.batch
    if not view.status.rehearsal:
        return view.headline
    return view.headline.replace(f"{batch}:", f"{batch} (rehearsal):", 1)


def _tally(view: RunView, width: int | None) -> list[str]:
    rows = count_table(view.status.counts)
    if view.status.overdue:
        rows.append(f"  of these overdue: {words.number(view.status.overdue)}")
    if view.status.left_out:
        rows.append(f"  besides, left out of this run: {words.number(view.status.left_out)}")
    if view.status.orphans:
        rows.append(f"  besides, no longer in the manifest: {words.number(view.status.orphans)}")
    here = (
        f"{words.count(view.uploaded, 'file')} uploaded, "
        f"{words.count(view.submitted, 'job')} submitted, "
        f"{words.count(view.downloaded, 'video')} downloaded"
    )
    took = f"  this run: {here}, in {words.duration(view.elapsed_s)}"
    return [*rows, *words.wrapped(took, "    ", width), ""]


def count_table(counts: Mapping[State, int]) -> list[str]:
    """One line a state that has jobs, numbers under each other."""
    there = [(words.state(s), words.number(counts[s])) for s in State if counts.get(s)]
    digits = max((len(n) for _, n in there), default=1)
    return [f"  {name:<10}  {n:>{digits}}" for name, n in there]


def _troubled(jobs: Sequence[JobView], width: int | None) -> list[str]:
    found = trouble_lines(jobs, width=width)
    return [*found, ""] if found else []


def trouble_lines(
    jobs: Sequence[JobView], shown: int = SHOWN, width: int | None = None
) -> list[str]:
    """The first jobs that somebody should look at, each with its error, and how many more.

    On a terminal of ``width`` columns long errors are wrapped.
    """
    found = [j for j in jobs if (j.state in TROUBLED or j.overdue) and not j.orphan]
    every = [f"  {j.id} ({_condition(j)}): {words.one_line(j.error or '-')}" for j in found[:shown]]
    lines = [line for text in every for line in words.wrapped(text, "    ", width)]
    if len(found) > shown:
        lines.append(f"  ... and {words.number(len(found) - shown)} more")
    return lines


def _condition(job: JobView) -> str:
    return words.state(job.state) if job.state in TROUBLED else "overdue"


def _places(view: RunView, width: int | None) -> list[str]:
    lines = []
    if view.outputs:
        lines.append(f"videos  {view.outputs}")
    if view.report:
        lines.append(f"report  {view.report}")
    if view.state_dir:
        lines.append(f"state   {view.state_dir}")
    steps = [line for step in view.next_steps for line in words.step("next    ", step, width)]
    return lines + steps
