"""Results of a batch for people and other programs: the gallery page and the exports.

:func:`write_report` is what a run calls when it ends; :class:`Results` is what ``orchestrator
report`` and ``orchestrator export`` (and a Python user) call. Nothing here changes the state
store or a video.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import rehearsal as rehearsals
from orchestrator.config import state_dir
from orchestrator.engine.lock import is_held, lock_path, read_owner
from orchestrator.errors import UsageError
from orchestrator.media.posters import Patience, Posters, PosterShelf
from orchestrator.model import JobId, JobSpec, Revision, State
from orchestrator.report.cards import Video, arrange
from orchestrator.report.export import Format, writing
from orchestrator.report.files import explained, may_replace, place_of_page, replacing, spare
from orchestrator.report.results import Result, Times, result, seconds_of, times_of
from orchestrator.saved import Saved, saved_by_job
from orchestrator.store.base import AppStore, BatchRow, JobRow, RunRow
from orchestrator.store.sqlite import open_store

if TYPE_CHECKING:
    from orchestrator.report.gallery import Subject

__all__ = ["Format", "Made", "Results", "Selection", "default_target", "write_report"]

STATE_FILE = "state.db"
POSTERS_FOLDER = "posters"
"""Inside the state folder: pictures of videos, made once. It may be deleted at any time."""
POSTERS_SHOWN = 500
"""Videos of one page that have a picture: more would make the file too large to be handy."""
MOST_SPECS = 10_000
"""Batches with more jobs are shown without what was asked for."""
AT_THE_END = Patience(fresh=200, most_s=20.0)
"""New pictures that the end of a run waits for."""
ON_DEMAND = Patience(fresh=POSTERS_SHOWN, most_s=120.0)
"""New pictures for somebody who asked for the page."""
_PAGE = 500
"""Jobs that are looked up and written at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file that was written, and of which batch.

    ``accounts``: how many accounts know a batch of this name; of several it is the one that ran
    last.
    """

    path: Path
    batch: str
    rehearsal: bool
    accounts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which jobs of which batch: ``states`` empty means all, ``pattern`` is a GLOB on the id.

    A rehearsal is meant if ``rehearsal`` says so, or if there is no real batch of the name.
    """

    batch: str
    rehearsal: bool = False
    states: tuple[State, ...] = ()
    pattern: str = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    store: AppStore
    batch: BatchRow
    rehearsal: bool
    folder: Path
    accounts: int

    def made(self, path: Path) -> Made:
        """A file about this batch."""
        name = self.batch.name
        return Made(path=path, batch=name, rehearsal=self.rehearsal, accounts=self.accounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Material:
    """What the store says for a page: all jobs, those with a video's card, what was asked for,
    lengths that only the history tells, and the last run."""

    rows: Sequence[JobRow]
    done: Sequence[JobRow]
    specs: Mapping[JobId, JobSpec]
    seconds: Mapping[JobId, float]
    last: RunRow | None


class Results:
    """The results in one state folder.

    ``state_dir`` None: `state` in the current folder, unless ``env`` names another.
    """

    def __init__(
        self, state_dir: Path | None = None, *, env: Mapping[str, str] | None = None
    ) -> None:
        self._state_dir = state_dir
        self._env = os.environ if env is None else env

    async def report(
        self, batch: str, *, rehearsal: bool = False, target: Path | None = None
    ) -> Made:
        """Write the gallery page of a batch; ``target`` as in :func:`write_report`.

        A rehearsal is meant if ``rehearsal`` says so, or if there is no real batch of the name.

        Raises:
            UsageError: there is no such batch, or the page cannot be written there.
            StoreError: the state store cannot be used.
        """
        async with self._find(batch, rehearsal) as found:
            path = await write_report(
                found.store,
                found.batch,
                rehearsal=found.rehearsal,
                folder=found.folder,
                target=None if target is None else _absolute(target),
                patience=ON_DEMAND,
            )
        return found.made(path)

    async def export(self, selection: Selection, format: Format) -> AsyncIterator[list[str]]:
        """The lines of an export without their line ends, some hundred at a time.

        Jobs come in manifest order.

        Raises:
            UsageError: there is no such batch.
            StoreError: the state store cannot be used.
        """
        async with self._find(selection.batch, selection.rehearsal) as found:
            async for lines in _exported(found, selection, format):
                yield lines

    async def export_to(self, target: Path, selection: Selection, format: Format) -> Made:
        """Write an export to a file, whose name appears only when all of it is on disk.

        Raises:
            UsageError: there is no such batch, or the file cannot be written.
            StoreError: the state store cannot be used.
        """
        path = _absolute(target)
        async with self._find(selection.batch, selection.rehearsal) as found:
            rows = await found.store.job_rows(found.batch.key)
            spare(path, found.batch, rows, found.folder / STATE_FILE)
            with replacing(path) as file:
                async for lines in _exported(found, selection, format):
                    await asyncio.to_thread(file.writelines, [f"{line}\n" for line in lines])
        return found.made(path)

    @asynccontextmanager
    async def _find(self, name: str, rehearsal: bool) -> AsyncIterator[_Found]:
        """The store that knows the batch, open: the real one first unless a rehearsal is meant."""
        folder = state_dir(self._state_dir, self._env, None)
        known: list[str] = []
        for is_rehearsal in (True,) if rehearsal else (False, True):
            inner = folder / rehearsals.FOLDER if is_rehearsal else folder
            if not (inner / STATE_FILE).exists():
                continue
            store = await open_store(inner / STATE_FILE, create=False)
            try:
                if rows := await store.find_batches(name):
                    yield _Found(
                        store=store,
                        batch=await _newest(store, rows),
                        rehearsal=is_rehearsal,
                        folder=inner,
                        accounts=len(rows),
                    )
                    return
                known += [_named(row, is_rehearsal) for row in await store.batches()]
            finally:
                await store.close()
        raise UsageError(_no_such_batch(name, folder, known))


async def write_report(
    store: AppStore,
    batch: BatchRow,
    *,
    rehearsal: bool,
    folder: Path,
    target: Path | None = None,
    patience: Patience = AT_THE_END,
) -> Path:
    """Write the gallery page of a batch and return its path.

    ``folder`` is the state folder (pictures are kept in its `posters`). ``target`` None: see
    :func:`default_target`. Only a page of this program is ever replaced.

    Raises:
        UsageError: the page cannot be written there.
        StoreError: the state store cannot be read.
    """
    from orchestrator.report.gallery import Subject

    found = await _material(store, batch)
    path = target or default_target(batch, found.rows, rehearsal=rehearsal)
    spare(path, batch, found.rows, folder / STATE_FILE)
    stop = threading.Event()
    shelf = PosterShelf(folder / POSTERS_FOLDER)

    def make() -> Path:
        videos, left_out = _videos(found, lambda wanted: shelf.collect(wanted, patience, stop))
        subject = Subject(
            batch=batch,
            rows=found.rows,
            last=found.last,
            running=_running(folder, batch),
            rehearsal=rehearsal,
            videos=videos,
            posters_in_all=POSTERS_SHOWN,
            without_poster=left_out,
            now=time.time(),
            specs=found.specs,
        )
        return _write_page(subject, path, make_folder=target is None)

    try:
        return await asyncio.to_thread(make)
    finally:
        stop.set()


async def _material(store: AppStore, batch: BatchRow) -> _Material:
    rows = await store.job_rows(batch.key)
    arranged = await asyncio.to_thread(arrange, rows)
    done = next((shown for key, shown, _ in arranged if key == "done"), [])
    return _Material(
        rows=rows,
        done=done,
        specs=await _specs(store, batch, rows),
        seconds=await _seconds(store, batch, done[:POSTERS_SHOWN]),
        last=await store.last_run(batch.key),
    )


async def _specs(store: AppStore, batch: BatchRow, rows: Sequence[JobRow]) -> dict[JobId, JobSpec]:
    """What was asked for, by job. Nothing for a batch so large that most of its jobs have no card:
    its specs are not worth their memory."""
    if len(rows) > MOST_SPECS:
        return {}
    found = await store.find_jobs(f"{batch.name}/*")
    return {job.job_id: job.spec for known, job in found if known.key == batch.key}


def default_target(batch: BatchRow, rows: Sequence[JobRow], *, rehearsal: bool) -> Path:
    """Where the page of a batch goes: see :func:`orchestrator.report.files.place_of_page`."""
    folder = batch.manifest.parent
    return place_of_page(batch, rows, folder / rehearsals.OUTPUTS if rehearsal else folder)


def _write_page(subject: Subject, path: Path, *, make_folder: bool) -> Path:
    from orchestrator.report.gallery import MARK, render

    may_replace(path, MARK)
    page = render(subject, path.parent)
    if make_folder:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(page)
    return path


def _videos(
    found: _Material, collect: Callable[[Mapping[str, Path]], Posters]
) -> tuple[dict[JobId, Video], int]:
    """What there is of each finished video, and how many pictures were left out to be quick."""
    there = {row.job_id: Path(row.output).is_file() for row in found.done}
    names = {r.job_id: _poster_name(r) for r in found.done[:POSTERS_SHOWN] if there[r.job_id]}
    wanted = {names[r.job_id]: Path(r.output) for r in found.done if r.job_id in names}
    posters = collect(wanted)
    videos = {
        job_id: Video(
            there=is_there,
            seconds=found.seconds.get(job_id),
            poster=posters.pictures.get(names.get(job_id, "")) or None,
        )
        for job_id, is_there in there.items()
    }
    return videos, posters.left_out


def _poster_name(row: JobRow) -> str:
    """A name that another video would not have."""
    return f"{row.task_id or row.output}\n{row.output_bytes}"


async def _seconds(store: AppStore, batch: BatchRow, rows: Sequence[JobRow]) -> dict[JobId, float]:
    """Lengths of videos that only their history tells."""
    untold = [row for row in rows if seconds_of(row) is None]
    times = await _histories(store, batch, untold)
    told = zip(untold, times, strict=True)
    return {row.job_id: t.seconds for row, t in told if t.seconds is not None}


async def _histories(store: AppStore, batch: BatchRow, rows: Sequence[JobRow]) -> list[Times]:
    """When things happened to each job; jobs that were never submitted are not looked up."""

    async def times(row: JobRow) -> Times:
        if row.attempts == 0 and row.state is not State.DONE:
            return Times()
        return times_of(await store.events(batch.key, row.job_id))

    return await asyncio.gather(*(times(row) for row in rows))


async def _exported(
    found: _Found, selection: Selection, format: Format
) -> AsyncIterator[list[str]]:
    """The lines of an export, a page at a time."""
    store, batch = found.store, found.batch
    rows = await store.job_rows(batch.key, states=selection.states, pattern=selection.pattern)
    revisions = {known.job_id: known.revision for known in (await store.known(batch.key)).values()}
    saved = await saved_by_job(store, batch)
    written = writing(format, batch.name, rehearsal=found.rehearsal)
    if written.head:
        yield list(written.head)
    for start in range(0, len(rows), _PAGE):
        page = rows[start : start + _PAGE]
        times = await _histories(store, batch, page)
        yield list(written.page(_results(page, times, revisions, saved)))
    if written.foot:
        yield list(written.foot)


def _results(
    rows: Iterable[JobRow],
    times: Iterable[Times],
    revisions: Mapping[JobId, Revision],
    saved: Mapping[JobId, Saved],
) -> list[Result]:
    return [
        result(
            row,
            when,
            revisions.get(row.job_id),
            saved[row.job_id].id if row.job_id in saved else None,
        )
        for row, when in zip(rows, times, strict=True)
    ]


async def _newest(store: AppStore, rows: Sequence[BatchRow]) -> BatchRow:
    """The batch that ran last."""
    began = []
    for row in rows:
        last = await store.last_run(row.key)
        began.append(row.created_at if last is None else last.owner.started_at)
    return rows[began.index(max(began))]


def _running(folder: Path, batch: BatchRow) -> str | None:
    """Which process works on the batch now."""
    lock = lock_path(folder, batch)
    owner = read_owner(lock) if is_held(lock) else None
    return None if owner is None else f"process {owner.pid} on {owner.host}"


def _named(batch: BatchRow, rehearsal: bool) -> str:
    return f"{batch.name} (rehearsal)" if rehearsal else batch.name


def _no_such_batch(name: str, folder: Path, known: Sequence[str]) -> str:
    names = ", ".join(sorted(set(known)))
    return f"no batch {name} in {folder}" + (f"; there is: {names}" if names else "")


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symlinks
