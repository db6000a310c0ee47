"""``orchestrator report`` and ``export``: what became of a batch, for people and programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import facade, options, output, words
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.results import Format, Made

REPORT_EXAMPLES = """\b
Examples:
  orchestrator report spring
  orchestrator report spring --output /tmp/spring.html

Without --output the page is report-BATCH.html beside the folder of the videos.
The page links to the videos where they are: keep it there, or give both away."""

EXPORT_EXAMPLES = """\b
Examples:
  orchestrator export spring > spring.csv
  orchestrator export spring --in failed --format jsonl
  orchestrator export spring --match 'de-*' --output de.json"""

Batch = Annotated[str, typer.Argument(metavar="BATCH", help="Name of the batch.")]
Page = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="Where the page goes. Default: report-BATCH.html beside the folder of the videos.",
    ),
]
Target = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Write to a file. Default: stdout."),
]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="csv, json or jsonl. Default: by the ending of FILE; csv without one.",
    ),
]


@guarded
def report(
    batch: Batch,
    target: Page = None,
    emulator: options.OfRehearsal = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Write one HTML page that shows every job and video of a batch, and print its path."""
    from orchestrator.results import Results

    log_everything(debug)
    results = Results(state)
    made = facade.loop_of(results.report(batch, rehearsal=emulator, target=target))
    if as_json:
        output.document(report_document(made))
    else:
        output.out([str(made.path)])
    _remark(made)
    return 0


@guarded
def export(
    batch: Batch,
    format: FormatName = None,
    target: Target = None,
    in_state: options.InState = None,
    match: options.Match = "*",
    emulator: options.OfRehearsal = False,
    state: options.StateDir = None,
    debug: options.Debug = False,
) -> int:
    """Write the results of a batch as CSV, JSON or JSONL, one record for each job."""
    from orchestrator.results import Results, Selection

    log_everything(debug)
    results, kind = Results(state), _kind(format, target)
    wanted = options.states_of(in_state, state)
    selection = Selection(batch=batch, rehearsal=emulator, states=wanted, pattern=match)
    if target is None:
        facade.loop_of(_print(results.export(selection, kind)))
        return 0
    made = facade.loop_of(results.export_to(target, selection, kind))
    output.out([str(made.path)])
    _remark(made)
    return 0


async def _print(pages: AsyncIterator[list[str]]) -> None:
    async for lines in pages:
        output.out(lines)


def _kind(format: str | None, target: Path | None) -> Format:
    """The format that was asked for, or that the file's name promises.

    Raises:
        UsageError: there is none of this name, or of this ending.
    """
    from orchestrator.results import Format

    ending = "" if target is None else target.suffix.removeprefix(".").lower()
    if format is None and ending not in ("", *Format):
        raise UsageError(
            f"--output {target}: a file that ends in .{ending} cannot be written; name it .csv, "
            ".json or .jsonl, or say with --format which of these it is to hold"
        )
    if format is None:
        return Format(ending or Format.CSV)
    if format not in list(Format):
        raise UsageError(f"--format {format}: must be one of {', '.join(Format)}")
    return Format(format)


def report_document(made: Made) -> dict[str, Any]:
    """The document of ``report --json``."""
    return {"batch": made.batch, "rehearsal": made.rehearsal, "report": str(made.path)}


def _remark(made: Made) -> None:
    """What the path alone does not tell."""
    if made.rehearsal:
        output.tell([f"{made.batch}: this is a rehearsal"])
    if made.accounts > 1:
        known = words.count(made.accounts, "account")
        output.tell([f"{made.batch}: known under {known}; this is the one that ran last"])
