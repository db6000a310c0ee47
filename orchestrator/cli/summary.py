"""What ``run`` and ``plan`` print at the end: from a view of the read model to lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.cli import words
from orchestrator.model import State
from orchestrator.report.views import JobView, PlanLine, PlanView, RunView, Why

SHOWN = 5
TROUBLED = (State.FAILED, State.IN_DOUBT)

WHAT: dict[Why, str] = {
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


def run_lines(view: RunView) -> list[str]:
    """The end of a run, headline first."""
    return [view.headline, "", *_tally(view), *_troubled(view.status.jobs), *_places(view)]


def _tally(view: RunView) -> list[str]:
    rows = count_table(view.status.counts)
    if view.status.overdue:
        rows.append(f"  of these overdue: {words.number(view.status.overdue)}")
    if view.status.orphans:
        rows.append(f"  besides, no longer in the manifest: {words.number(view.status.orphans)}")
    here = (
        f"{words.count(view.uploaded, 'file')} uploaded, "
        f"{words.count(view.submitted, 'job')} submitted, "
        f"{words.count(view.downloaded, 'video')} downloaded"
    )
    return [*rows, f"  this run: {here}, in {words.duration(view.elapsed_s)}", ""]


def count_table(counts: Mapping[State, int]) -> list[str]:
    """One line a state that has jobs, numbers under each other."""
    there = [(words.state(s), words.number(counts[s])) for s in State if counts.get(s)]
    digits = max((len(n) for _, n in there), default=1)
    return [f"  {name:<10}  {n:>{digits}}" for name, n in there]


def _troubled(jobs: Sequence[JobView]) -> list[str]:
    found = trouble_lines(jobs)
    return [*found, ""] if found else []


def trouble_lines(jobs: Sequence[JobView], shown: int = SHOWN) -> list[str]:
    """The first jobs that somebody should look at, each with its error, and how many more."""
    found = [j for j in jobs if (j.state in TROUBLED or j.overdue) and not j.orphan]
    lines = [f"  {j.id} ({_condition(j)}): {words.one_line(j.error or '-')}" for j in found[:shown]]
    if len(found) > shown:
        lines.append(f"  ... and {words.number(len(found) - shown)} more")
    return lines


def _condition(job: JobView) -> str:
    return words.state(job.state) if job.state in TROUBLED else "overdue"


def _places(view: RunView) -> list[str]:
    lines = []
    if view.outputs:
        lines.append(f"videos  {view.outputs}")
    if view.report:
        lines.append(f"report  {view.report}")
    if view.state_dir:
        lines.append(f"state   {view.state_dir}")
    return lines + [f"next    {step}" for step in view.next_steps]


def plan_lines(view: PlanView, *, every_job: bool = False) -> list[str]:
    """What a run would do, by groups with counts, reasons, and what it would cost."""
    rehearsal = "rehearsal of " if view.rehearsal else ""
    head = f"{rehearsal}{view.batch} ({view.manifest}): {words.count(len(view.lines), 'job')}"
    counts = view.counts
    digits = max((len(words.number(n)) for n in counts.values()), default=1)
    table = [
        f"  {why.value:<10}  {words.number(n):>{digits}}  {WHAT[why]}" for why, n in counts.items()
    ]
    groups = [line for why in counts for line in _group(view.lines, why, every_job)]
    return [head, "", *table, "", *groups, *_cost(view)]


def _group(lines: Sequence[PlanLine], why: Why, every_job: bool) -> list[str]:
    found = [line for line in lines if line.what is why]
    shown = found if every_job else found[:SHOWN]
    rows = [f"  {x.id}: {words.one_line(x.reason)}" if x.reason else f"  {x.id}" for x in shown]
    if len(found) > len(shown):
        rows.append(f"  ... and {words.number(len(found) - len(shown))} more (--all shows them)")
    return [why.value, *rows, ""]


def _cost(view: PlanView) -> list[str]:
    there = (
        f" ({words.number(view.uploaded_already)} there already)" if view.uploaded_already else ""
    )
    files = words.count(view.upload_files, "file")
    volume = f", {words.size(view.upload_bytes)}" if view.upload_files else ""
    return [
        f"uploads  {files}{volume}{there}",
        f"submits  {words.count(view.submits, 'job')}",
        f"credits  about {words.credits(view.credits_estimate)} (estimate), {_balance(view)}",
        f"time     at least {words.duration(view.at_least_s)}",
        "Nothing was sent or stored.",
    ]


def _balance(view: PlanView) -> str:
    if view.balance is None:
        return "balance not known (no credentials, or no answer)"
    balance = f"balance {words.credits(view.balance)}"
    short = view.credits_estimate - view.balance
    return f"{balance}: {words.credits(short)} too few" if short > 0 else balance
