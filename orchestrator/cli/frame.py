"""One frame of the live view: from a snapshot to lines of text. Pure.

The number of lines stays the same while the run works, so that nothing jumps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from orchestrator.cli import words
from orchestrator.cli.lines import waits
from orchestrator.engine.progress import Notice, Progress, Stage
from orchestrator.model import State

PROBLEMS = 3
_LABEL = 11
_BAR_MOST, _BAR_LEAST = 48, 6
_MOVING = (State.PENDING, State.READY, State.SUBMITTING, State.SUBMITTED, State.RENDERED)
_RESTING = (State.DONE, State.FAILED, State.CANCELLED, State.IN_DOUBT)
_LOST = (State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """What a bar is drawn with: the part that is there, the part that is lost, the rest."""

    there: str = "█"
    lost: str = "▒"
    rest: str = "░"
    dot: str = "·"


ASCII = Glyphs(there="#", lost="x", rest="-", dot="|")


def frame(
    progress: Progress,
    problems: Sequence[Notice],
    width: int,
    glyphs: Glyphs = Glyphs(),
    *,
    over: bool = False,
) -> Text:
    """The whole view, no line wider than ``width`` (>= 20) cells; ``over``: the last one."""
    lines = [
        _head(progress, glyphs, over),
        Text(),
        *(_bar(progress, stage, width, glyphs) for stage in Stage),
        Text(),
        *_facts(progress, glyphs, over),
        Text(),
        *_problems(problems, over),
    ]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def preparing(name: str) -> Text:
    """What is shown before the run begins to work."""
    return Text(f"{name}: reading the manifest and its media files ...", style="dim")


def _head(progress: Progress, glyphs: Glyphs, over: bool) -> Text:
    took = words.duration(progress.now - progress.started_at)
    mood = "ending, starts nothing more" if progress.draining else "running"
    mood = "ended" if over else mood
    head = Text(progress.batch, style="bold")
    return head.append(f" {glyphs.dot} {mood} {glyphs.dot} {took}", style="not bold")


def _bar(progress: Progress, stage: Stage, width: int, glyphs: Glyphs) -> Text:
    total, there = progress.total, progress.reached.get(stage, 0)
    lost = sum(progress.counts.get(s, 0) for s in _LOST) if stage is Stage.DONE else 0
    digits = len(words.number(total))
    tail = f"{words.number(there):>{digits}} of {words.number(total)}"
    tail += f"  {words.percent(there, total):>3}%"
    line = Text(f"  {stage.value:<{_LABEL}}")
    room = min(_BAR_MOST, width - len(line) - len(tail) - 2)
    if room >= _BAR_LEAST:
        filled = _cells(there, total, room)
        red = max(1, _cells(there + lost, total, room) - filled) if lost else 0
        line.append(glyphs.there * filled, style="green" if stage is Stage.DONE else "cyan")
        line.append(glyphs.lost * red, style="red")
        line.append(glyphs.rest * (room - filled - red), style="bright_black")
        line.append("  ")
    return line.append(tail)


def _cells(part: int, total: int, room: int) -> int:
    """Rounded down: a bar is full only when all is there."""
    return part * room // total if total else 0


def _facts(progress: Progress, glyphs: Glyphs, over: bool) -> list[Text]:
    between = f" {glyphs.dot} "
    resting = [part for state in _RESTING for part in _at_rest(progress, state, glyphs)]
    return [
        _fact("under way", Text(between.join(words.tally(progress.counts, _MOVING)) or "-")),
        _fact("at rest", Text(between).join(resting) if resting else Text("-")),
        _fact("now", Text(between.join([] if over else _now(progress)) or "-")),
        _fact("pace", Text(between.join(_pace(progress, over)) or "-")),
    ]


def _fact(name: str, value: Text) -> Text:
    return Text(f"  {name:<{_LABEL}}").append_text(value)


def _at_rest(progress: Progress, state: State, glyphs: Glyphs) -> list[Text]:
    """Nothing, or how many; in front of them what the last bar shows them with."""
    mark = f"{glyphs.lost} " if state in _LOST else ""
    style = "" if state is State.DONE else "red"
    return [Text(f"{mark}{part}", style=style) for part in words.tally(progress.counts, [state])]


def _now(progress: Progress) -> list[str]:
    slots = f" of {progress.slots} slots" if progress.slots else ""
    parts = [f"{progress.rendering}{slots} rendering"] if progress.rendering or slots else []
    for n, name in (
        (progress.uploading, "uploading"),
        (progress.submitting, "submitting"),
        (progress.downloading, "downloading"),
        (progress.overdue, "overdue"),
    ):
        if n:
            parts.append(f"{n} {name}")
    return [*parts, waits(progress)] if waits(progress) else parts


def _pace(progress: Progress, over: bool) -> list[str]:
    rate, eta = progress.rate_per_h, progress.eta_s
    parts = [] if rate is None else [words.per_hour(rate)]
    if eta is not None and not over:
        parts.append(f"ETA {words.roughly(eta)}")
    return parts


def _problems(problems: Sequence[Notice], over: bool) -> list[Text]:
    last = [_problem(notice) for notice in problems[-PROBLEMS:]]
    if not last:
        last = [Text("  no problems" if over else "  no problems so far", style="dim")]
    return last if over else last + [Text(" ")] * (PROBLEMS - len(last))


def _problem(notice: Notice) -> Text:
    line = Text(f"  {words.clock(notice.at)} ", style="dim")
    if notice.job:
        line.append(f"{notice.job}: ", style="bold not dim")
    return line.append(words.one_line(notice.message), style="not dim")
