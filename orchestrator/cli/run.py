"""``orchestrator run``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import facade, guard, options, output
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything

if TYPE_CHECKING:
    from orchestrator.app import RunOptions
    from orchestrator.cli.audience import View
    from orchestrator.report.views import RunView

EXAMPLES = """\b
Examples:
  orchestrator run jobs.yaml
  orchestrator run jobs.yaml --emulator        a rehearsal
  orchestrator run jobs.yaml --only 'de-*' --limit 10
  orchestrator run jobs.yaml --sample 3        some of every kind
  orchestrator run jobs.yaml --plan plan.json  what was approved
  orchestrator run jobs.yaml --retry-failed --json > result.json

The first Ctrl-C lets what is on its way arrive and ends; the second ends at once. Either way
the same command goes on later."""


@guarded
def run(
    manifest: options.Manifest,
    emulator: options.Emulator = False,
    faults: options.Faults = None,
    time_scale: options.TimeScale = None,
    only: options.Only = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    approved: options.ApprovedPlan = None,
    retry_failed: options.RetryFailed = False,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    new_account: options.NewAccount = False,
    same_batch: options.SameBatch = False,
    max_credits: options.MaxCredits = None,
    max_time: options.MaxTime = None,
    until: options.Until = None,
    webhook_url: options.WebhookUrl = None,
    webhook_listen: options.WebhookListen = None,
    state: options.StateDir = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Make every video of MANIFEST that is not done yet, going on where an earlier run stopped."""
    from orchestrator.app import RunOptions
    from orchestrator.cli import choice

    log_everything(debug)
    chosen = RunOptions(
        rehearsal=choice.rehearsal(emulator, faults, time_scale),
        only=tuple(only or ()),
        limit=limit,
        sample=sample,
        approved=choice.approved(approved),
        retry_failed=retry_failed,
        overwrite=overwrite,
        skip_existing=skip_existing,
        new_account=new_account,
        same_batch=same_batch,
        max_credits=max_credits,
        max_time_s=choice.time_window_s(max_time, until, datetime.now()),
        webhook_url=webhook_url,
        webhook_listen=webhook_listen,
    )
    return _run(manifest, choice.checked(chosen), state, as_json=as_json, quiet=quiet)


def _run(
    manifest: Path, chosen: RunOptions, state: Path | None, *, as_json: bool, quiet: bool
) -> int:
    """The run from its first line to its exit code."""
    from orchestrator.cli.audience import view_of

    with closing(Session(manifest, chosen, state, view_of(manifest.name, quiet=quiet))) as session:
        result = facade.loop_of(session.work())
    if result is None:
        return guard.interrupted(session.interrupted_code(), as_json=as_json)
    _show(result, as_json=as_json, quiet=quiet)
    return result.exit_code


class Session:
    """One run of this process: the facade's method, watched by a view and by the signals."""

    def __init__(self, manifest: Path, chosen: RunOptions, state: Path | None, view: View) -> None:
        from orchestrator.cli.choice import resume_command
        from orchestrator.cli.interrupts import Interrupts

        self._manifest, self._chosen, self._state = manifest, chosen, state
        self._view = view
        resume = resume_command(manifest, chosen, state)
        self._interrupts = Interrupts(view.say, resume, view.let_go)

    async def work(self) -> RunView | None:
        """The run's result; None if a signal came before there was any work.

        Raises:
            OrchestratorError: whatever the facade raises.
        """
        self._view.start()
        try:
            return await self._heard()
        finally:
            self._view.finish()

    def interrupted_code(self) -> int:
        """The exit code of a run that a signal ended before it began to work."""
        return self._interrupts.exit_code or guard.INTERRUPTED

    def close(self) -> None:
        """Wait until all that was said is written."""
        self._view.close()

    async def _heard(self) -> RunView | None:
        doing = asyncio.create_task(self._run())
        self._interrupts.listen(doing)
        try:
            return await doing
        except asyncio.CancelledError:
            if self._interrupts.exit_code is None:
                raise
            return None

    async def _run(self) -> RunView:
        from orchestrator.cli.audience import Everybody

        orchestrator = facade.make_orchestrator(self._state)
        everybody = Everybody([self._interrupts, self._view])
        return await orchestrator.run(self._manifest, self._chosen, everybody)


def _show(result: RunView, *, as_json: bool, quiet: bool) -> None:
    from orchestrator.cli.summary import headline_of, run_lines

    lines = [headline_of(result)] if quiet else run_lines(result, output.width())
    if as_json:
        output.tell(lines)
        output.document(result.status.to_json())
        return
    if not quiet and sys.stderr.isatty():
        output.tell([""])
    output.out(lines)
