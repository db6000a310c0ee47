"""What ``status`` and ``jobs`` print: from the read model to lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.cli import tables, words
from orchestrator.cli.summary import count_table, trouble_lines
from orchestrator.cli.tables import Column
from orchestrator.errors import UsageError
from orchestrator.model import State
from orchestrator.report.commands import Typing
from orchestrator.report.steps import Situation, next_steps
from orchestrator.report.views import BatchView, JobView

COLUMNS: dict[str, Column] = {
    "batch": Column(title="BATCH", least=8),
    "id": Column(title="ID", least=16),
    "state": Column(title="STATE", least=9),
    "task": Column(title="TASK", least=9, yields=True),
    "output": Column(title="OUTPUT", least=12, keep_end=True, yields=True),
    "attempts": Column(title="ATTEMPTS", least=8),
    "credits": Column(title="CREDITS", least=7),
    "tags": Column(title="TAGS", least=8),
    "error": Column(title="ERROR", least=12),
}
"""What ``jobs --columns`` takes, in the order of ``--help``."""
USUAL = ("id", "state", "task", "output", "error")
OUT_OF_CREDIT = 5
"""The exit code of a run that budget or credit stopped."""
_LONG = 10
_LABEL = 10


def briefs(views: Sequence[BatchView], width: int | None) -> list[str]:
    """One line for each batch; on a terminal their names are padded and the lines cut to it."""
    pad = 0 if width is None else max(len(title(view)) for view in views)
    lines = [f"{title(view) + ':':<{pad + 1}} {_brief(view)}" for view in views]
    return lines if width is None else [tables.cut(line, width) for line in lines]


def _brief(view: BatchView) -> str:
    """``120 of 500 done, 2 failed, running (process 4711 on host)``."""
    running = [f"running ({view.running})"] if view.running else []
    killed = ["last run cut off"] if view.cut_off else []
    return words.sentence([_done(view), *_other(view), *_waiting(view), *running, *killed])


def title(view: BatchView) -> str:
    """The name, with a mark that keeps a rehearsal from being taken for the real thing."""
    return f"{view.batch} (rehearsal)" if view.rehearsal else view.batch


def detail(
    view: BatchView, state_dir: Path | None, width: int | None = None, *, watching: bool = False
) -> list[str]:
    """Everything about one batch that somebody wants to know in the morning.

    ``watching``: it is shown again and again, so nobody needs to be told how to look on.
    """
    trouble = trouble_lines(view.jobs, _LONG, width)
    waiting = [f"{part}: left out by {_by(view)} of the last run" for part in _waiting(view)]
    return [
        *words.wrapped(f"{title(view)}: {words.sentence([_done(view), *waiting])}", "  ", width),
        "",
        *count_table(view.counts),
        *(["", *trouble] if trouble else []),
        "",
        *_facts(view, width),
        *([] if watching and view.running else _next(view, state_dir, width)),
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
    """The document of ``jobs --json``: each job's object, with its batch, kind and tags."""
    return {
        "jobs": [
            {
                "batch": batch,
                "rehearsal": job.rehearsal,
                **job.to_json(),
                "tags": list(job.tags),
                "overdue": job.overdue,
                "orphan": job.orphan,
            }
            for batch, job in rows
        ]
    }


def chosen(
    rows: Sequence[tuple[str, JobView]], *, tags: Sequence[str], error: str | None
) -> list[tuple[str, JobView]]:
    """The jobs that have all of ``tags``, and ``error`` in the words of theirs, in any case."""
    text = None if error is None else error.casefold()
    return [
        (batch, job)
        for batch, job in rows
        if set(tags) <= set(job.tags) and (text is None or text in (job.error or "").casefold())
    ]


def columns_of(names: str | None) -> tuple[str, ...] | None:
    """The columns that ``--columns`` names; None: the usual ones.

    Raises:
        UsageError: there is no such column.
    """
    if names is None:
        return None
    found = tuple(name.strip().lower() for name in names.split(",") if name.strip())
    wrong = [name for name in found if name not in COLUMNS]
    if wrong or not found:
        which = f"no column {wrong[0]}" if wrong else "no columns"
        raise UsageError(f"--columns: {which}; there are: {', '.join(COLUMNS)}")
    return found


def job_lines(
    rows: Sequence[tuple[str, JobView]], width: int | None, names: Sequence[str] | None = None
) -> list[str]:
    """A table fitted to a terminal of ``width`` columns; None: in full, separated by tabs.

    ``names`` None: the usual columns, with the batch if there are several.
    """
    if names is None:
        several = len({(batch, job.rehearsal) for batch, job in rows}) > 1
        names = ("batch", *USUAL) if several else USUAL
    columns = [COLUMNS[name] for name in names]
    cells = [[_cell(name, batch, job) for name in names] for batch, job in rows]
    if width is None:
        return tables.tabbed(columns, cells)
    return tables.fitted(columns, cells, width)


def _cell(name: str, batch: str, job: JobView) -> str:
    match name:
        case "batch":
            return f"{batch} (rehearsal)" if job.rehearsal else batch
        case "state":
            marks = [m for m, on in (("overdue", job.overdue), ("orphan", job.orphan)) if on]
            return " ".join([job.state.value, *(f"({m})" for m in marks)])
        case "task":
            return job.task_id or "-"
        case "credits":
            return "-" if job.credits is None else words.credits(job.credits)
        case "tags":
            return ", ".join(job.tags) or "-"
        case "error":
            return job.error or ""
        case _:
            return str(getattr(job, name))


def _waiting(view: BatchView) -> list[str]:
    """Jobs that are in the manifest and that no run has begun, if there are any."""
    return [f"{words.number(view.not_started)} not started"] if view.not_started else []


def _by(view: BatchView) -> str:
    return " and ".join(view.told.by) or "choice"


def _done(view: BatchView) -> str:
    total = words.number(view.total)
    return f"{words.number(view.counts.get(State.DONE, 0))} of {total} done"


def _other(view: BatchView) -> list[str]:
    parts = words.tally(view.counts, (s for s in State if s is not State.DONE))
    overdue = [f"{words.number(view.overdue)} overdue"] if view.overdue else []
    orphans = [f"besides {words.count(view.orphans, 'orphan')}"] if view.orphans else []
    return parts + overdue + orphans


def _facts(view: BatchView, width: int | None) -> list[str]:
    lines = [f"manifest  {words.path(view.manifest)}"]
    if view.overdue:
        lines.append(f"overdue   {words.count(view.overdue, 'job')}: asked about, hold no slot")
    if view.orphans:
        lines.append(f"orphans   {words.count(view.orphans, 'job')} no longer in the manifest")
    if existing := min(view.told.existing, view.left_out):
        lines.append(f"existing  {words.count(existing, 'job')} left out (--skip-existing)")
    if view.credits is not None:
        lines.append(f"credits   {words.credits(view.credits)}")
    if last := _last_run(view):
        lines += words.wrapped(last, " " * _LABEL, width)
    return lines


def _last_run(view: BatchView) -> str:
    """Who works on it, or how the last run ended; "" if there was none."""
    if view.running is not None:
        return f"running   {view.running}"
    if view.cut_off and view.last_began_at is not None:
        began = words.moment(view.last_began_at)
        return f"last run  began {began} and was cut off (killed, or the machine stopped)"
    if view.last_ended_at is None:
        return ""
    code = "" if view.last_exit is None else f", exit code {view.last_exit}"
    return f"last run  ended {words.moment(view.last_ended_at)}{code}"


def _next(view: BatchView, state_dir: Path | None, width: int | None) -> list[str]:
    typing = Typing(
        batch=view.batch,
        manifest=words.path(view.manifest),
        state=None if state_dir is None else str(state_dir),
        rehearsal=(view.told.rehearsal or ("--emulator",)) if view.rehearsal else (),
    )
    steps = _steps(view, typing) if view.running is None else (typing.status("--watch"),)
    return [line for step in steps for line in words.step("next      ", step, width)]


def _steps(view: BatchView, typing: Typing) -> tuple[str, ...]:
    now = Situation(
        counts=view.counts,
        overdue=view.overdue,
        left_out=view.not_started,
        given_up=view.given_up,
        cut_off=view.cut_off,
        out_of_credit=view.last_exit == OUT_OF_CREDIT,
        doubtful=view.doubtful,
    )
    return next_steps(now, typing)
