"""The command ``orchestrator``: which commands there are, and the way out.

Handlers import what they need when they run, so that ``orchestrator --help`` stays quick.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any, cast

import typer

from orchestrator.cli import (
    catalogues,
    complete,
    doctor,
    emulate,
    guard,
    look,
    operate,
    output,
    plan,
    results,
    starter,
)
from orchestrator.cli import run as run_

HELP = """Turn a YAML manifest of avatar/audio pairs into finished talking-avatar videos, in bulk,
unattended, never paying twice. A run that was killed goes on when its command is typed again."""

EXAMPLES = """\b
Examples:
  orchestrator run jobs.example.yaml --emulator   a rehearsal
  orchestrator plan jobs.yaml                     what it would cost
  orchestrator run jobs.yaml                      the real thing

Exit codes: 0 every job done; 1 unexpected error; 2 usage or invalid manifest;
3 some jobs failed; 4 some in doubt or overdue; 5 budget or credit; 6 time window;
7 another run holds the batch; 8 credentials; 9 state store; 130/143 interrupted.

Environment: TOPVIEW_API_KEY (or TOPVIEW_API_KEY_FILE), TOPVIEW_UID,
TOPVIEW_BASE_URL, ORCHESTRATOR_STATE."""

app = typer.Typer(
    name="orchestrator",
    help=HELP,
    epilog=EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: half the time to show it, and it can be piped
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(
    "run",
    short_help="Make every video that is not done yet; goes on after a stop.",
    epilog=run_.EXAMPLES,
)(run_.run)
app.command(
    "plan",
    short_help="Show what 'run' would do and why; spends nothing.",
    epilog=plan.PLAN_EXAMPLES,
)(plan.plan)
app.command(
    "validate", short_help="List every complaint about a manifest.", epilog=plan.VALIDATE_EXAMPLES
)(plan.validate)
app.command(
    "status",
    short_help="Show how the batches stand and what to type next.",
    epilog=look.STATUS_EXAMPLES,
)(look.status)
app.command("jobs", short_help="List jobs: state, task, output, error.", epilog=look.JOBS_EXAMPLES)(
    look.jobs
)
app.command(
    "why",
    short_help="Tell the history of one job, and what comes next.",
    epilog=operate.WHY_EXAMPLES,
)(operate.why)
app.command(
    "retry",
    short_help="Bring failed and cancelled jobs back, never paying twice.",
    epilog=operate.RETRY_EXAMPLES,
)(operate.retry)
app.command(
    "cancel", short_help="Give up jobs that are not finished.", epilog=operate.CANCEL_EXAMPLES
)(operate.cancel)
app.command(
    "resolve",
    short_help="Settle jobs in doubt: name the task, or submit anew.",
    epilog=operate.RESOLVE_EXAMPLES,
)(operate.resolve)
app.command(
    "report",
    short_help="Write one HTML page that shows a whole batch.",
    epilog=results.REPORT_EXAMPLES,
)(results.report)
app.command(
    "export",
    short_help="Write the results of a batch as CSV, JSON or JSONL.",
    epilog=results.EXPORT_EXAMPLES,
)(results.export)
app.command(
    "avatars",
    short_help="List the vendor's avatars, or your own.",
    epilog=catalogues.AVATARS_EXAMPLES,
)(catalogues.avatars)
app.command(
    "voices",
    short_help="List the vendor's voices, or your own.",
    epilog=catalogues.VOICES_EXAMPLES,
)(catalogues.voices)
app.command(
    "captions",
    short_help="List the styles of captions.",
    epilog=catalogues.CAPTIONS_EXAMPLES,
)(catalogues.captions)
app.command(
    "ethnicities",
    short_help="List the names that 'avatars --ethnicity' takes.",
    epilog=catalogues.ETHNICITIES_EXAMPLES,
)(catalogues.ethnicities)
app.command(
    "credits",
    short_help="Show the balance, and what was charged.",
    epilog=catalogues.CREDITS_EXAMPLES,
)(catalogues.credits)
app.command(
    "doctor",
    short_help="Check everything that a batch needs, and say what to mend.",
    epilog=doctor.EXAMPLES,
)(doctor.doctor)
app.command(
    "init",
    short_help="Write a manifest for a folder of faces and voices.",
    epilog=starter.EXAMPLES,
)(starter.init)
app.command(
    "emulator", short_help="Run the emulator of the vendor's API alone.", epilog=emulate.EXAMPLES
)(emulate.emulator)
app.command(
    "schema", short_help="Print the JSON Schema of the manifest.", epilog=plan.SCHEMA_EXAMPLES
)(plan.schema)


# Newer versions of typer carry a click of their own; this is its UsageError, or click's.
_WrongUsage = cast(type[Exception], typer.BadParameter.__base__)


def main() -> int:
    """Run the command line of this process and return its exit code."""
    output.forgiving()
    complete.enable()
    try:
        code = app(prog_name="orchestrator", standalone_mode=False)
    except _WrongUsage as error:
        return _wrong_usage(error, as_json="--json" in sys.argv[1:])
    except (typer.Abort, KeyboardInterrupt):
        return guard.INTERRUPTED
    return code if isinstance(code, int) else 0


def _wrong_usage(error: Any, *, as_json: bool) -> int:
    error.show()
    if as_json:
        message = error.format_message()
        output.document({"error": {"code": 2, "message": message, "complaints": []}})
    return 2


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("avatar-orchestrator")
    except PackageNotFoundError:
        number = "(not installed)"
    output.out([f"orchestrator {number}"])
    raise typer.Exit(0)


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Show the version."),
    ] = False,
) -> None:
    """Nothing to do before a command."""
