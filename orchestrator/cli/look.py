"""``orchestrator status`` and ``jobs``: read the state store, change nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import facade, options, output
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.report.views import BatchView

WATCH_INTERVAL_S = 2.0

STATUS_EXAMPLES = """\b
Examples:
  orchestrator status                       one line for each batch
  orchestrator status spring --watch
  orchestrator status spring --json | jq .counts"""

JOBS_EXAMPLES = """\b
Examples:
  orchestrator jobs spring --in failed --in in_doubt
  orchestrator jobs --match 'de-*' --tag vip --error moderation
  orchestrator jobs spring | cut -f 1,4     job and output, in full

On a terminal the table is fitted to its width; elsewhere it is complete and
separated by tabs."""


@guarded
def status(
    batch: options.Batch = None,
    emulator: options.OfRehearsal = False,
    watch: options.Watch = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Show how the batches stand: jobs by state, what failed and why, what to type next."""
    log_everything(debug)
    if watch and as_json:
        raise UsageError("--watch and --json exclude each other: call again for a new document")
    look = Look(batch, True if emulator else None, state)
    if watch and (console := _terminal()) is not None:
        return _watch(look, console)
    views = facade.loop_of(look.views())
    if as_json:
        from orchestrator.cli.standing import batches_document

        output.document(batches_document(views, batch))
    else:
        output.out(look.lines(views))
    return 0


@guarded
def jobs(
    batch: options.Batch = None,
    in_state: options.InState = None,
    match: options.Match = "*",
    tag: options.Tag = None,
    error: options.ErrorText = None,
    columns: options.Columns = None,
    emulator: options.OfRehearsal = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """List jobs with their state, task, output and error, in manifest order."""
    from orchestrator.cli.standing import chosen, columns_of, job_lines, jobs_document

    log_everything(debug)
    shown = columns_of(columns)
    orchestrator = facade.make_orchestrator(state)
    wanted = tuple(in_state or ())
    found = facade.loop_of(
        orchestrator.jobs(batch, pattern=match, states=wanted, rehearsal=True if emulator else None)
    )
    rows = chosen(found, tags=tag or (), error=error)
    if as_json:
        output.document(jobs_document(rows))
    elif rows:
        output.out(job_lines(rows, output.width(), shown))
    else:
        output.tell(["no such jobs"])
    return 0


class Look:
    """What is looked at: one batch or all, in one state folder."""

    def __init__(self, batch: str | None, rehearsal: bool | None, state: Path | None) -> None:
        self._batch, self._rehearsal, self._state = batch, rehearsal, state

    async def views(self) -> list[BatchView]:
        """Ask the facade.

        Raises:
            UsageError: there are batches, but none of this name.
        """
        orchestrator = facade.make_orchestrator(self._state)
        views = await orchestrator.status(self._batch, rehearsal=self._rehearsal)
        if not views and self._batch is not None:
            others = await orchestrator.status(None)
            if others:
                names = ", ".join(sorted({v.batch for v in others}))
                raise UsageError(f"no batch {self._batch} in {self._where()}; there is: {names}")
        return views

    def lines(self, views: list[BatchView]) -> list[str]:
        """One line a batch, or everything about the one that was named."""
        from orchestrator.cli.standing import briefs, detail

        if not views:
            return [f"no batches in {self._where()}"]
        if self._batch is None:
            return briefs(views, output.width())
        blocks = [detail(view, self._state, output.width()) for view in views]
        return [line for block in blocks for line in (*block, "")][:-1]

    def _where(self) -> Path:
        return self._state or Path("state")


def _terminal() -> Console | None:
    import sys

    from orchestrator.cli.live import drawable

    return drawable(sys.stdout)


def _watch(look: Look, console: Console) -> int:
    """Until Ctrl-C, which is the way to end it and no error."""
    try:
        facade.loop_of(_watching(look, console))
    except KeyboardInterrupt:
        return 0
    return 0


async def _watching(look: Look, console: Console) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(console=console, auto_refresh=False) as live:
        while True:
            text = Text("\n".join(look.lines(await look.views())), no_wrap=True)
            text.overflow = "ellipsis"
            live.update(text, refresh=True)
            await asyncio.sleep(WATCH_INTERVAL_S)
