"""``orchestrator status`` and ``jobs``: read the state store, change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import facade, options, output
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything
from orchestrator.errors import UsageError
from orchestrator.manifest.complaints import near
from orchestrator.model import State

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.report.views import BatchView, JobView

WATCH_INTERVAL_S = 2.0
_MOST_NAMED = 10

STATUS_EXAMPLES = """\b
Examples:
  orchestrator status                  one line for each batch
  orchestrator status spring --watch
  orchestrator status spring --json | jq .counts"""

JOBS_EXAMPLES = """\b
Examples:
  orchestrator jobs spring --in failed --in in_doubt
  orchestrator jobs --match 'de-*' --tag vip --error moderation
  orchestrator jobs spring | cut -f 1,4   job and output

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
    wanted = options.states_of(in_state, state)
    look = Look(batch, True if emulator else None, state)
    found = facade.loop_of(look.jobs(match, wanted))
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
        """Ask the facade how the batches stand.

        Raises:
            UsageError: there is no batch of this name.
        """
        orchestrator = facade.make_orchestrator(self._state)
        views = await orchestrator.status(self._batch, rehearsal=self._rehearsal)
        if not views and self._batch is not None:
            raise UsageError(self._unknown(self._batch, await orchestrator.status(None)))
        return views

    async def jobs(self, pattern: str, states: Sequence[State]) -> list[tuple[str, JobView]]:
        """Ask the facade for jobs with the names of their batches.

        Raises:
            UsageError: there is no batch of this name.
        """
        orchestrator = facade.make_orchestrator(self._state)
        found = await orchestrator.jobs(
            self._batch, pattern=pattern, states=states, rehearsal=self._rehearsal
        )
        if not found and self._batch is not None:
            await self.views()
        return found

    def lines(self, views: list[BatchView], *, watching: bool = False) -> list[str]:
        """One line a batch, or everything about the one that was named."""
        from orchestrator.cli.standing import briefs, detail

        if not views:
            return [f"no batches in {self._where()}"]
        if self._batch is None:
            return briefs(views, output.width())
        width = output.width()
        blocks = [detail(view, self._state, width, watching=watching) for view in views]
        return [line for block in blocks for line in (*block, "")][:-1]

    def _unknown(self, name: str, others: Sequence[BatchView]) -> str:
        """What to say of a name that no batch has."""
        from orchestrator.cli.standing import title

        if any(view.batch == name for view in others):
            return f"no rehearsal {name} in {self._where()}, but a batch: leave out --emulator"
        known = sorted({view.batch for view in others})
        named = sorted({title(view) for view in others})
        if not known:
            return f"no batch {name} in {self._where()}: there is none at all (--state DIR?)"
        if meant := near(name, known):
            return f"no batch {name} in {self._where()}; did you mean {meant}?"
        return f"no batch {name} in {self._where()}; there is: {_some(named)}"

    def _where(self) -> Path:
        return self._state or Path("state")


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


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
            text = Text("\n".join(look.lines(await look.views(), watching=True)), no_wrap=True)
            text.overflow = "ellipsis"
            live.update(text, refresh=True)
            await asyncio.sleep(WATCH_INTERVAL_S)
