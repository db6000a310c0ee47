"""What ``status`` and ``jobs`` print: from the read model to lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.cli import tables, words
from orchestrator.cli.summary import count_table, trouble_lines
from orchestrator.cli.tables import Column
from orchestrator.model import State
from orchestrator.report.headline import next_steps
from orchestrator.report.views import BatchView, JobView

COLUMNS = (
    Column(title="ID", least=16),
    Column(title="STATE", least=9),
    Column(title="TASK", least=9, yields=True),
    Column(title="OUTPUT", least=12, keep_end=True),
    Column(title="ERROR", least=12),
)
_LONG = 10


def brief(view: BatchView) -> str:
    """One batch in one line: ``spring  120 of 500 done, 2 failed, running (pid 4711 on host)``."""
    running = [f"running ({view.running})"] if view.running else []
    return f"{title(view)}: {words.sentence([_done(view), *_other(view), *running])}"


def title(view: BatchView) -> str:
    """The name, with a mark that keeps a rehearsal from being taken for the real thing."""
    return f"{view.batch} (rehearsal)" if view.rehearsal else view.batch


def detail(view: BatchView, state_dir: Path | None) -> list[str]:
    """Everything about one batch that somebody wants to know in the morning."""
    trouble = trouble_lines(view.jobs, _LONG)
    return [
        f"{title(view)}: {_done(view)}",
        "",
        *count_table(view.counts),
        *(["", *trouble] if trouble else []),
        "",
        *_facts(view),
        *_next(view, state_dir),
    ]


def batches_document(views: Sequence[BatchView], batch: str | None) -> dict[str, Any]:
    """The document of ``status --json``: the one batch that is meant, else a list of all.

    Of one name the real batch is meant, not its rehearsal.
    """
    meant = [v for v in views if not v.rehearsal] if batch is not None else list(views)
    if len(meant or views) == 1:
        return (meant or views)[0].to_json()
    return {"batches": [view.to_json() for view in (meant or views)]}


def jobs_document(rows: Sequence[tuple[str, JobView]]) -> dict[str, Any]:
    """The document of ``jobs --json``: each job's object, with the name of its batch."""
    return {"jobs": [{"batch": batch, **job.to_json()} for batch, job in rows]}


def job_lines(rows: Sequence[tuple[str, JobView]], width: int | None) -> list[str]:
    """A table fitted to a terminal of ``width`` columns; None: in full, separated by tabs."""
    several = len({batch for batch, _ in rows}) > 1
    columns = (Column(title="BATCH", least=8), *COLUMNS) if several else COLUMNS
    cells = [([batch] if several else []) + _cells(job) for batch, job in rows]
    if width is None:
        return tables.tabbed(columns, cells)
    return tables.fitted(columns, cells, width)


def _cells(job: JobView) -> list[str]:
    marks = [m for m, on in (("overdue", job.overdue), ("orphan", job.orphan)) if on]
    condition = " ".join([job.state.value, *(f"({m})" for m in marks)])
    return [job.id, condition, job.task_id or "-", job.output, job.error or ""]


def _done(view: BatchView) -> str:
    total = words.number(sum(view.counts.values()))
    return f"{words.number(view.counts.get(State.DONE, 0))} of {total} done"


def _other(view: BatchView) -> list[str]:
    parts = words.tally(view.counts, (s for s in State if s is not State.DONE))
    overdue = [f"{words.number(view.overdue)} overdue"] if view.overdue else []
    orphans = [f"besides {words.count(view.orphans, 'orphan')}"] if view.orphans else []
    return parts + overdue + orphans


def _facts(view: BatchView) -> list[str]:
    lines = [f"manifest  {view.manifest}"]
    if view.overdue:
        lines.append(f"overdue   {words.count(view.overdue, 'job')}: asked about, hold no slot")
    if view.orphans:
        lines.append(f"orphans   {words.count(view.orphans, 'job')} no longer in the manifest")
    if view.credits is not None:
        lines.append(f"credits   {words.credits(view.credits)}")
    if view.running is not None:
        lines.append(f"running   {view.running}")
    elif view.last_ended_at is not None:
        code = "" if view.last_exit is None else f", exit code {view.last_exit}"
        lines.append(f"last run  ended {words.moment(view.last_ended_at)}{code}")
    return lines


def _next(view: BatchView, state_dir: Path | None) -> list[str]:
    extra: list[str | Path] = ["--emulator"] if view.rehearsal else []
    extra += ["--state", state_dir] if state_dir is not None else []
    if view.running is not None:
        steps: tuple[str, ...] = (words.command("status", view.batch, "--watch", *extra),)
    else:
        again = words.command("run", view.manifest, *extra)
        steps = next_steps(view.batch, view.counts, overdue=view.overdue, again=again, stops=())
    return [f"next      {step}" for step in steps]
