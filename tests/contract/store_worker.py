"""Processes of their own for the store's tests: ``python store_worker.py ROLE DATABASE ...``.

Each prints one line when it is ready and waits for a line on its standard input, so that
several begin at the same instant; what it acknowledges it prints at once.
"""

from __future__ import annotations

import asyncio
import itertools
import resource
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from store_kit import NOW, World, event

from orchestrator.errors import StoreFull
from orchestrator.model import Event, EventKind, Job, State
from orchestrator.store.base import ClaimRefusal, Purse, SlotRule
from orchestrator.store.sqlite import SqliteStore, open_store

E = EventKind
PRICE = 2.0
BUDGET = 200.0


def say(*words: object) -> None:
    print(*words, flush=True)


def wait_for_start() -> None:
    say("ready")
    sys.stdin.readline()


async def the_world(store: SqliteStore) -> World:
    account = await store.account("one")
    batch = await store.open_batch("spring", account, Path("/project/jobs.yaml"), NOW)
    return World(store, account, batch.key)


async def opener(path: Path) -> None:
    """Open a store that may not be there yet, write to it, close it."""
    wait_for_start()
    store = await open_store(path)
    world = await the_world(store)
    say("account", world.account, "batch", world.batch)
    await store.close()


async def mover(path: Path) -> None:
    """Move every job to and fro for ever, all at once; acknowledge each move after it is made."""
    store = await open_store(path)
    world = await the_world(store)
    # A killed mover may have left all of them in either state.
    jobs = await store.pending(world.batch, 1_000) + await store.ready(world.batch, 1_000)
    wait_for_start()
    await asyncio.gather(*(_to_and_fro(store, job) for job in jobs))


async def _to_and_fro(store: SqliteStore, job: Job) -> None:
    for at in itertools.count(int(NOW)):
        kind = E.ASSETS_LIVE if job.state is State.PENDING else E.FILES_EXPIRED
        job = await store.move(job, event(kind, at=float(at)))
        say(job.job_id, job.version, job.state)


async def claimer(path: Path) -> None:
    """Claim every ready job with room for one."""
    store = await open_store(path)
    world = await the_world(store)
    jobs = await store.ready(world.batch, 100)
    wait_for_start()
    rule = SlotRule(in_flight=1, doubt_hold_s=600)
    for claim in await asyncio.gather(*(world.claim(job, rule=rule) for job in jobs)):
        say(claim.refusal or "claimed")
    await store.close()


async def spender(path: Path) -> None:
    """Claim every ready job, with credits for one and a half."""
    store = await open_store(path)
    world = await the_world(store)
    jobs = await store.ready(world.batch, 100)
    purse = Purse(run=await world.run(), expected=PRICE, batch_limit=1.5 * PRICE)
    wait_for_start()
    for claim in await asyncio.gather(*(world.claim(job, purse=purse) for job in jobs)):
        say(claim.refusal or "claimed")
    await store.close()


async def payer(path: Path) -> None:
    """Submit jobs one by one until the budget ends; the log charges now before, now after the
    answer. Tells each charge after it was kept."""
    store = await open_store(path)
    world = await the_world(store)
    jobs = await store.ready(world.batch, 1_000)
    purse = Purse(run=await world.run(), expected=PRICE, batch_limit=BUDGET)
    wait_for_start()
    for job in jobs:
        claim = await world.claim(job, purse=purse)
        if claim.refusal is ClaimRefusal.BUDGET:
            say("budget")
            break
        if claim.job is not None:
            await _pay(world, claim.job)
    await store.close()


async def _pay(world: World, job: Job) -> None:
    task = f"task-{job.job_id}"
    early = job.key % 2 == 0
    if early:
        await world.charge(task, PRICE)
    await world.store.move(job, event(E.SUBMIT_ACCEPTED, task=task))
    if not early:
        await world.charge(task, PRICE)
    say("paid", job.job_id)


async def filler(path: Path) -> None:
    """Fill the disk: no file may grow beyond two megabytes. Tells what was acknowledged."""
    store = await open_store(path)
    world = await the_world(store)
    [job] = await world.add("job")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    try:
        while True:
            told = Event(kind=E.ASSETS_LIVE, at=NOW, message="x" * 50_000)
            job = await store.move(job, told)
            job = await store.move(job, event(E.FILES_EXPIRED))
    except StoreFull as error:
        say(job.version, error)
    say((await world.job("job")).version)
    await store.close()


ROLES: dict[str, Callable[[Path], Awaitable[None]]] = {
    "opener": opener,
    "mover": mover,
    "claimer": claimer,
    "spender": spender,
    "payer": payer,
    "filler": filler,
}


if __name__ == "__main__":

    async def main() -> None:
        await ROLES[sys.argv[1]](Path(sys.argv[2]))

    asyncio.run(main())
