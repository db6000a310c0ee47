"""What ``why``, ``retry``, ``cancel`` and ``resolve`` print: from the facade's values to lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.cli import words
from orchestrator.model import TERMINAL
from orchestrator.operate.places import typed
from orchestrator.operate.views import Result, Sheet, Step, Typed, WhyView

MOST_STEPS = 10
"""So many jobs of each group are named."""

_TITLES = {
    Result.CHANGE: "would be changed",
    Result.CHANGED: "changed",
    Result.LEFT: "left alone",
    Result.REFUSED: "refused",
    Result.STALE: "not done",
}


def why_lines(view: WhyView, width: int | None) -> list[str]:
    """A job's story; on a terminal of ``width`` columns, long sentences are wrapped."""
    story = view.story
    lines = _wrapped([f"{_headline(view)}."], "", width)
    lines += ["", *_wrapped(story.known, "    ", width, "  ")]
    if story.history:
        lines += ["", "history", *_history(view, width)]
    if story.attempts:
        lines += ["", "attempts", *_wrapped(story.attempts, "    ", width, "  ")]
    lines += ["", "what happens next", *_wrapped(story.next, "    ", width, "  ")]
    if story.commands:
        lines += ["", "to type", *_commands(story.commands, width)]
    return lines


def _headline(view: WhyView) -> str:
    """The story's, with a mark behind the name that keeps a rehearsal from being taken for the
    real thing."""
    name = f"{view.batch}/{view.job.job_id}"
    told = view.story.headline
    return told.replace(name, f"{name} (rehearsal)", 1) if view.rehearsal else told


def _commands(commands: Sequence[Typed], width: int | None) -> list[str]:
    """Each with what it does above it; they are never wrapped, they are there to be copied."""
    lines: list[str] = []
    does = ""
    for command in commands:
        if command.does != does:
            lines += _wrapped([f"# {command.does}"], "  ", width)
        does = command.does
        lines.append(f"  {command.command}")
    return lines


def _history(view: WhyView, width: int | None) -> list[str]:
    lines: list[str] = []
    for told in view.story.history:
        head = f"  {_at(told.at)}  "
        indent = " " * len(head)
        lines += _wrapped([told.sentence], indent, width, head)
    return lines


def _at(at: float) -> str:
    return f"{words.moment(at)}:{words.clock(at)[-2:]}"


def _wrapped(
    sentences: Iterable[str], indent: str, width: int | None, head: str | None = None
) -> list[str]:
    """Each sentence on lines of its own; the first begins with ``head``, others with ``indent``."""
    first = indent if head is None else head
    lines: list[str] = []
    for text in sentences:
        lines += words.wrapped(first + words.one_line(text), indent, width)
    return lines


def sheet_lines(sheet: Sheet, width: int | None) -> list[str]:
    """Every group of jobs with its first members, and what the operator has to know."""
    lines: list[str] = []
    for result in Result:
        steps = [step for step in sheet.steps if step.result is result]
        if steps:
            lines += [f"{_TITLES[result]}: {words.count(len(steps), 'job')}"]
            lines += _steps(steps, width)
    return lines


def _steps(steps: Sequence[Step], width: int | None) -> list[str]:
    lines: list[str] = []
    for step in steps[:MOST_STEPS]:
        state = words.state(step.job.state)
        lines += _wrapped([f"{step.name} ({state}): {step.message}"], "    ", width, "  ")
        if step.ruling.warning and step.result in (Result.CHANGE, Result.CHANGED):
            lines += _wrapped([f"beware: {step.ruling.warning}"], "    ", width)
    more = len(steps) - MOST_STEPS
    return [*lines, f"  and {words.number(more)} more"] if more > 0 else lines


def summary(sheet: Sheet, *, dry_run: bool) -> str:
    """One line: what was done, or would be."""
    counted = [
        f"{words.number(n)} {_TITLES[result]}" for result in Result if (n := sheet.count(result))
    ]
    end = "; nothing was done (--dry-run)" if dry_run else ""
    mark = " (rehearsal)" if sheet.rehearsal else ""
    return f"{sheet.command}{mark}: {', '.join(counted)}{end}"


def question(sheet: Sheet) -> str:
    """What is asked before several jobs are changed."""
    matched, change = len(sheet.steps), sheet.count(Result.CHANGE)
    jobs = f"{words.count(matched, 'job')} {'matches' if matched == 1 else 'match'}"
    mark = " (rehearsal)" if sheet.rehearsal else ""
    return f"{sheet.command}{mark}: {jobs}, {words.number(change)} would be changed"


def next_commands(sheet: Sheet, flags: Sequence[str]) -> list[str]:
    """What to type next, with what it does."""
    changed = [s for s in sheet.steps if s.result is Result.CHANGED]
    refused = [s for s in sheet.steps if s.result in (Result.REFUSED, Result.STALE)]
    steps: list[str] = []
    for batch in {s.batch.key: s.batch for s in changed}.values():
        goes_on = _goes_on([s for s in changed if s.batch.key == batch.key], sheet)
        if not goes_on or batch.name in sheet.running:
            given_up = not goes_on and sheet.command != "cancel"
            does = "shows how it stands now" + ("; no run submits what was given up" * given_up)
            steps.append(f"{words.command('status', batch.name, *flags)}    # {does}")
        if goes_on:
            again = words.command("run", typed(batch.manifest), *flags)
            steps.append(f"{again}    # {_does(sheet, batch.name)}")
    if refused:
        steps.append(f"{words.command('why', refused[0].name, *flags)}    # says more")
    return steps


def _goes_on(changed: Sequence[Step], sheet: Sheet) -> bool:
    """Whether there is something for the next run to do with these jobs of one batch."""
    return sheet.command != "cancel" and any(step.after not in TERMINAL for step in changed)


def _does(sheet: Sheet, batch: str) -> str:
    if batch in sheet.running:
        return "after the run at work: goes on with what that one did not take up"
    return "goes on with it"


def sheet_document(sheet: Sheet, *, dry_run: bool, steps: Sequence[str]) -> dict[str, Any]:
    """The document of ``retry --json``, ``cancel --json`` and ``resolve --json``."""
    return {**sheet.to_json(), "dry_run": dry_run, "next": list(steps)}
