"""The vendor's lists: one method a list, from the network or from the copy of it.

A list that was asked for is kept in the state folder. When the vendor cannot be reached, or with
``offline``, the copy answers; everything that is shown says how old it is.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from orchestrator.catalogues.asking import Asker, Sleep
from orchestrator.catalogues.copies import Balance, Copies, Kept
from orchestrator.catalogues.filters import (
    AvatarFilter,
    Question,
    VoiceFilter,
    find_ethnicities,
)
from orchestrator.catalogues.ids import Lists, Uses, complaints_about, needed, uses_of
from orchestrator.config import VendorSettings, identity, state_dir, vendor_settings
from orchestrator.errors import CredentialsError, StoreError, UsageError, VendorUnavailable
from orchestrator.model import Answer, Complaint
from orchestrator.topview.catalog import Avatar, Caption, Charge, Ethnicity, Voice
from orchestrator.topview.client import Timeouts, TopViewClient
from orchestrator.topview.wire import remaining_credit

__all__ = [
    "Avatar",
    "AvatarFilter",
    "Caption",
    "Catalogues",
    "Charge",
    "Checked",
    "Credits",
    "Ethnicity",
    "Listing",
    "Voice",
    "VoiceFilter",
]

T = TypeVar("T")

PATIENCE = Timeouts(connect_s=10.0, reply_s=30.0)
"""Somebody sits and waits for a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[T]):
    """A list as it was at ``at`` (Unix seconds), ``age_s`` seconds ago.

    ``copy``: it comes from the state folder. ``total`` is what the vendor counts (None if it does
    not say), ``complete`` whether all of it is here (before ``name`` was looked at). ``notes``
    are sentences for the person who reads the list.
    """

    items: tuple[T, ...]
    at: float
    age_s: float
    copy: bool = False
    total: int | None = None
    complete: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credits:
    """The balance in credits (None: the vendor does not say) and, if asked for, the log.

    ``charges`` are newest first and begin at ``since`` (Unix seconds); None: not asked for.
    """

    balance: float | None
    at: float
    age_s: float
    copy: bool = False
    since: float | None = None
    charges: tuple[Charge, ...] | None = None
    complete: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a comparison of a manifest's ids with the lists brought."""

    complaints: tuple[Complaint, ...]
    notes: tuple[str, ...] = ()


class Catalogues:
    """The lists of one account.

    ``state_dir`` None: where the commands find it by themselves, beside ``manifest`` if that is
    given. ``env`` is where credentials are read from. ``offline``: only the copies are asked.
    ``wall`` is Unix seconds; ``sleep`` waits that many seconds.
    """

    def __init__(
        self,
        state: Path | None = None,
        *,
        env: Mapping[str, str] | None = None,
        manifest: Path | None = None,
        offline: bool = False,
        wall: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._env = os.environ if env is None else env
        self._offline, self._wall, self._sleep = offline, wall, sleep
        self._settings = self._credentials()
        account = None if self._settings is None else identity(self._settings)
        self._whose = "" if account else " (or several accounts have some: set TOPVIEW_*)"
        self._copies = Copies(state_dir(state, self._env, manifest), account)

    async def avatars(self, wanted: AvatarFilter | None = None) -> Listing[Avatar]:
        """The public avatars, or the account's own.

        Raises:
            UsageError: a filter that the vendor or its lists do not know; or offline, and there
                is no copy.
            CredentialsError: they are missing, or refused.
            VendorUnavailable: no answer, and there is no copy.
        """
        wanted = wanted or AvatarFilter()
        async with self._asker() as asker:
            ethnicities: list[Ethnicity] = []
            if wanted.ethnicities:
                known: Listing[Ethnicity] = await self._get(asker, Question(kind="ethnicities"))
                ethnicities = find_ethnicities(wanted.ethnicities, known.items)
            found: Listing[Avatar] = await self._get(
                asker, wanted.question(ethnicities), lambda a: wanted.matches(a, ethnicities)
            )
        return _only(found, wanted.names)

    async def voices(self, wanted: VoiceFilter | None = None) -> Listing[Voice]:
        """The public voices, or the account's own; it raises as :meth:`avatars` does."""
        wanted = wanted or VoiceFilter()
        async with self._asker() as asker:
            found: Listing[Voice] = await self._get(asker, wanted.question(), wanted.matches)
        return _only(found, wanted.names)

    async def captions(self) -> Listing[Caption]:
        """The styles of captions; it raises as :meth:`avatars` does."""
        async with self._asker() as asker:
            return await self._get(asker, Question(kind="captions"))

    async def ethnicities(self) -> Listing[Ethnicity]:
        """The words to filter avatars by; it raises as :meth:`avatars` does."""
        async with self._asker() as asker:
            return await self._get(asker, Question(kind="ethnicities"))

    async def credits(self, log_s: float | None = None) -> Credits:
        """The balance, and with ``log_s`` what was charged in the last so many seconds.

        The log is not kept as a copy. It raises as :meth:`avatars` does.
        """
        async with self._asker() as asker:
            if log_s is None or asker is None:
                return await self._balance(asker, with_log=log_s is not None)
            answer = await asker.balance()
            fresh = self._fresh(Question(kind="credits"), self._seen(answer))
            until = self._wall() if answer.server_time is None else answer.server_time
            log = await asker.charges(until - log_s, until)
        newest = sorted(log.items, key=lambda c: c.at or 0.0, reverse=True)
        return replace(
            _credits(fresh),
            since=until - log_s,
            charges=tuple(newest),
            complete=log.complete,
        )

    async def check_ids(self, manifest: Path) -> Checked:
        """Compare the avatar, voice and caption ids of a manifest with the lists.

        Only lists that the manifest needs are asked for. A manifest that cannot be read brings
        no complaints here: ``validate`` has them. It raises as :meth:`avatars` does.
        """
        from orchestrator.manifest.read import check_manifest  # heavy, and only needed here

        found, _ = await asyncio.to_thread(check_manifest, Path(os.path.abspath(manifest)))  # noqa: PTH100 - keeps symlinks
        if found is None:
            return Checked(complaints=(), notes=("ids are checked once the manifest is right",))
        uses = uses_of(found.jobs)
        lists = await self._lists(uses)
        complaints = await asyncio.to_thread(complaints_about, uses, lists)
        return Checked(complaints=tuple(complaints), notes=lists.notes)

    async def _lists(self, uses: Uses) -> Lists:
        """The lists that are needed; the other kind of avatar too, once an id was not found."""
        listings: dict[str, Listing[Any]] = {}
        async with self._asker() as asker:
            while missing := needed(uses, {k: v.items for k, v in listings.items()}):
                kind, private = missing.partition("?")[::2]
                params = (("isCustom", "true"),) if private else ()
                listings[missing] = await self._get(asker, Question(kind=kind, params=params))
        notes = dict.fromkeys(note for found in listings.values() for note in found.notes)
        if ages := [found.age_s for found in listings.values() if found.copy]:
            notes[f"ids are compared with copies up to {max(ages) / 3600:.1f} h old"] = None
        sure = frozenset(k for k, v in listings.items() if v.complete and not v.copy)
        items = {k: v.items for k, v in listings.items()}
        return Lists(items=items, sure=sure, notes=tuple(notes))

    def _credentials(self) -> VendorSettings | None:
        """The account to ask; offline it is known without credentials, if it is the only one."""
        try:
            return vendor_settings(self._env)
        except CredentialsError:
            if not self._offline:
                raise
            return None

    @asynccontextmanager
    async def _asker(self) -> AsyncIterator[Asker | None]:
        """Somebody who asks the vendor; None when offline."""
        if self._offline or self._settings is None:
            yield None
            return
        async with TopViewClient(self._settings, timeouts=PATIENCE) as client:
            yield Asker(client, self._sleep)

    async def _get(
        self,
        asker: Asker | None,
        question: Question,
        matches: Callable[[Any], bool] | None = None,
    ) -> Listing[Any]:
        """The answer to a question, or the copy of it."""
        if asker is None:
            return self._offline_copy(question, matches)
        try:
            walked = await asker.list(question)
        except VendorUnavailable as error:
            return self._fallback(question, matches, error)
        kept = Kept(
            at=self._wall(), items=walked.items, total=walked.total, complete=walked.complete
        )
        return self._fresh(question, kept)

    def _offline_copy(
        self, question: Question, matches: Callable[[Any], bool] | None
    ) -> Listing[Any]:
        copy = self._copy(question, matches)
        if copy is None:
            raise UsageError(
                f"there is no copy of this list ({question.key}) in the state folder"
                f"{self._whose}; ask for it once without --offline"
            )
        return copy

    def _fallback(
        self,
        question: Question,
        matches: Callable[[Any], bool] | None,
        error: VendorUnavailable,
    ) -> Listing[Any]:
        copy = self._copy(question, matches)
        if copy is None:
            raise VendorUnavailable(
                f"{error}. There is no copy of the list to show instead. Check the network and "
                "TOPVIEW_BASE_URL with: orchestrator doctor"
            ) from error
        return replace(copy, notes=(str(error), *copy.notes))

    def _copy(
        self, question: Question, matches: Callable[[Any], bool] | None
    ) -> Listing[Any] | None:
        """The kept answer to just this question, or the kept whole list, filtered here."""
        kept = self._copies.find(question.key)
        if kept is not None:
            return self._listing(kept)
        kept = self._copies.find(question.plain.key)
        if kept is None or matches is None:
            return None
        items = tuple(item for item in kept.items if matches(item))
        return replace(self._listing(kept), items=items, total=None)

    def _listing(self, kept: Kept) -> Listing[Any]:
        return Listing(
            items=kept.items,
            at=kept.at,
            age_s=max(0.0, self._wall() - kept.at),
            copy=True,
            total=kept.total,
            complete=kept.complete,
        )

    def _fresh(self, question: Question, kept: Kept) -> Listing[Any]:
        """What the vendor said just now; a copy that cannot be kept is worth a note only."""
        notes: tuple[str, ...] = ()
        try:
            self._copies.keep(question.key, kept)
        except StoreError as error:
            notes = (str(error),)
        return replace(self._listing(kept), copy=False, age_s=0.0, notes=notes)

    async def _balance(self, asker: Asker | None, *, with_log: bool) -> Credits:
        if asker is None and with_log:
            raise UsageError("the log of credits is not kept as a copy: leave out --offline")
        question = Question(kind="credits")
        if asker is None:
            return _credits(self._offline_copy(question, None))
        try:
            answer = await asker.balance()
        except VendorUnavailable as error:
            return _credits(self._fallback(question, None, error))
        return _credits(self._fresh(question, self._seen(answer)))

    def _seen(self, answer: Answer) -> Kept:
        balance = Balance(credits=remaining_credit(answer))
        return Kept(at=self._wall(), items=(balance,), total=1, complete=True)


def _credits(found: Listing[Balance]) -> Credits:
    balances: Sequence[Balance] = found.items
    return Credits(
        balance=balances[0].credits if balances else None,
        at=found.at,
        age_s=found.age_s,
        copy=found.copy,
        notes=found.notes,
    )


def _only(found: Listing[T], wanted: Callable[[T], bool]) -> Listing[T]:
    return replace(found, items=tuple(item for item in found.items if wanted(item)))
