"""``orchestrator why``, ``retry``, ``cancel``, ``resolve``: single jobs, explained and settled."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import complete, facade, options, output
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything
from orchestrator.errors import OrchestratorError, UsageError
from orchestrator.model import TaskId

if TYPE_CHECKING:
    from orchestrator.operate.operator import Operator
    from orchestrator.operate.views import Sheet

WHY_EXAMPLES = """\b
Examples:
  orchestrator why spring/hello
  orchestrator why hello         if only one batch has it
  orchestrator why spring/hello --json | jq .events"""

RETRY_EXAMPLES = """\b
Examples:
  orchestrator retry spring/hello
  orchestrator retry 'spring/de-*' --dry-run
  orchestrator retry 'spring/*' --yes   failed and cancelled ones"""

CANCEL_EXAMPLES = """\b
Examples:
  orchestrator cancel spring/hello
  orchestrator cancel 'spring/de-*' --dry-run"""

RESOLVE_EXAMPLES = """\b
Examples:
  orchestrator resolve spring/hello --task-id 9c3e0c2f6b1d4a7f8e5b2a1c0d9e8f7a
  orchestrator resolve spring/hello --resubmit
  orchestrator resolve 'spring/*' --drop --yes"""

Job = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        autocompletion=complete.job,
        help="BATCH/ID, or ID alone if only one batch has it.",
    ),
]
Globs = Annotated[
    list[str],
    typer.Argument(
        metavar="JOBS",
        autocompletion=complete.job,
        help="BATCH/ID, both may be globs (quote them); ID alone if only one batch has it.",
    ),
]
Jobs = Annotated[
    list[str],
    typer.Argument(
        metavar="JOBS",
        autocompletion=complete.job,
        help="BATCH/ID, or globs with --resubmit and --drop; ID alone if only one batch has it.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would happen to which job; change nothing.")
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask before several jobs are changed.")
]
Rehearsal = Annotated[
    bool,
    typer.Option(
        "--emulator",
        help="Only rehearsals, made with 'run --emulator'. Without it a rehearsal is meant where "
        "no real job has the name.",
    ),
]
TaskIdOption = Annotated[
    str | None,
    typer.Option(
        "--task-id",
        metavar="ID",
        help="This is the job's task at the vendor: go on with it. The vendor is asked about it "
        "first. Costs nothing.",
    ),
]
Resubmit = Annotated[
    bool,
    typer.Option(
        "--resubmit", help="No task was made: submit anew. If one was, it is paid for twice."
    ),
]
Drop = Annotated[bool, typer.Option("--drop", help="Give the job up: failed, never submitted.")]
Force = Annotated[
    bool,
    typer.Option("--force", help="With --task-id: go on though the vendor cannot be asked."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a command that changes something is carried out and shown."""

    dry_run: bool
    yes: bool
    emulator: bool
    state: Path | None
    as_json: bool


def make_operator(state: Path | None, rehearsal: bool) -> Operator:
    """The facade on one state folder; None: where the facade finds it by itself."""
    from orchestrator.operate.operator import Operator

    return Operator(state, rehearsal=rehearsal)


@guarded
def why(
    job: Job,
    emulator: Rehearsal = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Tell a job's history in sentences: what is known, on what evidence, what happens next."""
    log_everything(debug)
    operator = make_operator(state, emulator)
    flags = "".join(f" {quote(flag)}" for flag in _flags(False, state))
    views = facade.loop_of(operator.why(job, flags=flags))
    if any(view.rehearsed_too for view in views):
        output.tell([_besides(job)])
    if as_json:
        shown = [view.to_json() for view in views]
        output.document(shown[0] if len(shown) == 1 else {"jobs": shown})
        return 0
    from orchestrator.cli.telling import why_lines

    blocks = [why_lines(view, output.width()) for view in views]
    output.out([line for block in blocks for line in (*block, "")][:-1])
    return 0


@guarded
def retry(
    jobs: Globs,
    dry_run: DryRun = False,
    yes: Yes = False,
    emulator: Rehearsal = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Bring failed and cancelled jobs back, and lost videos of done ones, never paying twice."""
    log_everything(debug)
    manner = Manner(dry_run=dry_run, yes=yes, emulator=emulator, state=state, as_json=as_json)
    return _carry(lambda operator: operator.retry(jobs), manner)


@guarded
def cancel(
    jobs: Globs,
    dry_run: DryRun = False,
    yes: Yes = False,
    emulator: Rehearsal = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Give up jobs that are not finished; what the vendor has begun, it finishes and charges."""
    log_everything(debug)
    manner = Manner(dry_run=dry_run, yes=yes, emulator=emulator, state=state, as_json=as_json)
    return _carry(lambda operator: operator.cancel(jobs), manner)


@guarded
def resolve(
    jobs: Jobs,
    task_id: TaskIdOption = None,
    resubmit: Resubmit = False,
    drop: Drop = False,
    force: Force = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    emulator: Rehearsal = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Settle jobs in doubt: name the task, submit anew, or give up."""
    log_everything(debug)
    manner = Manner(dry_run=dry_run, yes=yes, emulator=emulator, state=state, as_json=as_json)
    _refuse_muddle(jobs, task_id, resubmit, drop, force)
    if task_id is not None:
        task = TaskId(task_id)
        return _carry(lambda operator: operator.adopt(jobs[0], task, force=force), manner)
    if resubmit:
        return _carry(lambda operator: operator.resubmit(jobs), manner)
    return _carry(lambda operator: operator.drop(jobs), manner)


def _refuse_muddle(
    jobs: list[str], task_id: str | None, resubmit: bool, drop: bool, force: bool
) -> None:
    """Refuse flags of ``resolve`` that do not go together.

    Raises:
        UsageError: they do not.
    """
    if (task_id is not None) + resubmit + drop != 1:
        raise UsageError(
            "say how to resolve it, in one way: --task-id ID, --resubmit or --drop; "
            "'orchestrator why JOB' shows what is known"
        )
    if task_id is not None and len(jobs) > 1:
        raise UsageError("--task-id is for one job: a task belongs to one")
    if force and task_id is None:
        raise UsageError("--force is for --task-id: the others ask the vendor nothing")


def _carry(look: Callable[[Operator], Coroutine[Any, Any, Sheet]], manner: Manner) -> int:
    """Look, ask if need be, do it, and say what was done."""
    from orchestrator.operate.views import Result

    operator = make_operator(manner.state, manner.emulator)
    sheet = facade.loop_of(look(operator))
    if not manner.dry_run and sheet.count(Result.CHANGE):
        if not _agreed(sheet, manner):
            raise OrchestratorError("nothing was changed: the answer was not yes")
        sheet = facade.loop_of(operator.carry_out(sheet))
    _show(sheet, manner)
    return sheet.exit_code


def _agreed(sheet: Sheet, manner: Manner) -> bool:
    """Whether what the sheet would change may be changed: one job, --yes, or asked and told so.

    Raises:
        UsageError: several jobs, no --yes, and no terminal to ask on.
    """
    from orchestrator.cli.telling import question, sheet_lines

    if manner.yes or len(sheet.steps) == 1:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"{question(sheet)}, and there is no terminal to ask on: add --yes to do it, or "
            "--dry-run to see which; nothing was changed"
        )
    output.tell([*sheet_lines(sheet, output.width()), "", f"{question(sheet)}. Go on? [y/N] "])
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show(sheet: Sheet, manner: Manner) -> None:
    """What was done (or would be), and what to type next."""
    from orchestrator.cli.telling import next_commands, sheet_document, sheet_lines, summary

    steps = next_commands(sheet, _flags(sheet.rehearsal, manner.state))
    if sheet.rehearsed_too:
        output.tell([_besides(sheet.command)])
    if manner.as_json:
        output.document(sheet_document(sheet, dry_run=manner.dry_run, steps=steps))
        return
    lines = [*sheet_lines(sheet, output.width()), "", summary(sheet, dry_run=manner.dry_run)]
    output.out([*lines, *(f"next: {step}" for step in steps)])


def _besides(what: str) -> str:
    return f"{what}: the real one is meant; a rehearsal of this name exists, too (--emulator)"


def _flags(emulator: bool, state: Path | None) -> list[str]:
    rehearsed = ["--emulator"] if emulator else []
    return rehearsed if state is None else [*rehearsed, "--state", str(state)]
