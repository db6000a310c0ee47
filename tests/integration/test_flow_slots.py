"""How many slots the account has is found out from the vendor's own answers, on real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator_support import eventually, running

from orchestrator import Orchestrator, RunOptions
from orchestrator.core.slots import Surplus
from orchestrator.engine.flow import DURATIONS, SLOTS
from orchestrator.store.sqlite import open_store

QUICK = {"submit_rate": "200/s", "request_rate": "400/s", "poll_interval": "50ms"}
RENDERS = {
    "render": "lognormal",
    "render_mean_s": 40.0,
    "render_sigma": 0.2,
    "render_min_s": 0.0,
    "time_scale": 100.0,
    "slots": 5,
}
"""Renders of 0.4 s on average."""


def write(folder: Path, count: int, *, batch: str = "trial", **limits: Any) -> Path:
    """A manifest of so many texts on a public avatar."""
    jobs = [
        {"id": f"j{i}", "avatar": {"public": "3327"}, "audio": {"text": f"{batch} {i}"}}
        for i in range(count)
    ]
    path = folder / f"{batch}.yaml"
    document = {"version": 1, "batch": batch, "limits": QUICK | limits, "jobs": jobs}
    path.write_text(json.dumps(document | {"verify": "length"}))
    return path


async def run(manifest: Path, env: Mapping[str, str]) -> None:
    """Run to the end; every job has to be done."""
    state = manifest.parent / "state"
    view = await Orchestrator(state, env=env).run(manifest, RunOptions())
    assert view.exit_code == 0


async def facts(folder: Path, *names: str) -> list[Any]:
    """What is remembered of the only account."""
    store = await open_store(folder / "state" / "state.db")
    [account, *_] = {batch.account for batch in await store.batches()}
    found = [await store.fact(account, name) for name in names]
    await store.close()
    return found


async def test_a_vendor_that_refuses_shows_its_cap_and_is_knocked_at_in_the_next_run(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "vendor", over_slots="refuse", **RENDERS) as (emulator, _):
        await run(write(tmp_path, 24), emulator.environment)
        [slots, durations] = await facts(tmp_path, SLOTS, DURATIONS)
        assert (slots["cap"], slots["surplus"]) == (5, Surplus.REFUSED)
        assert 12 <= len(durations["kinds"]["any"]) <= 24
        before = emulator.audit()
        await run(write(tmp_path, 24, batch="again"), emulator.environment)
        after = emulator.audit()
        assert after.unfinished_peak == 5
        assert after.accepted == 48
        assert after.refused["4007"] > before.refused["4007"] > 0
        assert (await facts(tmp_path, SLOTS))[0]["cap"] == 5


async def test_a_vendor_that_queues_shows_its_cap_without_a_refusal(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor", over_slots="queue", **RENDERS) as (emulator, _):
        await run(write(tmp_path, 30), emulator.environment)
        [slots] = await facts(tmp_path, SLOTS)
        assert slots["surplus"] == Surplus.QUEUED
        assert slots["limit"] == slots["cap"] + 2
        assert 4 <= slots["cap"] <= 6
        assert emulator.audit().refused == {}
        assert emulator.audit().unfinished_peak <= 13


async def test_tasks_that_say_init_for_long_though_they_have_their_slots_hide_no_slot(
    tmp_path: Path,
) -> None:
    """A tenth of their time they say `init`, which is ten poll intervals."""
    slow = {"render": "constant", "render_mean_s": 1.0, "slots": 6}
    async with running(tmp_path / "vendor", over_slots="refuse", **slow) as (emulator, _):
        manifest = write(tmp_path, 24, poll_interval="10ms")
        await run(manifest, emulator.environment)
        assert (await facts(tmp_path, SLOTS))[0]["cap"] == 6
        assert emulator.audit().unfinished_peak == 6


async def test_a_number_is_never_exceeded_and_knows_no_knocks(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor", over_slots="refuse", **RENDERS) as (emulator, _):
        await run(write(tmp_path, 14), emulator.environment)
        before = emulator.audit().refused
        assert (await facts(tmp_path, SLOTS))[0]["cap"] == 5
        await run(write(tmp_path, 10, batch="told", in_flight=5), emulator.environment)
        assert emulator.audit().refused == before


async def test_a_number_below_the_cap_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor", over_slots="refuse", **RENDERS) as (emulator, _):
        await run(write(tmp_path, 9, in_flight=3), emulator.environment)
        assert emulator.audit().unfinished_peak == 3
        assert emulator.audit().refused == {}


async def test_where_another_run_has_a_number_it_bounds_both(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor", over_slots="refuse", **RENDERS) as (emulator, _):
        told = write(tmp_path, 6, batch="told", in_flight=1)
        free = write(tmp_path, 3, batch="free")
        first = asyncio.create_task(run(told, emulator.environment))

        async def begun() -> bool:
            return emulator.audit().accepted > 0

        await eventually(begun)
        second = asyncio.create_task(run(free, emulator.environment))
        await first
        assert emulator.audit().unfinished_peak == 1
        await second
        assert emulator.audit().duplicate_tasks == 0


async def test_two_runs_share_what_is_found_out_and_keep_to_it(tmp_path: Path) -> None:
    async with running(tmp_path / "vendor", over_slots="refuse", **RENDERS) as (emulator, _):
        batches = [write(tmp_path, 24, batch=name) for name in ("one", "two")]
        await asyncio.gather(*(run(path, emulator.environment) for path in batches))
        audit = emulator.audit()
        assert audit.accepted == 48
        assert audit.duplicate_tasks == 0
        assert audit.unfinished_peak == 5
        assert audit.refused["4007"] > 0
        assert 1 <= (await facts(tmp_path, SLOTS))[0]["cap"] <= 5
