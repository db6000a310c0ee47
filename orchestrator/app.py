"""Composition root and library facade: the command line and a Python user call the same methods.

A run goes through :meth:`Orchestrator.run` from top to bottom: read the manifest, look whether
another run holds the batch, look at the files, open the store, take the batch's lock, draft the
plan, ask the vendor for the balance, store the plan, recover what a killed run left, let the
engine work, report.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator import rehearsal as rehearsals
from orchestrator.approval import mark_of, terms_of
from orchestrator.choice import refuse_nothing_meant
from orchestrator.config import identity, state_dir, vendor_settings
from orchestrator.engine.lock import BatchLock, is_held, lock_path, read_owner
from orchestrator.engine.neighbours import note_of
from orchestrator.engine.progress import Level, Notice, Observer, Silent
from orchestrator.errors import CredentialsError, ManifestError
from orchestrator.manifest.complaints import in_order
from orchestrator.manifest.packed import packed
from orchestrator.manifest.read import Examined, examine_manifest
from orchestrator.manifest.scalars import duration_s
from orchestrator.model import Complaint, ContentHash, Manifest, State
from orchestrator.occupied import refuse_if_occupied
from orchestrator.options import RunOptions
from orchestrator.outlook import Memory, expected_pace, least_s, memory_of
from orchestrator.planning import (
    Draft,
    Prepared,
    complaints_by_files,
    files_of_jobs,
    look_at_media,
)
from orchestrator.readings import (
    Read,
    Recalled,
    Slot,
    prepare_read,
    prepare_recalled,
    recall_reading,
)
from orchestrator.rehearsal import Rehearsal, run_emulator
from orchestrator.report.build import batch_view, job_view
from orchestrator.report.told import recall
from orchestrator.report.views import BatchView, JobView, PlanView, RunView
from orchestrator.session import Session, draft_for, owner_of_this_process
from orchestrator.store.base import AppStore, BatchRow
from orchestrator.store.sqlite import open_store
from orchestrator.topview import wire
from orchestrator.topview.client import TopViewClient

__all__ = [
    "Orchestrator",
    "Rehearsal",
    "RunOptions",
    "duration_s",
    "manifest_schema",
    "run_emulator",
]

STATE_FILE = "state.db"


def manifest_schema() -> dict[str, Any]:
    """JSON Schema of the manifest, for editors."""
    from orchestrator.manifest.schema import json_schema

    return json_schema()


class Orchestrator:
    """One state folder and all that can be done with it.

    ``state_dir`` None: `state` beside the manifest (or in the current folder for calls without
    one). ``env`` is where credentials are read from.
    """

    def __init__(
        self, state_dir: Path | None = None, *, env: Mapping[str, str] | None = None
    ) -> None:
        self._state_dir = state_dir
        self._env = os.environ if env is None else env

    def _folder(self, manifest: Path | None, rehearsal: bool) -> Path:
        folder = state_dir(self._state_dir, self._env, manifest)
        return folder / rehearsals.FOLDER if rehearsal else folder

    async def validate(self, manifest: Path) -> tuple[Complaint, ...]:
        """Every complaint and warning about the manifest and its media files; touches no state."""
        return await _all_complaints(await _examined(manifest))

    async def plan(self, manifest: Path, options: RunOptions | None = None) -> PlanView:
        """What :meth:`run` would do and why. Spends nothing, stores nothing.

        Raises:
            ManifestError: the manifest or its media are wrong.
            UsageError: the options contradict each other, or ``only`` names no job.
            BatchConflict: the batch belongs to another account or file.
            StoreError: the state store cannot be used.
        """
        options = options or RunOptions()
        folder = self._folder(manifest, options.rehearsal is not None)
        async with _reading(folder) as store:
            prepared = await self._prepare(await self._read(manifest, options), options, store)
            batch = await self._known_batch(store, prepared.manifest, options)
            draft, live = await draft_for(store, batch, prepared.wanted, options.choice())
            memory = await self._memory(store, batch, prepared.manifest, options)
        balance = None if options.rehearsal else await self._balance()
        view = _plan_view(prepared, options, draft, live, balance, memory)
        return replace(view, account=self._account_mark(options))

    async def run(
        self,
        manifest: Path,
        options: RunOptions | None = None,
        observer: Observer | None = None,
    ) -> RunView:
        """Plan, then work until every job rests or something stops the run.

        Raises:
            ManifestError: the manifest or its media are wrong; nothing was touched.
            UsageError: the options contradict each other, or ``only`` names no job.
            BatchConflict, OutputConflict: see there; nothing was sent.
            StoreError: the state store cannot be used.
            BatchLocked: another run holds the batch.
            CredentialsError: they are missing, or the vendor refused them.
            VendorUnavailable: the vendor does not answer, or refuses to tell the balance;
                nothing was sent.
        """
        options = options or RunOptions()
        watcher = observer or Silent()
        options.choice()
        folder = self._folder(manifest, options.rehearsal is not None)
        read = await self._read(manifest, options)
        await self._refuse_if_occupied(folder, read.manifest, options)
        async with _reading(folder) as store:
            prepared = await self._prepare(read, options, store)
        del read  # and its jobs, which the store is about to hold
        if options.rehearsal is None:
            return await self._run(prepared, options, watcher, folder, self._env)
        await _tell_spent_faults(folder, options.rehearsal, watcher)
        async with rehearsals.embedded(folder, options.rehearsal) as env:
            env = {**_network(self._env), **env}
            return await self._run(prepared, options, watcher, folder, env)

    async def _run(
        self,
        prepared: Prepared,
        options: RunOptions,
        watcher: Observer,
        folder: Path,
        env: Mapping[str, str],
    ) -> RunView:
        started = time.monotonic()
        account_name = _account_name(options, env)
        async with _writing(folder) as store:
            await store.remember_files(prepared.fresh)
            session = Session(
                store, prepared, options, watcher, folder, env, state_flag=self._state_dir
            )
            batch = await session.open_batch(account_name)
            owner = owner_of_this_process()
            note = note_of(batch.key, prepared.manifest.settings.limits)
            with BatchLock(lock_path(folder, batch), owner, batch.name, note):
                outcome = await session.work(batch, owner)
                return await session.report(batch, outcome, time.monotonic() - started)

    async def status(
        self, batch: str | None = None, *, rehearsal: bool | None = None
    ) -> list[BatchView]:
        """All batches of the state folder, or only those named ``batch``, rehearsals last.

        ``rehearsal``: None for both kinds, else only rehearsals (True) or none of them (False).
        """
        views = []
        for is_rehearsal in (False, True):
            if rehearsal is not None and rehearsal is not is_rehearsal:
                continue
            folder = self._folder(None, is_rehearsal)
            async with _reading(folder) as store:
                if store is not None:
                    views.extend(await _batch_views(store, folder, batch, is_rehearsal))
        return views

    async def jobs(
        self,
        batch: str | None = None,
        *,
        pattern: str = "*",
        states: Sequence[State] = (),
        rehearsal: bool | None = None,
    ) -> list[tuple[str, JobView]]:
        """Jobs with the name of their batch, in manifest order; rehearsals last, and marked.

        ``rehearsal``: as in :meth:`status`.
        """
        found: list[tuple[str, JobView]] = []
        for is_rehearsal in (False, True):
            if rehearsal is not None and rehearsal is not is_rehearsal:
                continue
            async with _reading(self._folder(None, is_rehearsal)) as store:
                for row in [] if store is None else await store.batches():
                    if batch is None or row.name == batch:
                        rows = await store.job_rows(row.key, states=states, pattern=pattern)  # type: ignore[union-attr]
                        views = (replace(job_view(job), rehearsal=is_rehearsal) for job in rows)
                        found.extend((row.name, view) for view in views)
        return found

    async def _read(self, path: Path, options: RunOptions) -> Read | Recalled:
        """The manifest, as an earlier run has read it if that is certain to be the same."""
        slot = self._slot(path, options)
        read = await asyncio.to_thread(recall_reading, slot) or await self._read_anew(slot, options)
        refuse_nothing_meant(options.only, read.jobs.ids, read.manifest.batch)
        return read

    async def _read_anew(self, slot: Slot, options: RunOptions) -> Read:
        examined = await _examined(slot.manifest)
        manifest = examined.manifest
        if manifest is None:
            raise ManifestError(await _all_complaints(examined))
        if options.rehearsal is not None:
            manifest = rehearsals.rehearsed(manifest, options.rehearsal)
        return Read(
            slot=slot, manifest=manifest, jobs=packed(manifest.jobs), inputs=examined.inputs
        )

    async def _prepare(
        self, read: Read | Recalled, options: RunOptions, store: AppStore | None
    ) -> Prepared:
        if isinstance(read, Recalled):
            prepared = await prepare_recalled(read, store)
            if prepared is not None:
                return prepared
            read = await self._read_anew(read.slot, options)
        return await prepare_read(read, store)

    def _slot(self, path: Path, options: RunOptions) -> Slot:
        rehearsal = options.rehearsal
        return Slot(
            folder=self._folder(path, rehearsal is not None),
            manifest=_absolute(path),
            time_scale=None if rehearsal is None else rehearsal.time_scale,
        )

    async def _refuse_if_occupied(
        self, folder: Path, manifest: Manifest, options: RunOptions
    ) -> None:
        """Say at once that another run holds the batch, even where that run is stopped and keeps
        the store from being opened. Missing credentials are told later, after graver things."""
        try:
            name = _account_name(options, self._env)
        except CredentialsError:
            return
        me, same = owner_of_this_process(), options.same_batch
        await refuse_if_occupied(folder / STATE_FILE, manifest, name, me, same_batch=same)

    async def _memory(
        self,
        store: AppStore | None,
        batch: BatchRow | None,
        manifest: Manifest,
        options: RunOptions,
    ) -> Memory:
        """What is known of the account that the plan is for, whatever batch it was learned by."""
        account = None if batch is None else batch.account
        if store is not None and account is None:
            with suppress(CredentialsError):
                account = await store.find_account(_account_name(options, self._env))
        if store is None or account is None:
            return Memory()
        return await memory_of(store, account, manifest.settings.limits)

    async def _known_batch(
        self, store: AppStore | None, manifest: Manifest, options: RunOptions
    ) -> BatchRow | None:
        """The batch that a plan is compared with; without credentials the only one of its name."""
        if store is None:
            return None
        rows = await store.find_batches(manifest.batch)
        try:
            name = _account_name(options, self._env)
        except CredentialsError:
            return rows[0] if len(rows) == 1 else None
        account = await store.find_account(name)
        return next((row for row in rows if row.account == account), None)

    def _account_mark(self, options: RunOptions) -> str | None:
        """The account as a plan names it; None for a rehearsal and without credentials."""
        try:
            return None if options.rehearsal else mark_of(_account_name(options, self._env))
        except CredentialsError:
            return None

    async def _balance(self) -> float | None:
        """Credits left; None without credentials or when the vendor does not say."""
        try:
            settings = vendor_settings(self._env)
        except CredentialsError:
            return None
        async with TopViewClient(settings) as client:
            return wire.remaining_credit(await client.credit_detail())


async def _tell_spent_faults(folder: Path, rehearsal: Rehearsal, watcher: Observer) -> None:
    """Say which faults of the file will not happen any more: a rehearsal counts on and on."""
    if spent := await asyncio.to_thread(rehearsals.spent_faults, folder, rehearsal):
        watcher.notice(Notice(at=time.time(), level=Level.INFO, message=spent))


def _plan_view(
    prepared: Prepared,
    options: RunOptions,
    draft: Draft,
    live: frozenset[ContentHash],
    balance: float | None,
    memory: Memory,
) -> PlanView:
    manifest = prepared.manifest
    assets = draft.assets()
    missing = [facts for content, facts in assets.items() if content not in live]
    limits, tariff = manifest.settings.limits, memory.tariff
    time_scale = options.rehearsal.time_scale if options.rehearsal else 1.0
    upload_bytes = sum(facts.size_bytes for facts in missing)
    at_least_s = least_s(len(draft.submits), len(missing), upload_bytes, limits)
    return PlanView(
        batch=manifest.batch,
        manifest=str(manifest.path),
        rehearsal=options.rehearsal is not None,
        lines=tuple(draft.lines),
        upload_files=len(missing),
        upload_bytes=upload_bytes,
        uploaded_already=len(assets) - len(missing),
        submits=len(draft.submits),
        credits_estimate=draft.credits_expected(tariff),
        balance=balance,
        at_least_s=at_least_s,
        credits_learned=sum(tariff.knows(w.spec) for w in draft.submits),
        pace=expected_pace(draft.submits, limits, memory, time_scale, at_least_s),
        terms=terms_of(manifest.settings),
        warnings=prepared.warnings,
    )


async def _examined(path: Path) -> Examined:
    return await asyncio.to_thread(examine_manifest, _absolute(path))


async def _all_complaints(examined: Examined) -> tuple[Complaint, ...]:
    """About the manifest and about the media of all jobs, right or wrong, sorted by place."""
    jobs, others = examined.jobs, examined.files
    seen = await look_at_media((*files_of_jobs(jobs), *others.paths()), None)
    by_files = complaints_by_files(jobs, seen.facts, others)
    return in_order((*examined.complaints, *by_files), examined.file)


@asynccontextmanager
async def _reading(folder: Path) -> AsyncIterator[AppStore | None]:
    """The store of a folder, None if there is none; reading never makes one."""
    path = folder / STATE_FILE
    if not path.exists():
        yield None
        return
    store = await open_store(path, create=False)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _writing(folder: Path) -> AsyncIterator[AppStore]:
    """The store of a folder, made if need be."""
    store = await open_store(folder / STATE_FILE)
    try:
        yield store
    finally:
        await store.close()


async def _batch_views(
    store: AppStore, folder: Path, name: str | None, rehearsal: bool
) -> list[BatchView]:
    views = []
    for batch in await store.batches():
        if name is not None and batch.name != name:
            continue
        lock = lock_path(folder, batch)
        owner = read_owner(lock) if is_held(lock) else None
        rows = await store.job_rows(batch.key)
        views.append(
            batch_view(
                batch,
                rows,
                rehearsal=rehearsal,
                running=None if owner is None else f"process {owner.pid} on {owner.host}",
                last=await store.last_run(batch.key),
                told=await recall(store, batch),
            )
        )
    return views


def _account_name(options: RunOptions, env: Mapping[str, str]) -> str:
    return rehearsals.IDENTITY if options.rehearsal else identity(vendor_settings(env))


def _network(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without anything of the real account."""
    return {name: value for name, value in env.items() if not name.startswith("TOPVIEW_")}


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symlinks
