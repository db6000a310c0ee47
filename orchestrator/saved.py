"""Which private avatars the vendor saved for the jobs of one run that asked for it.

The vendor names a saved avatar nowhere but in the list of the account's own: the list is read
before and after (``docs/vendor.md``). Who else saves avatars on the account meanwhile is seen, too;
so an avatar is given to a job only where there is just one of each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.model import Answer, JobId, State
from orchestrator.store.base import AppStore, BatchRow, EngineStore
from orchestrator.topview.catalog import Avatar, avatar, walk


class Lister(Protocol):
    """Whoever can ask for a page of avatars."""

    async def avatars(self, filters: Mapping[str, str], page_no: int = ...) -> Answer:
        """Ask for a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """An avatar that appeared during the run; ``job`` is None where several could own it."""

    id: str
    name: str
    job: JobId | None

    def to_json(self) -> dict[str, Any]:
        """As the run's record keeps it."""
        return {"id": self.id, "name": self.name, "job": self.job}

    def __str__(self) -> str:
        use = f'avatar: {{private: "{self.id}"}}' + (f"    # {self.name}" if self.name else "")
        if self.job is None:
            return f"one of the jobs with save_avatar saved an avatar; to use it: {use}"
        return f"job {self.job} saved an avatar; to use it: {use}"


class SavedAvatars:
    """The look before a run and the look after it. Without jobs that save one, nothing is asked.

    ``turn``: returns when one call may be sent, so that these keep to the request rate, too.
    """

    def __init__(
        self,
        store: AppStore,
        batch: BatchRow,
        vendor: Lister,
        jobs: frozenset[JobId],
        turn: Callable[[], Awaitable[None]],
    ) -> None:
        self._store, self._batch, self._vendor, self._jobs = store, batch, vendor, jobs
        self._turn = turn
        self._before: frozenset[str] | None = None
        self._done: frozenset[JobId] = frozenset()

    async def look(self) -> None:
        """Remember what there is before the run."""
        if not self._jobs:
            return
        self._done = await self._finished()
        found = await self._listed()
        self._before = None if found is None else frozenset(a.id for a in found)

    async def found(self) -> tuple[tuple[Saved, ...], tuple[JobId, ...]]:
        """What appeared since, and the jobs that saved an avatar in this run."""
        made = tuple(sorted(await self._finished() - self._done)) if self._jobs else ()
        if not made or self._before is None:
            return (), made
        before = self._before
        new = [a for a in await self._listed() or () if a.id not in before]
        owner = made[0] if len(made) == len(new) == 1 else None
        return tuple(Saved(id=a.id, name=a.name, job=owner) for a in new), made

    async def _finished(self) -> frozenset[JobId]:
        rows = await self._store.job_rows(self._batch.key, states=(State.DONE,))
        return frozenset(row.job_id for row in rows if row.job_id in self._jobs)

    async def _listed(self) -> tuple[Avatar, ...] | None:
        """The account's own avatars; None if the vendor does not say."""

        async def ask(number: int) -> Answer:
            await self._turn()
            return await self._vendor.avatars({"isCustom": "true"}, number)

        found = await walk(ask, lambda item: avatar(item, private=True), lambda a: a.id)
        return None if found.failed is not None else found.items


def _fact(batch: BatchRow) -> str:
    """The account's fact that holds the avatars of one batch's jobs."""
    return f"saved_avatars:{batch.key}"


async def remember(store: EngineStore, batch: BatchRow, found: Sequence[Saved]) -> None:
    """Keep the avatars whose job is known, beside those of earlier runs of the batch."""
    new = {avatar.job: avatar for avatar in found if avatar.job is not None}
    if not new:
        return
    known = {**await saved_by_job(store, batch), **new}
    kept = {job: {"id": avatar.id, "name": avatar.name} for job, avatar in known.items()}
    await store.set_fact(batch.account, _fact(batch), kept)


async def saved_by_job(store: EngineStore, batch: BatchRow) -> dict[JobId, Saved]:
    """The avatars that the batch's jobs have saved in all its runs, as far as it is known whose
    they are; of a job that saved several, the last."""
    kept = await store.fact(batch.account, _fact(batch))
    if not isinstance(kept, Mapping):
        return {}
    return {
        JobId(job): Saved(id=str(avatar["id"]), name=str(avatar["name"]), job=JobId(job))
        for job, avatar in kept.items()
    }


def notes_of(found: tuple[Saved, ...], made: tuple[JobId, ...]) -> tuple[str, ...]:
    """Sentences for the end of the run."""
    if found or not made:
        return tuple(str(saved) for saved in found)
    which = made[0] if len(made) == 1 else f"{len(made)} jobs"
    return (
        f"no new avatar of {which} is listed yet; later: orchestrator avatars --private shows it",
    )
