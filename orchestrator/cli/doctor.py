"""``orchestrator doctor``: is everything there that a batch needs?"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import facade, options, output
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything

if TYPE_CHECKING:
    from orchestrator.doctor.findings import Check, Report

EXAMPLES = """\b
Examples:
  orchestrator doctor
  orchestrator doctor jobs.yaml     and what this batch needs
  orchestrator doctor --json | jq '.checks[] | select(.level != "ok")'

Exit codes: 0 no fault (warnings are none); 8 the credentials are at fault;
1 any other fault."""

AnyManifest = Annotated[
    Path | None, typer.Argument(metavar="MANIFEST", help="Look at what this batch needs, too.")
]
_LEAST_WIDTH = 40


@guarded
def doctor(
    manifest: AnyManifest = None,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Check credentials, network, clock, disk, state and versions; say what to mend."""
    from orchestrator.doctor.examine import examine

    log_everything(debug)
    report = facade.loop_of(examine(manifest, state))
    if as_json:
        output.document(report.to_json())
    else:
        output.out(report_lines(report, output.width()))
    output.tell([verdict(report)])
    return report.exit_code


def report_lines(report: Report, width: int | None) -> list[str]:
    """One line a check; on a terminal of ``width`` columns, long ones are wrapped under it."""
    longest = max(len(check.name) for check in report.checks)
    lines: list[str] = []
    for check in report.checks:
        head = f"{check.level:<7}  {check.name:<{longest}}  "
        if width is None:
            lines.append(head + _sentence(check))
            continue
        room = max(_LEAST_WIDTH, width)
        wrapped = textwrap.wrap(
            _sentence(check), room - len(head), break_on_hyphens=False, break_long_words=False
        )
        lines += [(head if i == 0 else " " * len(head)) + part for i, part in enumerate(wrapped)]
    return lines


def verdict(report: Report) -> str:
    """All of it in one line."""
    if not report.faults and not report.warnings:
        return "all is well"
    faults = f"{report.faults} {'fault' if report.faults == 1 else 'faults'}"
    warnings = f"{report.warnings} {'warning' if report.warnings == 1 else 'warnings'}"
    return f"{faults}, {warnings}" if report.faults else f"no fault, {warnings}"


def _sentence(check: Check) -> str:
    return f"{check.message}; {check.remedy}" if check.remedy else check.message
