"""From patterns to jobs: which store, which batch, and what to say when nothing matches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from orchestrator.errors import UsageError
from orchestrator.model import Job, JobKey
from orchestrator.operate.places import Place
from orchestrator.store.base import AppStore, BatchRow
from orchestrator.store.sqlite import open_store

MOST_NAMED = 5

Found = tuple[BatchRow, Job]


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
    if store is None:
        return f"no {what} matches {pattern}: there is no state in {place.own} (--state DIR?)"
    batches = [batch.name for batch in await store.batches()]
    if pattern in batches:
        return f"no {what} matches {pattern}; it is a batch: '{pattern}/*' means all its jobs"
    return (
        f"no {what} matches {pattern} in {place.own}; there are the batches {named(batches)}. "
        f"'orchestrator jobs' lists their jobs"
    )


def named(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
