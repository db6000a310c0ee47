"""From patterns to jobs: which store, which batch, and what to say when nothing matches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestrator.errors import StoreError, UsageError
from orchestrator.manifest.complaints import near
from orchestrator.model import Job, JobKey
from orchestrator.operate.places import Place
from orchestrator.store.base import AppStore, BatchRow
from orchestrator.store.sqlite import open_store

MOST_NAMED = 5

Found = tuple[BatchRow, Job]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The store that is looked in, and of which kind. ``store`` is None where there is none.

    ``rehearsed_too``: real jobs are meant, and rehearsals of the same names exist besides.
    """

    place: Place
    store: AppStore | None
    rehearsed_too: bool = False


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[AppStore | None]:
    """The store of a place, None if there is none; nothing is made."""
    if not place.file.exists():
        yield None
        return
    store = await open_store(place.file, create=False)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def meant(place: Place, patterns: Sequence[str]) -> AsyncIterator[Where]:
    """Where the patterns lead: to the rehearsals of the folder if only they know all of them.

    Real jobs win, and kinds are never mixed: a pattern that the chosen store does not know is
    for :func:`find` to complain about.
    """
    async with opened(place) as store:
        real = [pattern for pattern in patterns if await _knows(store, pattern)]
        if place.rehearsal or real:
            too = not place.rehearsal and await _rehearsed(place.other(), real)
            yield Where(place=place, store=store, rehearsed_too=too)
            return
        async with opened(place.other()) as other:
            found = [await _knows(other, pattern) for pattern in patterns]
            if found and all(found):
                yield Where(place=place.other(), store=other)
            else:
                yield Where(place=place, store=store)


async def _knows(store: AppStore | None, pattern: str) -> bool:
    return store is not None and bool(await store.find_jobs(pattern))


async def _rehearsed(rehearsals: Place, patterns: Sequence[str]) -> bool:
    """Whether a rehearsal has one of these names. A broken store of rehearsals is none: nobody
    asked for it."""
    try:
        async with opened(rehearsals) as store:
            return any([await _knows(store, pattern) for pattern in patterns])
    except StoreError:
        return False


async def find(store: AppStore | None, patterns: Sequence[str], place: Place) -> list[Found]:
    """The jobs that any of the patterns names, each once, in manifest order.

    Raises:
        UsageError: a pattern names no job, or, without a batch, jobs of several.
    """
    found: dict[JobKey, Found] = {}
    for pattern in patterns:
        for batch, job in await _matches(store, pattern, place):
            found[job.key] = (batch, job)
    return list(found.values())


async def _matches(store: AppStore | None, pattern: str, place: Place) -> list[Found]:
    matches = [] if store is None else await store.find_jobs(pattern)
    if not matches:
        raise UsageError(await _nothing(store, pattern, place))
    batches = list(dict.fromkeys(batch.name for batch, _ in matches))
    if "/" not in pattern and len(batches) > 1:
        shown = [f"{name}/{pattern}" for name in batches]
        raise UsageError(
            f"{pattern} is in {len(batches)} batches: name one of {named(shown)}, or */{pattern} "
            "for all of them"
        )
    return matches


async def _nothing(store: AppStore | None, pattern: str, place: Place) -> str:
    """Why nothing matches, and what might be meant."""
    what = "rehearsal" if place.rehearsal else "job"
    async with opened(place.other()) as other:
        if other is not None and await other.find_jobs(pattern):
            if place.rehearsal:
                return f"no rehearsal matches {pattern}, but a real job does: leave out --emulator"
            return f"no job matches {pattern}, but a rehearsal does: add --emulator"
        known = await _batches(store)
        besides = [] if place.rehearsal else await _batches(other)
    if not known and not besides:
        return f"no {what} matches {pattern}: there is no state in {place.own} (--state DIR?)"
    if pattern in (*known, *besides):
        return f"no {what} matches {pattern}; it is a batch: '{pattern}/*' means all its jobs"
    batch, slash, job = pattern.partition("/")
    if slash and (close := near(batch, known + besides)) not in (None, batch):
        return f"no {what} matches {pattern} in {place.own}; did you mean {close}/{job}?"
    there = [*known, *(f"{name} (rehearsal)" for name in besides)]
    return (
        f"no {what} matches {pattern} in {place.own}; there are the batches {named(there)}. "
        f"'orchestrator jobs' lists their jobs"
    )


async def _batches(store: AppStore | None) -> list[str]:
    if store is None:
        return []
    return list(dict.fromkeys(batch.name for batch in await store.batches()))


def named(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
