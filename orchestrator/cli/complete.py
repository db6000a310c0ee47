"""Names to complete in a shell: batches and jobs of the state folder that the line names.

Called by the shell at every Tab: nothing heavy is imported, and whatever goes wrong there is
simply nothing to suggest.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

VARIABLE = "_ORCHESTRATOR_COMPLETE"
"""Set by the shell when it wants names, or the script that asks for them."""


def enable() -> None:
    """Let typer answer a shell that asks; it knows the shells only when it is told to."""
    if VARIABLE in os.environ:
        from typer.completion import get_completion_inspect_parameters

        get_completion_inspect_parameters()  # registers the shells, besides


def batch(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of batches."""
    from orchestrator.operate.suggest import suggest_batches

    rehearsal = True if ctx.params.get("emulator") else None
    try:
        return suggest_batches(_state(ctx), os.environ, rehearsal=rehearsal, start=incomplete)
    except Exception:  # noqa: BLE001 -- a message here would tear the line that is being typed
        return []


def job(ctx: typer.Context, incomplete: str) -> list[str]:
    """BATCH/ID of jobs; ``BATCH/`` while several batches fit."""
    from orchestrator.operate.suggest import suggest_jobs

    rehearsal = True if ctx.params.get("emulator") else None
    try:
        return suggest_jobs(_state(ctx), os.environ, rehearsal=rehearsal, start=incomplete)
    except Exception:  # noqa: BLE001 -- as above
        return []


def _state(ctx: typer.Context) -> Path | None:
    named: Any = ctx.params.get("state")
    return Path(named) if named else None
