"""Avatars that jobs saved: found at the vendor in turn, kept over runs, given to their jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from operate_kit import MADE, Folder

from orchestrator.model import Answer, JobId
from orchestrator.saved import Saved, SavedAvatars, remember, saved_by_job
from orchestrator.store.base import BatchRow
from orchestrator.store.sqlite import SqliteStore

Place = tuple[SqliteStore, BatchRow]


def mine(job: str, avatar: str) -> Saved:
    return Saved(id=avatar, name=f"Face {avatar}", job=JobId(job))


class Vendor:
    """A vendor with a list of private avatars; every question needs a turn of its own."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.turns = 0

    async def turn(self) -> None:
        self.turns += 1

    async def avatars(self, filters: Mapping[str, str], page_no: int = 1) -> Answer:
        assert self.turns > 0, "asked out of turn"
        self.turns -= 1
        faces: list[dict[str, Any]] = [{"aiavatarId": i, "aiavatarName": "F"} for i in self.ids]
        return Answer(status=200, code="200", result={"total": len(faces), "data": faces})


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "state")


@pytest.fixture
async def place(folder: Folder) -> AsyncIterator[Place]:
    await folder.add("spring/keep")
    async with folder.store() as store:
        [batch] = await store.find_batches("spring")
        yield store, batch


async def test_avatars_of_several_runs_are_kept_side_by_side(place: Place) -> None:
    store, batch = place
    assert await saved_by_job(store, batch) == {}
    await remember(store, batch, [mine("keep", "a1")])
    await remember(store, batch, [])
    await remember(store, batch, [mine("more", "b2")])
    both = {"keep": mine("keep", "a1"), "more": mine("more", "b2")}
    assert await saved_by_job(store, batch) == both


async def test_of_a_job_that_saved_twice_the_last_avatar_counts(place: Place) -> None:
    store, batch = place
    await remember(store, batch, [mine("keep", "a1")])
    await remember(store, batch, [mine("keep", "a9")])
    assert await saved_by_job(store, batch) == {"keep": mine("keep", "a9")}


async def test_an_avatar_of_nobody_in_particular_is_given_to_no_job(place: Place) -> None:
    store, batch = place
    await remember(store, batch, [Saved(id="a1", name="", job=None)])
    assert await saved_by_job(store, batch) == {}


async def test_every_look_at_the_list_takes_its_turn(folder: Folder) -> None:
    vendor = Vendor()
    await folder.add("spring/keep")
    async with folder.store() as store:
        [batch] = await store.find_batches("spring")
        jobs = frozenset({JobId("made")})
        avatars = SavedAvatars(store, batch, vendor, jobs, vendor.turn)
        await avatars.look()
        await folder.add("spring/made", *MADE)
        vendor.ids.append("a1")
        saved, made = await avatars.found()
    assert ([s.id for s in saved], made, saved[0].job) == (["a1"], ("made",), "made")
    assert vendor.turns == 0
