"""Every place where a process can end, by name: one process stops there, the next one resumes.

The points are not listed by hand: they are every transition of ``core.state.TRANSITIONS`` (just
before and just after its commit), every method of the store that writes, and every method of the
vendor and the fetcher. A new one without a scene below fails here.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from crash_kit import CUT_OFF, QUICK, Act, World, sweep, world

from orchestrator.core.state import TRANSITIONS
from orchestrator.emulator.faults import Fault, fault
from orchestrator.engine.ports import Fetcher, Vendor
from orchestrator.media import receiving
from orchestrator.model import Event, EventKind, OnDoubt, State, TaskId
from orchestrator.store.base import AppStore, BatchRow

pytestmark = CUT_OFF
__all__ = ["sweep"]

E, S = EventKind, State
Change = Callable[[World], None]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What leads a job to the point.

    ``earlier``: crash points of the lives before (None: it runs to its end). ``operator``: the
    event that somebody applies to the job before the life that is to end at the point; ``change``:
    what becomes different before it. ``ends`` is the job's state when all is over, ``lost`` what it
    is if the life ended before the point's commit (None: the same).
    """

    job: str = "spoken"
    faults: tuple[Fault, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    earlier: tuple[str | None, ...] = ()
    before_that: EventKind | None = None
    operator: EventKind | None = None
    act: Act | None = None
    change: Change | None = None
    ends: State = S.DONE
    lost: State | None = None


def by_operator(kind: EventKind) -> Act:
    """Somebody applies an event to the first job; done once, it is not done again."""

    async def act(world: World, store: AppStore, batch: BatchRow) -> None:
        [(_, job)] = [f for f in await store.find_jobs("*") if f[1].job_id == "job"]
        await store.move(job, Event(kind=kind, at=1.0, reason="operator"))

    return act


def say_otherwise(world: World) -> None:
    """Another revision is wanted."""
    world.told("job", "Now it says something else.")


def elsewhere(world: World) -> None:
    """The video is wanted in another place."""
    world.change("job", output=world.folder / "elsewhere" / "job.mp4")


def delete_video(world: World) -> None:
    """Somebody deletes the finished video."""
    (world.folder / "out" / "job.mp4").unlink()


def in_doubt_without_task() -> dict[str, Any]:
    return {
        "faults": (fault("submit", "drop_before", nth=1),),
        "earlier": ("after commit submitting submit_unknown",),
    }


FAILED_RENDER = fault("task", "fail", limit=1)
FAILS: dict[str, Any] = {"faults": (FAILED_RENDER,), "earlier": (None,)}
NEVER_PLAYABLE = fault("download", "corrupt", limit=3)
UNKNOWN_TASK: dict[str, Any] = {
    "faults": (fault("query", "code", code="4004"),),
    "settings": {"task_deadline_s": 10.0},
}
CANCELLED: dict[str, Any] = {
    "earlier": ("after commit submitting submit_accepted", "after commit submitted cancelled"),
    "before_that": E.CANCELLED,
}

SCENES: dict[tuple[State, EventKind], Scene] = {
    (S.PENDING, E.ASSETS_LIVE): Scene(),
    (S.PENDING, E.UPLOAD_FAILED): Scene(
        faults=(fault("put", "status", status=413),), ends=S.FAILED
    ),
    (S.PENDING, E.REVISED): Scene(earlier=("before vendor.credential",), change=say_otherwise),
    (S.PENDING, E.CANCELLED): Scene(
        earlier=("before vendor.credential",), operator=E.CANCELLED, ends=S.CANCELLED, lost=S.DONE
    ),
    (S.READY, E.SUBMIT_INTENT): Scene(),
    (S.READY, E.FILES_EXPIRED): Scene(
        job="twins", faults=(fault("submit", "code", code="4004", nth=1),)
    ),
    (S.READY, E.REVISED): Scene(earlier=("before store.claim",), change=say_otherwise),
    (S.READY, E.CANCELLED): Scene(
        earlier=("before store.claim",), operator=E.CANCELLED, ends=S.CANCELLED, lost=S.DONE
    ),
    (S.SUBMITTING, E.SUBMIT_ACCEPTED): Scene(),
    (S.SUBMITTING, E.SUBMIT_REFUSED): Scene(
        faults=(fault("submit", "code", code="4003"),), ends=S.FAILED
    ),
    (S.SUBMITTING, E.SUBMIT_POSTPONED): Scene(
        faults=(fault("submit", "code", code="4007", nth=1),)
    ),
    (S.SUBMITTING, E.SUBMIT_FILE_UNKNOWN): Scene(
        faults=(fault("submit", "code", code="4004", nth=1),)
    ),
    (S.SUBMITTING, E.SUBMIT_UNKNOWN): Scene(faults=(fault("submit", "drop_after", nth=1),)),
    (S.SUBMITTING, E.SUBMIT_INTERRUPTED): Scene(earlier=("after vendor.submit",)),
    (S.IN_DOUBT, E.DOUBT_ADOPTED): Scene(faults=(fault("submit", "drop_after", nth=1),)),
    (S.IN_DOUBT, E.DOUBT_CLEARED): Scene(faults=(fault("submit", "drop_before", nth=1),)),
    (S.IN_DOUBT, E.DOUBT_DROPPED): Scene(
        **in_doubt_without_task(), operator=E.DOUBT_DROPPED, ends=S.FAILED, lost=S.DONE
    ),
    (S.IN_DOUBT, E.CANCELLED): Scene(
        **in_doubt_without_task(), operator=E.CANCELLED, ends=S.CANCELLED, lost=S.DONE
    ),
    (S.SUBMITTED, E.TASK_SUCCEEDED): Scene(),
    (S.SUBMITTED, E.TASK_OVERDUE): Scene(
        config={"render": "constant", "render_mean_s": 0.4},
        settings={"task_deadline_s": 0.05},
    ),
    (S.SUBMITTED, E.TASK_FAILED): Scene(faults=(fault("task", "fail"),), ends=S.FAILED),
    (S.SUBMITTED, E.TASK_LOST): Scene(**UNKNOWN_TASK, ends=S.FAILED),
    (S.SUBMITTED, E.RENDER_AGAIN): Scene(faults=(FAILED_RENDER,), settings={"retry_renders": 1}),
    (S.SUBMITTED, E.CANCELLED): Scene(
        earlier=("after commit submitting submit_accepted",),
        operator=E.CANCELLED,
        ends=S.CANCELLED,
        lost=S.DONE,
    ),
    (S.RENDERED, E.DOWNLOADED): Scene(),
    (S.RENDERED, E.DOWNLOAD_FAILED): Scene(faults=(fault("download", "corrupt"),), ends=S.FAILED),
    (S.DONE, E.RETRY_POLL): Scene(earlier=(None,), operator=E.RETRY_POLL),
    (S.DONE, E.RETRY_SUBMIT): Scene(earlier=(None,), operator=E.RETRY_SUBMIT),
    (S.DONE, E.RETRY_UPLOAD): Scene(earlier=(None,), operator=E.RETRY_UPLOAD),
    (S.DONE, E.REVISED): Scene(earlier=(None,), change=say_otherwise),
    (S.DONE, E.FILE_GONE): Scene(earlier=(None,), change=delete_video),
    (S.DONE, E.MOVED): Scene(earlier=(None,), change=elsewhere),
    (S.FAILED, E.RETRY_POLL): Scene(
        faults=(NEVER_PLAYABLE,), earlier=(None,), operator=E.RETRY_POLL, lost=S.FAILED
    ),
    (S.FAILED, E.RETRY_SUBMIT): Scene(**FAILS, operator=E.RETRY_SUBMIT, lost=S.FAILED),
    (S.FAILED, E.RETRY_UPLOAD): Scene(**FAILS, operator=E.RETRY_UPLOAD, lost=S.FAILED),
    (S.FAILED, E.REVISED): Scene(**FAILS, change=say_otherwise),
    (S.CANCELLED, E.RETRY_POLL): Scene(**CANCELLED, operator=E.RETRY_POLL, lost=S.CANCELLED),
    (S.CANCELLED, E.RETRY_SUBMIT): Scene(**CANCELLED, operator=E.RETRY_SUBMIT, lost=S.CANCELLED),
    (S.CANCELLED, E.RETRY_UPLOAD): Scene(**CANCELLED, operator=E.RETRY_UPLOAD, lost=S.CANCELLED),
    (S.CANCELLED, E.REVISED): Scene(**CANCELLED, change=say_otherwise),
    (S.CANCELLED, E.TASK_SUCCEEDED): Scene(**CANCELLED, ends=S.CANCELLED),
    (S.CANCELLED, E.TASK_OVERDUE): Scene(
        **CANCELLED,
        config={"render": "constant", "render_mean_s": 1.0},
        settings={"task_deadline_s": 0.05},
        ends=S.CANCELLED,
    ),
    (S.CANCELLED, E.TASK_FAILED): Scene(
        **CANCELLED, faults=(fault("task", "fail"),), ends=S.CANCELLED
    ),
    (S.CANCELLED, E.TASK_LOST): Scene(**CANCELLED, **UNKNOWN_TASK, ends=S.CANCELLED),
}
"""How to come to each transition; the point itself is in the parameters of the test."""

PAIRS = [(state, event) for state, row in TRANSITIONS.items() for event in row]


async def play(folder: Path, scene: Scene, point: str) -> None:
    """Earlier lives, the life that ends at the point, and all that it takes to come to rest."""
    async with world(folder, *scene.faults, **scene.config) as there:
        there.set(**scene.settings)
        cast_jobs(there, scene.job)
        for number, crash_at in enumerate(scene.earlier):
            last = number == len(scene.earlier) - 1
            act = by_operator(scene.before_that) if last and scene.before_that else None
            outcome = await there.live(crash_at, act)
            assert (outcome is None) is (crash_at is not None), f"{crash_at} was not passed"
        if scene.change is not None:
            scene.change(there)
        act = by_operator(scene.operator) if scene.operator else scene.act
        assert await there.live(point, act) is None, f"{point} was not passed"
        await there.finish()
        lost = point.startswith("before") and scene.lost is not None
        wanted = scene.lost if lost else scene.ends
        assert set(await there.states()) == {wanted}, await there.history("job")
        await there.check()


def cast_jobs(there: World, kind: str) -> None:
    match kind:
        case "told":
            there.told("job")
        case "twins":
            there.spoken("job")
            there.spoken("twin", avatar="9001")
        case _:
            there.spoken("job")


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(("state", "event"), PAIRS, ids=[f"{s}-{e}" for s, e in PAIRS])
async def test_a_process_may_end_at_the_commit_of_every_transition(
    tmp_path: Path, state: State, event: EventKind, side: str
) -> None:
    assert (state, event) in SCENES, "a transition without a scene: add one"
    await play(tmp_path, SCENES[state, event], f"{side} commit {state} {event}")


READS = frozenset(
    {
        *("pending", "ready", "rendered", "submitted", "assets", "counts", "startable"),
        *("slots_used", "unsettled", "in_doubt_since", "owned", "unclaimed", "strangers"),
        *("log_read_at", "spent", "costs", "events", "find_account", "find_batches"),
        *("batches", "known", "file_facts", "last_run", "job_rows", "find_jobs", "attempts"),
        *("find_task", "strays", "fact", "known_besides", "uncharged_since"),
    }
)
"""Methods of the store that change nothing."""

LOST_REPLY = Scene(faults=(fault("submit", "drop_after", nth=1),))


async def hear_a_notice(world: World, store: AppStore, batch: BatchRow) -> None:
    """The vendor's notice names the task of the job in doubt."""
    [unsettled] = await store.unsettled(batch.account)
    [task] = world.tasks()
    token, task_id = unsettled.attempt.token, TaskId(task.task_id)
    assert await store.notice(batch.account, token, task_id, 1.0)


EFFECTS: dict[str, Scene] = {
    "store.account": Scene(),
    "store.open_batch": Scene(),
    "store.remember_files": Scene(),
    "store.begin_run": Scene(),
    "store.apply_plan": Scene(),
    "store.recover": Scene(earlier=("after vendor.submit",)),
    "store.reserve": Scene(),
    "store.asset_uploaded": Scene(),
    "store.claim": Scene(),
    "store.move": Scene(),
    "store.forget_files": Scene(faults=(fault("submit", "code", code="4004", nth=1),)),
    "store.notice": Scene(
        faults=(fault("submit", "drop_after", nth=1), fault("credit_logs", "status", first=3)),
        settings={"doubt_horizon_s": 10.0},
        earlier=("after commit submitting submit_unknown",),
        act=hear_a_notice,
    ),
    "store.remember_charges": LOST_REPLY,
    "store.remember_stranger": LOST_REPLY,
    "store.log_read": LOST_REPLY,
    "store.set_fact": Scene(),
    "store.swap_fact": Scene(
        settings={"limits": replace(QUICK, in_flight=None)},
        faults=(fault("submit", "code", code="4007", nth=1),),
    ),
    "store.end_run": Scene(),
    "vendor.credit_detail": Scene(),
    "vendor.credential": Scene(),
    "vendor.put": Scene(),
    "vendor.check": Scene(),
    "vendor.submit": Scene(),
    "vendor.query": Scene(),
    "vendor.credit_logs": LOST_REPLY,
    "fetcher.fetch": Scene(),
}
"""How to come to each call that has an effect in the store or outside."""


def methods(of: type) -> list[str]:
    """Coroutine methods of a Protocol, inherited ones included."""
    found = inspect.getmembers(of, inspect.iscoroutinefunction)
    return [name for name, _ in found if not name.startswith("_")]


CALLS = [
    *(f"store.{m}" for m in methods(AppStore) if m not in READS and m != "close"),
    *(f"vendor.{m}" for m in methods(Vendor)),
    *(f"fetcher.{m}" for m in methods(Fetcher)),
]


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_process_may_end_before_and_after_every_call_with_an_effect(
    tmp_path: Path, call: str, side: str
) -> None:
    assert call in EFFECTS, "a call without a scene: add one, or name it among the reads"
    await play(tmp_path, EFFECTS[call], f"{side} {call}")


# --- in the middle of an effect, several times in a row, and with `on_doubt: hold`


async def test_a_process_may_end_while_the_vendors_reply_is_on_its_way(tmp_path: Path) -> None:
    async with world(tmp_path, fault("submit", "stall", nth=1)) as there:
        there.spoken("job")
        assert await there.live(crash_when=lambda: bool(there.tasks())) is None
        await there.finish()
        assert await there.states() == [S.DONE]
        assert len(there.tasks()) == 1
        await there.check()


async def test_a_process_may_end_while_an_upload_is_on_its_way(tmp_path: Path) -> None:
    async with world(tmp_path, fault("put", "stall", nth=1)) as there:
        there.spoken("job")
        assert await there.live(crash_when=lambda: bool(there.emulator.audit().uploads)) is None
        await there.finish()
        assert await there.states() == [S.DONE]
        assert list(there.emulator.audit().uploads.values()) == [2]
        await there.check()


async def test_a_process_may_end_in_mid_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_WRITE_BYTES", 1000)  # the emulator's videos are small
    crawl = fault("download", "slow_bytes", nth=1, interval_s=0.001)
    async with world(tmp_path, crawl) as there:
        there.spoken("job")
        out = tmp_path / "out"
        assert await there.live(crash_when=lambda: any(out.glob(".*.part"))) is None
        await there.finish()
        assert await there.states() == [S.DONE]
        await there.check()


POINTS = [
    *(f"{side} commit {state} {event}" for state, event in PAIRS for side in ("before", "after")),
    *(f"{side} {call}" for call in CALLS for side in ("before", "after")),
]


@pytest.mark.parametrize("seed", range(6))
async def test_deaths_in_a_row_make_nothing_twice_and_lose_nothing(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    lost = [
        fault("submit", "drop_after", probability=0.2),
        fault("submit", "drop_before", probability=0.2),
        fault("query", "status", status=503, probability=0.1),
    ]
    async with world(tmp_path, *lost) as there:
        for n in range(4):
            there.spoken(f"s{n}", pitch=300.0 + 10 * n)
        there.told("text")
        for _ in range(6):
            await there.live(rng.choice(POINTS))
        await there.finish()
        assert set(await there.states()) <= {S.DONE, S.IN_DOUBT}
        assert len(there.tasks()) <= 5
        await there.check()


@pytest.mark.parametrize(
    ("point", "made"),
    [
        ("after commit ready submit_intent", False),
        ("before vendor.submit", False),
        ("after vendor.submit", True),
        ("before commit submitting submit_accepted", True),
        ("after commit submitting submit_accepted", True),
    ],
)
@pytest.mark.parametrize("kind", ["spoken", "told"])
async def test_with_hold_a_job_is_done_or_in_doubt_for_a_reason(
    tmp_path: Path, kind: str, point: str, made: bool
) -> None:
    async with world(tmp_path) as there:
        there.set(on_doubt=OnDoubt.HOLD)
        cast_jobs(there, kind)
        assert await there.live(point) is None
        await there.finish()
        assert await there.states() == [S.DONE if made else S.IN_DOUBT]
        assert len(there.tasks()) == int(made)
        [row] = await there.rows()
        assert row.state is S.DONE or row.reason == "interrupted"
        await there.check()


def test_every_scene_is_about_something_that_exists() -> None:
    assert set(SCENES) == set(PAIRS)
    assert set(EFFECTS) == set(CALLS)
    assert set(methods(AppStore)) >= READS
