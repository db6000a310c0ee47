"""What ``plan`` prints: from its view to lines. Pure.

Groups that change nothing are only counted; ``--all`` names their jobs too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.cli import words
from orchestrator.report.views import Pace, PlanLine, PlanView, Why

SHOWN = 5
"""Jobs of a group that are named without ``--all``."""
QUIET = frozenset({Why.KEEP, Why.GOING, Why.RESTING, Why.UNSELECTED})
"""Groups in which nothing new happens."""
_WIDEST_ID = 24
_NEXT = "next     "

WHAT: dict[Why, str] = {
    Why.CONFLICT: "a file that this batch did not make is in the way",
    Why.NEW: "made for the first time",
    Why.KEEP: "done, unchanged: kept as they are",
    Why.GOING: "on their way: go on where they were",
    Why.CHANGED: "changed: made anew",
    Why.ADOPT: "fetched again from their task, for nothing",
    Why.RETRY: "tried once more",
    Why.RESTING: "failed or cancelled: stay so without --retry-failed",
    Why.IN_DOUBT: "in doubt: not submitted again",
    Why.MOVE: "done: copied to their new path",
    Why.ORPHAN: "left the manifest: shown, never touched",
    Why.UNSELECTED: "not selected",
}


def plan_lines(view: PlanView, width: int | None, *, every_job: bool = False) -> list[str]:
    """What a run would do, by groups with counts and reasons, and what it would cost.

    On a terminal of ``width`` columns long reasons are wrapped; None: everything in one line.
    """
    kind = " (rehearsal)" if view.rehearsal else ""
    head = f"{view.batch}{kind}: {words.count(len(view.lines), 'job')}, {words.path(view.manifest)}"
    counts = view.counts
    digits = max((len(words.number(n)) for n in counts.values()), default=1)
    table = [
        f"  {why.value:<10}  {words.number(n):>{digits}}  {WHAT[why]}" for why, n in counts.items()
    ]
    named = [why for why in counts if every_job or why not in QUIET]
    groups = [line for why in named for line in _group(view.lines, why, every_job, width)]
    return [head, "", *table, "", *groups, *_cost(view, width)]


def plan_steps(view: PlanView, again: str, out: Path | None, width: int | None) -> list[str]:
    """The commands that make sense now. ``again`` is the run with the flags of this plan."""
    if Why.CONFLICT in view.counts:
        found = words.count(view.counts[Why.CONFLICT], "file")
        stop = f"run would stop with exit code 2: {found} in the way"
        return words.wrapped(f"{stop} (--skip-existing, --overwrite)", "  ", width)
    return [line for text in _steps(view, again, out) for line in words.step(_NEXT, text, width)]


def _steps(view: PlanView, again: str, out: Path | None) -> list[str]:
    if out is not None:
        return [f"{again} --plan {words.quoted(out)}"]
    if view.submits > 10 and "--sample" not in again:
        return [f"{again} --sample 3    # some of every kind first", again]
    return [again] if view.submits or _moves(view) else []


def _moves(view: PlanView) -> bool:
    return any(why in view.counts for why in (Why.GOING, Why.ADOPT, Why.MOVE, Why.IN_DOUBT))


def _group(
    lines: Sequence[PlanLine], why: Why, every_job: bool, width: int | None
) -> Iterable[str]:
    found = [line for line in lines if line.what is why]
    reasons = {_reason(line) for line in found}
    shown = found if every_job else found[:SHOWN]
    if len(reasons) == 1:
        yield from words.wrapped(f"{why.value}: {reasons.pop() or WHAT[why]}", "  ", width)
        yield from (f"  {line.id}" for line in shown)
    else:
        yield why.value
        pad = min(_WIDEST_ID, max(len(line.id) for line in shown))
        for line in shown:
            text = f"  {line.id:<{pad}}  {_reason(line)}"
            yield from words.wrapped(text, " " * (pad + 4), width)
    if len(found) > len(shown):
        yield f"  ... and {words.number(len(found) - len(shown))} more (--all shows them)"
    yield ""


def _reason(line: PlanLine) -> str:
    """The reason without the name of its group in front."""
    return words.one_line(line.reason).removeprefix(f"{line.what.value}: ")


def _cost(view: PlanView, width: int | None) -> list[str]:
    there = f"; {words.number(view.uploaded_already)} there already" * bool(view.uploaded_already)
    volume = f", {words.size(view.upload_bytes)}" if view.upload_files else ""
    facts = [
        ("uploads", f"{words.count(view.upload_files, 'file')}{volume}{there}"),
        ("submits", words.count(view.submits, "job")),
        ("credits", f"{_credits(view)}; {_balance(view)}"),
        ("time", _time(view)),
    ]
    lines = [
        line for name, fact in facts for line in words.wrapped(f"{name:<7}  {fact}", " " * 9, width)
    ]
    return [*lines, "Nothing was sent or stored."]


def _credits(view: PlanView) -> str:
    if not view.submits:
        return "none"
    about = f"about {words.credits(view.credits_estimate)}"
    if not view.credits_learned:
        return f"{about} (estimate: nothing learned yet)"
    if view.credits_learned == view.submits:
        return f"{about} (learned from the account's charges)"
    learned = f"{words.number(view.credits_learned)} of {words.count(view.submits, 'job')}"
    return f"{about} (learned for {learned}, the others estimated)"


def _time(view: PlanView) -> str:
    if not view.submits:
        return "no rendering to wait for"
    least = f"at least {words.duration(view.at_least_s)}"
    pace = view.pace
    if pace.time_s is None:
        return least
    how = f"{_source(pace)} {_render(pace.render_s)} a video, {pace.in_flight} at once"
    about = (
        words.roughly(pace.time_s) if pace.time_s < 60 else f"about {words.roughly(pace.time_s)}"
    )
    return f"{about} (estimate: {how}); {least}"


def _render(render_s: float) -> str:
    """The time of one video; of a rehearsal it may be less than a second."""
    return f"{render_s:.1f} s" if render_s < 2 else words.duration(render_s)


def _source(pace: Pace) -> str:
    if not pace.learned:
        return "assumed"
    return f"learned from {words.count(pace.videos, 'video')}:" if pace.videos else "learned"


def _balance(view: PlanView) -> str:
    if view.rehearsal:
        return "a rehearsal spends none"
    if view.balance is None:
        return "balance not known (no credentials, or no answer)"
    balance = f"balance {words.credits(view.balance)}"
    short = view.credits_estimate - view.balance
    return f"{balance}: {words.credits(short)} too few" if short > 0 else balance
