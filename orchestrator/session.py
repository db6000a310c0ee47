"""One run of one batch, between the opening of the store and its closing."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import shutil
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator.approval import Approved, Bill, refuse_beyond, terms_of
from orchestrator.config import Secret, identity, vendor_settings
from orchestrator.core.limits import Throttle
from orchestrator.core.outcome import CallFate, judge_call
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
    CredentialsError,
    OrchestratorError,
    OutputConflict,
    UsageError,
    VendorUnavailable,
)
from orchestrator.manifest.complaints import shown
from orchestrator.media.download import Downloader
from orchestrator.model import ContentHash, JobId, RunKey, State
from orchestrator.planning import Choice, Draft, Prepared, draft_plan, sampled
from orchestrator.rehearsal import Rehearsal
from orchestrator.report.build import batch_view
from orchestrator.report.headline import headline, next_steps
from orchestrator.report.views import RunView
from orchestrator.saved import Saved, SavedAvatars, notes_of
from orchestrator.store.base import AppStore, BatchRow, Owner
from orchestrator.topview import wire
from orchestrator.topview.client import TopViewClient
from orchestrator.wishes import Wishes

FIRST_WAITS_S = (0.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""The first question to the vendor is repeated after so many seconds (scaled)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a caller may ask of one run or plan.

    ``only``: GLOBs on job ids, any may match; empty means all. ``limit`` (>= 1): make at most
    so many jobs; None means no limit. ``sample`` (>= 1): make so many, chosen over the kinds.
    ``approved``: pay for nothing that this plan does not hold. ``retry_failed``: try failed jobs
    again. ``overwrite`` and ``skip_existing``: what to do with output files of jobs that the
    store does not know.
    ``new_account``: the batch is known under another account, and that is right.
    ``same_batch``: it is known from another manifest file, and that is right. ``max_credits``
    (>= 0): what this run may cost; None means no limit of its own. ``webhook_url`` and
    ``webhook_listen`` replace the manifest's.
    """

    rehearsal: Rehearsal | None = None
    only: tuple[str, ...] = ()
    limit: int | None = None
    sample: int | None = None
    approved: Approved | None = None
    retry_failed: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    new_account: bool = False
    same_batch: bool = False
    max_credits: float | None = None
    webhook_url: str | None = None
    webhook_listen: str | None = None

    def choice(self) -> Choice:
        """The part that planning needs.

        Raises:
            UsageError: the options contradict each other.
        """
        if self.limit is not None and self.limit < 1:
            raise UsageError("--limit must be at least 1")
        if self.sample is not None and self.sample < 1:
            raise UsageError("--sample must be at least 1")
        if self.sample is not None and self.limit is not None:
            raise UsageError("--sample and --limit both choose how many; give one")
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing contradict each other; give one")
        if self.max_credits is not None and self.max_credits < 0:
            raise UsageError("--max-credits must not be below 0")
        if (self.webhook_url is None) != (self.webhook_listen is None):
            raise UsageError("--webhook-url and --webhook-listen go together; give both or none")
        return Choice(
            only=self.only,
            limit=self.limit,
            sample=self.sample,
            retry_failed=self.retry_failed,
            overwrite=self.overwrite,
            skip_existing=self.skip_existing,
        )


class Session:
    """One run, between the opening of the store and its closing."""

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
        self._flags = f" --state {_short(state_flag)}" if state_flag else ""
        self._store, self._prepared, self._options = store, prepared, options
        self._manifest = prepared.manifest
        self._watcher, self._folder, self._env = watcher, folder, env
        self._clock = SystemClock()
        self._vendor_zero: float | None = None
        self._report = ""
        self._left_out = 0
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
        for line in shown(self._prepared.warnings, str(self._manifest.path)):
            self.tell(Level.INFO, line)
        wanted = self._prepared.wanted
        draft, _ = await draft_for(self._store, batch, wanted, self._options.choice())
        self._refuse_conflicts(draft)
        await self._refuse_unapproved(batch, draft)
        self._left_out = draft.left_for_later
        settings = vendor_settings(self._env)
        limits = self._manifest.settings.limits
        up = self._throttle(limits.upload_bytes_per_s)
        down = self._throttle(limits.download_bytes_per_s)
        async with (
            TopViewClient(settings, throttle=up) as client,
            Downloader(throttle=down) as downloader,
        ):
            await self._check_account(client)
            await self._apply(batch, draft)
            await self._recover_neighbours(batch)
            avatars = SavedAvatars(self._store, batch, client, wanted.savers())
            del draft
            wanted.clear()
            run = await self._store.begin_run(batch.key, owner)
            desk = self._desk(batch, run, client, downloader)
            engine = Engine(desk, self._watcher)
            await avatars.look()
            async with self._listening(engine, client, desk):
                outcome = await engine.run()
            saved, made = await avatars.found()
            self._notes = notes_of(saved, made)
            await self._finish(run, batch, outcome, saved)
            self._report = await self._gallery(batch)
            return outcome

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
        patience_s, why = sum(FIRST_WAITS_S) * scale, ""
        for wait_s in FIRST_WAITS_S:
            await self._clock.sleep(wait_s * scale)
            answer = await client.credit_detail()
            if answer.server_time is not None:
                self._vendor_zero = answer.server_time - self._clock.monotonic()
            verdict = judge_call(answer)
            if verdict.fate is CallFate.AUTH:
                raise CredentialsError(f"{verdict.message}; check TOPVIEW_API_KEY and TOPVIEW_UID")
            if verdict.fate is CallFate.OK:
                self._tell_balance(wire.remaining_credit(answer))
                return
            if not why:
                self.tell(Level.PROBLEM, _no_answer(verdict.message, patience_s))
            why = verdict.message
            if verdict.fate is CallFate.PERMANENT:
                break
        raise VendorUnavailable(
            f"the vendor does not answer ({why}); nothing was sent. "
            "Check TOPVIEW_BASE_URL and the network, then run again"
        )

    def _tell_balance(self, balance: float | None) -> None:
        if balance is not None:
            self.tell(Level.INFO, f"balance: {balance:g} credits")
        if balance is not None and balance <= 0:
            self.tell(Level.PROBLEM, "the balance is used up: submits will be refused")

    async def _apply(self, batch: BatchRow, draft: Draft) -> None:
        for source, target in draft.copies:
            await asyncio.to_thread(_copy, source, target)
        await self._store.apply_plan(batch.key, draft.changes, time.time())
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

    @asynccontextmanager
    async def _listening(
        self, engine: Engine, client: TopViewClient, desk: Desk
    ) -> AsyncIterator[None]:
        """The webhook receiver, if the batch has one. Without it, or without notices, polling
        finds everything; it only takes longer.

        Raises:
            UsageError: it cannot listen there.
        """
        url = self._options.webhook_url or self._manifest.settings.webhook_url
        listen = self._options.webhook_listen or self._manifest.settings.webhook_listen
        if url is None or listen is None:
            yield
            return
        from orchestrator.web.receiver import HeardNotice, Receiver, notice_path, notice_url

        async def heard(notice: HeardNotice) -> bool:
            return await engine.hear(notice.token, notice.task_id)

        uid = vendor_settings(self._env).uid
        receiver = Receiver(listen, notice_path(url), Secret(str(uid)), heard)
        await receiver.start()
        try:
            if await self._address_taken(client, notice_url(url, "check")):
                desk.notice_url = partial(notice_url, url)
            yield
        finally:
            await receiver.stop()

    async def _address_taken(self, client: TopViewClient, url: str) -> bool:
        """Whether the vendor takes the webhook's address; asked once."""
        answer = await client.notice_check(url)
        refused = answer.result is False or str(answer.result).lower() == "fail"
        taken = answer.ok and not refused
        if not taken:
            why = answer.message or answer.detail or "no reason given"
            message = f"the vendor does not take the webhook's address ({why}): polling instead"
            self.tell(Level.PROBLEM, message)
        return taken

    def _desk(self, batch: BatchRow, run: RunKey, client: Vendor, downloader: Downloader) -> Desk:
        limits = self._manifest.settings.limits
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
        pacer = Pacer(
            self._store,
            batch.account,
            self._clock,
            submit=limits.submit_rate,
            request=limits.request_rate,
            boot_id=ports.boot_id,
        )
        return Desk(
            batch=batch,
            settings=self._manifest.settings,
            store=self._store,
            ports=ports,
            pacer=pacer,
            run=run,
            run_credits=self._options.max_credits,
            overwrite=self._options.overwrite,
            vendor_zero=self._vendor_zero,
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
        from orchestrator.results import write_report

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
        rehearsal = self._options.rehearsal is not None
        rehearsed = " --emulator" if rehearsal else ""
        view = batch_view(
            batch,
            rows,
            rehearsal=rehearsal,
            running=None,
            last=await self._store.last_run(batch.key),
        )
        return RunView(
            status=view,
            exit_code=exit_code(counts, overdue, outcome.stops),
            headline=headline(batch.name, counts, overdue=overdue, stops=outcome.stops, did=did),
            uploaded=outcome.uploaded,
            submitted=outcome.submitted,
            downloaded=outcome.downloaded,
            elapsed_s=elapsed_s,
            next_steps=next_steps(
                batch.name,
                counts,
                overdue=overdue,
                again=f"orchestrator run {_short(self._manifest.path)}{rehearsed}{self._flags}",
                flags=self._flags,
                stops=outcome.stops,
                left_out=self._left_out,
            ),
            outputs=_common_folder([Path(row.output) for row in rows]),
            report=self._report,
            notes=self._notes,
            state_dir=str(self._folder),
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


def owner_of_this_process() -> Owner:
    """This process, as others see it."""
    return Owner(
        pid=os.getpid(), host=socket.gethostname(), boot_id=boot_id(), started_at=time.time()
    )


def _short(path: Path) -> str:
    """The path as somebody in the current folder would type it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _common_folder(paths: Sequence[Path]) -> str:
    return os.path.commonpath([path.parent for path in paths]) if paths else ""


def _copy(source: Path, target: Path) -> None:
    """Copy a finished video; the target's name appears only when all of it is on disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.copy.part")
    shutil.copyfile(source, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)


def _no_answer(why: str, patience_s: float) -> str:
    return f"the vendor does not answer: {why}; trying again for {patience_s:.0f} s"
