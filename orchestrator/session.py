"""One run of one batch, between the opening of the store and its closing."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from orchestrator.account import Line, Standing, ask_standing, tell_balance
from orchestrator.approval import Bill, refuse_beyond, terms_of
from orchestrator.choice import Choice
from orchestrator.config import identity, vendor_settings
from orchestrator.core.limits import Throttle
from orchestrator.core.outage import Stop
from orchestrator.core.verdict import exit_code
from orchestrator.engine.clock import SystemClock, boot_id
from orchestrator.engine.desk import Desk
from orchestrator.engine.ledger import learned_tariff
from orchestrator.engine.lock import FileLock, lock_path
from orchestrator.engine.neighbours import live_limits
from orchestrator.engine.pace import Pacer
from orchestrator.engine.ports import Ports, Vendor
from orchestrator.engine.progress import Level, Notice, Observer
from orchestrator.engine.runner import Engine, Outcome
from orchestrator.errors import (
    BatchConflict,
    BatchLocked,
    OrchestratorError,
    OutputConflict,
    UsageError,
)
from orchestrator.hearing import Address, hearing
from orchestrator.manifest.complaints import shown
from orchestrator.media.download import Downloader
from orchestrator.media.places import obstacle
from orchestrator.model import ContentHash, JobId, RunKey, State
from orchestrator.options import RunOptions
from orchestrator.planning import Draft, Prepared, draft_plan, sampled
from orchestrator.report import told
from orchestrator.report.build import batch_view
from orchestrator.report.commands import Typing, here
from orchestrator.report.headline import headline
from orchestrator.report.steps import Situation, next_steps
from orchestrator.report.views import BatchView, RunView, Why
from orchestrator.saved import Saved, SavedAvatars, notes_of, remember
from orchestrator.store.base import AppStore, BatchRow, Owner
from orchestrator.topview.client import TopViewClient
from orchestrator.wishes import Wishes

__all__ = ["RunOptions", "Session", "draft_for", "owner_of_this_process"]


class Session:
    """One run, between the opening of the store and its closing."""

    _pacer: Pacer
    """Made by :meth:`work`, which knows the batch: every call of this run takes its turn there."""

    def __init__(
        self,
        store: AppStore,
        prepared: Prepared,
        options: RunOptions,
        watcher: Observer,
        folder: Path,
        env: Mapping[str, str],
        state_flag: Path | None = None,
    ) -> None:
        self._state_flag = state_flag
        self._store, self._prepared, self._options = store, prepared, options
        self._manifest = prepared.manifest
        self._watcher, self._folder, self._env = watcher, folder, env
        self._clock = SystemClock()
        self._standing = Standing()
        self._report = ""
        self._left_out = 0
        self._told = told.NOTHING
        self._notes: tuple[str, ...] = ()

    def tell(self, level: Level, message: str, job: JobId | None = None) -> None:
        """Tell those who watch."""
        self._watcher.notice(Notice(at=time.time(), level=level, message=message, job=job))

    async def open_batch(self, account_name: str) -> BatchRow:
        """The batch's row, if it may be this account's and this manifest's."""
        manifest, options = self._manifest, self._options
        account = await self._store.account(account_name)
        rows = await self._store.find_batches(manifest.batch)
        mine = next((row for row in rows if row.account == account), None)
        if rows and mine is None and not options.new_account:
            raise BatchConflict(
                f"batch {manifest.batch} is known in {self._folder} under another account "
                "(TOPVIEW_BASE_URL and TOPVIEW_UID); its videos would be made and paid for again. "
                "If that is what you want, add --new-account"
            )
        if mine is not None and mine.manifest != manifest.path and not options.same_batch:
            raise BatchConflict(
                f"batch {manifest.batch} is known in {self._folder} from {mine.manifest}, not from "
                f"{manifest.path}. Give this manifest another batch name, or add --same-batch if "
                "the file was moved"
            )
        return await self._store.open_batch(manifest.batch, account, manifest.path, time.time())

    async def work(self, batch: BatchRow, owner: Owner) -> Outcome:
        """Plan, check the account, store the plan, recover, run the engine."""
        began = self._clock.monotonic()
        for line in shown(self._prepared.warnings, str(self._manifest.path)):
            self.tell(Level.INFO, line)
        wanted = self._prepared.wanted
        draft, _ = await draft_for(self._store, batch, wanted, self._options.choice())
        self._refuse_conflicts(draft)
        await asyncio.to_thread(_refuse_places, draft)
        await self._refuse_unapproved(batch, draft)
        self._left_out = draft.left_for_later
        self._told = _told(self._options, draft, len(wanted))
        settings = vendor_settings(self._env)
        limits = self._manifest.settings.limits
        up = self._throttle(limits.upload_bytes_per_s)
        down = self._throttle(limits.download_bytes_per_s)
        async with (
            TopViewClient(settings, throttle=up) as client,
            Downloader(throttle=down) as downloader,
            self._pacing(batch) as self._pacer,
        ):
            await self._check_account(client)
            await self._apply(batch, draft)
            await self._recover_neighbours(batch)
            if (keep := self._prepared.keep) is not None:
                await asyncio.to_thread(keep)
            savers = wanted.savers()
            del draft
            wanted.clear()
            run = await self._store.begin_run(batch.key, owner)
            desk = self._desk(batch, run, client, downloader)
            engine = Engine(desk, self._watcher)
            await self._heed_standing(batch, engine)
            avatars = SavedAvatars(self._store, batch, client, savers, self._pacer.turn)
            await avatars.look()
            async with (
                hearing(engine, client, desk, self._address(), self.tell),
                self._time_window(engine, began),
            ):
                outcome = await engine.run()
            saved, made = await avatars.found()
            self._notes = notes_of(saved, made)
            await remember(self._store, batch, saved)
            await self._finish(run, batch, outcome, saved)
            self._report = await self._gallery(batch)
            return outcome

    @asynccontextmanager
    async def _pacing(self, batch: BatchRow) -> AsyncIterator[Pacer]:
        limits = self._manifest.settings.limits
        pacer = Pacer(
            self._store,
            batch.account,
            self._clock,
            submit=limits.submit_rate,
            request=limits.request_rate,
            boot_id=boot_id(),
        )
        try:
            yield pacer
        finally:
            await pacer.close()

    @asynccontextmanager
    async def _time_window(self, engine: Engine, began: float) -> AsyncIterator[None]:
        """`--max-time`: tell the engine when the time is up."""
        if self._options.max_time_s is None:
            yield
            return
        left_s = began + self._options.max_time_s - self._clock.monotonic()
        cancel = self._clock.alarm(left_s, engine.time_up)
        try:
            yield
        finally:
            cancel()

    def _throttle(self, bytes_per_s: float | None) -> Throttle | None:
        return None if bytes_per_s is None else Throttle(bytes_per_s, self._clock.monotonic)

    def _refuse_conflicts(self, draft: Draft) -> None:
        if not draft.conflicts:
            return
        shown = [f"  {spec.output}  (job {spec.job_id})" for spec, _ in draft.conflicts[:10]]
        more = len(draft.conflicts) - len(shown)
        raise OutputConflict(
            "\n".join(
                [
                    "output files exist that this batch did not make:",
                    *shown,
                    *([f"  and {more} more"] if more > 0 else []),
                    f"If an earlier run made them, its state folder is missing: this run uses "
                    f"{self._folder} (--state DIR names another).",
                    "--skip-existing leaves these jobs out; --overwrite makes them, pays for them "
                    "and replaces the files.",
                ]
            )
        )

    async def _refuse_unapproved(self, batch: BatchRow, draft: Draft) -> None:
        if self._options.approved is None:
            return
        tariff = await learned_tariff(self._store, batch.account)
        bill = Bill(
            batch=batch.name,
            rehearsal=self._options.rehearsal is not None,
            identity=identity(vendor_settings(self._env)),
            terms=terms_of(self._manifest.settings),
            lines=draft.lines,
            credits=draft.credits_expected(tariff),
        )
        refuse_beyond(self._options.approved, bill)

    async def _check_account(self, client: Vendor) -> None:
        """Credentials and balance, with one cheap call, before anything else is sent."""
        scale = self._manifest.settings.limits.scale
        line = Line(clock=self._clock, turn=self._pacer.turn, scale=scale)
        self._standing = await ask_standing(client, line, self.tell)
        tell_balance(self._standing, self.tell)

    async def _heed_standing(self, batch: BatchRow, engine: Engine) -> None:
        """Without credit nothing new begins; what is under way is finished, as after a refused
        submit. A batch with nothing to submit does not care."""
        refusal = self._standing.no_credit
        counts = await self._store.startable(batch.key) if refusal else {}
        if counts.keys() & {State.PENDING, State.READY}:
            engine.stop(Stop.CREDIT, f"{refusal}: nothing is submitted")

    async def _apply(self, batch: BatchRow, draft: Draft) -> None:
        for source, target in draft.copies:
            await asyncio.to_thread(_copy, source, target)
        await self._store.apply_plan(batch.key, draft.changes, time.time())
        await told.remember(self._store, batch, self._told)
        caught = await self._store.recover(batch.key, time.time())
        if caught:
            self.tell(
                Level.PROBLEM,
                f"{caught} {'job was' if caught == 1 else 'jobs were'} being submitted when an "
                "earlier run ended: in doubt, and not sent again",
            )
        for job_id in draft.lost:
            message = "its file is gone and the vendor keeps videos for 7 days only"
            self.tell(Level.PROBLEM, message, job_id)

    async def _recover_neighbours(self, batch: BatchRow) -> None:
        """Other batches of the account that nobody runs: what they were submitting is in doubt."""
        for other in await self._store.batches():
            if other.key == batch.key or other.account != batch.account:
                continue
            try:
                with FileLock(lock_path(self._folder, other)):
                    await self._store.recover(other.key, time.time())
            except BatchLocked:
                continue

    def _address(self) -> Address | None:
        """Where the vendor may reach this run; None if the batch has no webhook."""
        url = self._options.webhook_url or self._manifest.settings.webhook_url
        listen = self._options.webhook_listen or self._manifest.settings.webhook_listen
        if url is None or listen is None:
            return None
        return Address(url=url, listen=listen, uid=str(vendor_settings(self._env).uid))

    def _desk(self, batch: BatchRow, run: RunKey, client: Vendor, downloader: Downloader) -> Desk:
        own = lock_path(self._folder, batch)
        ports = Ports(
            clock=self._clock,
            vendor=client,
            fetcher=downloader,
            random=random.Random(),
            token=lambda: secrets.token_urlsafe(24),
            boot_id=boot_id(),
            neighbours=partial(asyncio.to_thread, live_limits, own.parent, batch.account, own),
        )
        return Desk(
            batch=batch,
            settings=self._manifest.settings,
            store=self._store,
            ports=ports,
            pacer=self._pacer,
            run=run,
            run_credits=self._options.max_credits,
            overwrite=self._options.overwrite,
            vendor_zero=self._standing.vendor_zero,
        )

    async def _finish(
        self, run: RunKey, batch: BatchRow, outcome: Outcome, saved: Sequence[Saved]
    ) -> None:
        counts = await self._store.startable(batch.key)
        code = exit_code(counts, await self._overdue(batch), outcome.stops)
        summary = {
            "uploaded": outcome.uploaded,
            "submitted": outcome.submitted,
            "downloaded": outcome.downloaded,
            "stops": [stop.value for stop in outcome.stops],
            "saved_avatars": [avatar.to_json() for avatar in saved],
        }
        await self._store.end_run(run, time.time(), code, summary)

    async def _gallery(self, batch: BatchRow) -> str:
        """The page with the batch's videos; a run never fails for it."""
        write_report = await asyncio.to_thread(_page_writer)
        rehearsal = self._options.rehearsal is not None
        try:
            page = await write_report(self._store, batch, rehearsal=rehearsal, folder=self._folder)
        except OrchestratorError as error:
            self.tell(Level.PROBLEM, f"no report: {error}")
            return ""
        return str(page)

    async def _overdue(self, batch: BatchRow) -> int:
        rows = await self._store.job_rows(batch.key, states=(State.SUBMITTED,))
        return sum(row.overdue and row.selected and not row.orphan for row in rows)

    async def report(self, batch: BatchRow, outcome: Outcome, elapsed_s: float) -> RunView:
        """What there is to say after the engine has ended."""
        if outcome.error is not None:
            raise outcome.error
        counts = await self._store.startable(batch.key)
        overdue = await self._overdue(batch)
        rows = await self._store.job_rows(batch.key)
        did = outcome.uploaded + outcome.submitted + outcome.downloaded
        view = batch_view(
            batch,
            rows,
            rehearsal=self._options.rehearsal is not None,
            running=None,
            last=await self._store.last_run(batch.key),
            told=self._told,
        )
        return RunView(
            status=view,
            exit_code=exit_code(counts, overdue, outcome.stops),
            headline=headline(
                batch.name,
                counts,
                overdue=overdue,
                stops=outcome.stops,
                did=did,
                told=self._told,
            ),
            uploaded=outcome.uploaded,
            submitted=outcome.submitted,
            downloaded=outcome.downloaded,
            elapsed_s=elapsed_s,
            next_steps=next_steps(
                self._situation(view, counts, overdue, outcome), self._typing(batch)
            ),
            outputs=_common_folder([Path(row.output) for row in rows]),
            report=self._report,
            notes=self._notes,
            state_dir=str(self._folder),
        )

    def _situation(
        self, view: BatchView, counts: Mapping[State, int], overdue: int, outcome: Outcome
    ) -> Situation:
        return Situation(
            counts=counts,
            overdue=overdue,
            stops=outcome.stops,
            left_out=max(self._left_out, view.not_started),
            given_up=view.given_up,
            doubtful=view.doubtful,
            budget=self._manifest.settings.budget_credits,
            max_credits=self._options.max_credits,
        )

    def _typing(self, batch: BatchRow) -> Typing:
        rehearsal = self._options.rehearsal
        return Typing(
            batch=batch.name,
            manifest=here(self._manifest.path),
            state=here(self._state_flag) if self._state_flag else None,
            rehearsal=() if rehearsal is None else rehearsal.flags(),
        )


def _told(options: RunOptions, draft: Draft, jobs: int) -> told.Told:
    """Which of the manifest's jobs this run leaves out because it was told to."""
    existing = 0
    if options.skip_existing:
        unselected = (line.reason for line in draft.lines if line.what is Why.UNSELECTED)
        existing = sum("--skip-existing" in reason for reason in unselected)
    chosen = (options.only, options.limit is not None, options.sample is not None)
    rehearsal = options.rehearsal
    return told.Told(
        jobs=jobs,
        existing=existing,
        by=tuple(f for f, on in zip(("--only", "--limit", "--sample"), chosen, strict=True) if on),
        rehearsal=() if rehearsal is None else rehearsal.flags(),
        time_scale=1.0 if rehearsal is None else rehearsal.time_scale,
    )


async def draft_for(
    store: AppStore | None, batch: BatchRow | None, wanted: Wishes, choice: Choice
) -> tuple[Draft, frozenset[ContentHash]]:
    """The plan, and the assets that the account has at the vendor already."""
    live: frozenset[ContentHash] = frozenset()
    if store is not None and batch is not None:
        assets = await store.assets(batch.account, wanted.contents())
        live = frozenset(a.content_hash for a in assets if a.file_id is not None)
    draft = await draft_plan(wanted, store, batch, live, choice)
    if (picked := sampled(draft, choice)) is not None:
        draft = await draft_plan(wanted, store, batch, live, picked)
    return draft, live


def _page_writer() -> Callable[..., Awaitable[Path]]:
    """What writes the page. Blocks: importing what makes pages takes a tenth of a second."""
    from orchestrator.results import write_report

    return write_report


def owner_of_this_process() -> Owner:
    """This process, as others see it."""
    return Owner(
        pid=os.getpid(), host=socket.gethostname(), boot_id=boot_id(), started_at=time.time()
    )


def _common_folder(paths: Sequence[Path]) -> str:
    return os.path.commonpath([path.parent for path in paths]) if paths else ""


def _refuse_places(draft: Draft) -> None:
    """Nothing is paid for that could not be put where it belongs. Blocks."""
    found = {f: why for f in draft.submits.folders() if (why := obstacle(Path(f)))}
    if not found:
        return
    shown = [f"  {folder}  ({why})" for folder, why in list(found.items())[:10]]
    more = [f"  and {len(found) - 10} more"] if len(found) > 10 else []
    raise UsageError(
        "\n".join(
            [
                "videos cannot be written to:",
                *shown,
                *more,
                "Mend that, or change the key output in the manifest. Nothing was sent.",
            ]
        )
    )


def _copy(source: Path, target: Path) -> None:
    """Copy a finished video; the target's name appears only when all of it is on disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.copy.part")
    shutil.copyfile(source, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
