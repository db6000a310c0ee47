"""The webhook receiver under floods, slow senders and a slow store: the good get through."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from itertools import cycle, islice

from emulator_support import eventually
from webhook_kit import (
    FORGED,
    PLACE,
    TOKEN,
    Book,
    ask,
    connect,
    hearing,
    notice,
    request,
    status,
)

from orchestrator.web.receiver import HeardNotice, Receiver

BAD = (
    request(notice(), path=f"/hook/{FORGED}"),
    request(notice(), Topview_Uid="somebody-else"),
    request(b"garbage"),
    request(method="GET", path="/"),
    b"\x16\x03\x01 no HTTP at all\r\n\r\n",
)
"""Bad requests; each is answered with 400 or 404."""


async def flood(receiver: Receiver, count: int, at_once: int = 200) -> list[int]:
    """Statuses of so many bad requests, sent over many connections at once."""
    left = iter(list(islice(cycle(BAD), count)))
    statuses: list[int] = []

    async def worker() -> None:
        for sent in left:
            statuses.append(status(await ask(receiver, sent)))

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return statuses


async def test_a_good_notice_gets_through_a_flood_and_all_of_the_flood_is_answered() -> None:
    most = 0
    under_way = asyncio.Event()

    class Watching(Book):
        async def keep(self, notice: HeardNotice) -> bool:
            nonlocal most
            most = max(most, receiver.connections)
            if self.asked == 200:
                under_way.set()
            return await super().keep(notice)

    async with hearing(book := Watching(), room=64) as receiver, asyncio.timeout(30):
        flooding = asyncio.create_task(flood(receiver, 2_000))
        await under_way.wait()
        good = status(await ask(receiver, request(notice())))
        in_mid_flood = not flooding.done()
        statuses = await flooding
    assert (good, in_mid_flood) == (200, True)
    assert len(book.heard) == 1
    assert (len(statuses), set(statuses)) == (2_000, {400, 404})
    assert 1 <= most <= 64


async def test_a_flood_leaves_nothing_behind() -> None:
    async with hearing(Book()) as receiver, asyncio.timeout(30):
        await flood(receiver, 100, at_once=20)
        tasks = len(asyncio.all_tasks())
        tracemalloc.start()
        try:
            await flood(receiver, 100, at_once=20)
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            await flood(receiver, 500, at_once=20)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        async def quiet() -> bool:
            return receiver.connections == 0 and len(asyncio.all_tasks()) <= tasks

        await eventually(quiet)
    assert after - before < 100_000


async def test_a_body_that_does_not_come_is_given_up() -> None:
    async with hearing(book := Book(), patience_s=0.1) as receiver, asyncio.timeout(5):
        assert status(await ask(receiver, request(notice())[:-1])) == 408
    assert book.asked == 0


async def test_a_body_that_trickles_is_given_up() -> None:
    async with hearing(book := Book(), patience_s=0.2) as receiver, asyncio.timeout(5):
        reader, writer = await connect(receiver)
        replied = asyncio.create_task(reader.read())
        sent = 0
        for byte in request(notice()):
            writer.write(bytes([byte]))
            sent += 1
            if (await asyncio.wait({replied}, timeout=0.02))[0]:
                break
        assert replied.done()
        assert sent < len(request(notice()))
        await asyncio.gather(replied, return_exceptions=True)  # a byte too late resets it
        writer.close()
    assert book.asked == 0


async def test_a_head_that_does_not_end_is_given_up() -> None:
    async with hearing(Book(), patience_s=0.1) as receiver, asyncio.timeout(5):
        assert await ask(receiver, f"POST {PLACE} HTTP/1.1\r\nHost:".encode()) == b""
        assert await ask(receiver, b"") == b""


async def test_a_sender_that_hangs_up_in_mid_body_harms_nobody() -> None:
    async with hearing(book := Book()) as receiver, asyncio.timeout(5):
        for _ in range(20):
            _, writer = await connect(receiver)
            writer.write(request(notice())[:-5])
            await writer.drain()
            writer.transport.abort()
        assert status(await ask(receiver, request(notice()))) == 200
    assert len(book.heard) == 1


async def test_silent_connections_that_take_all_room_lose_it() -> None:
    async with hearing(Book(), room=8) as receiver, asyncio.timeout(5):
        silent = [await connect(receiver) for _ in range(10)]
        assert status(await ask(receiver, request(notice()))) == 200
        assert receiver.connections <= 8
        for _, writer in silent:
            writer.close()


async def test_a_notice_that_is_being_kept_does_not_lose_its_place() -> None:
    begun, enough = asyncio.Event(), asyncio.Event()

    class Slow(Book):
        async def keep(self, notice: HeardNotice) -> bool:
            self.asked += 1
            if self.asked == 1:
                begun.set()
                await enough.wait()
            return True

    async with hearing(Slow(), room=2) as receiver, asyncio.timeout(5):
        first = asyncio.create_task(ask(receiver, request(notice())))
        await begun.wait()
        _, silent = await connect(receiver)
        assert status(await ask(receiver, request(notice()))) == 200
        enough.set()
        assert status(await first) == 200
        silent.close()


async def test_a_stuck_store_lets_no_work_pile_up() -> None:
    """Senders that hang up do not make room for more as long as their notices are unkept."""
    enough = asyncio.Event()

    class Stuck(Book):
        async def keep(self, notice: HeardNotice) -> bool:
            self.asked += 1
            await enough.wait()
            return True

    stuck = Stuck()
    async with hearing(stuck, room=4, patience_s=0.05) as receiver, asyncio.timeout(10):
        for _ in range(20):
            _, writer = await connect(receiver)
            writer.write(request(notice()))
            await asyncio.sleep(0.01)
            writer.close()

        async def full() -> bool:
            return stuck.asked >= 4

        await eventually(full)
        assert (stuck.asked, receiver.connections) == (4, 4)
        enough.set()
        assert status(await ask(receiver, request(notice()))) == 200


async def test_stop_lets_a_notice_in_work_end_and_cuts_the_silent() -> None:
    begun = asyncio.Event()

    class Slow(Book):
        async def keep(self, notice: HeardNotice) -> bool:
            begun.set()
            await asyncio.sleep(0.1)
            return await super().keep(notice)

    async with hearing(book := Slow()) as receiver, asyncio.timeout(10):
        reader, writer = await connect(receiver)
        asking = asyncio.create_task(ask(receiver, request(notice())))
        await begun.wait()
        await receiver.stop()
        assert status(await asking) == 200
        assert await reader.read() == b""
        writer.close()
    assert [one.token for one in book.heard] == [TOKEN]


async def test_pipelined_requests_get_one_answer_and_the_door() -> None:
    async with hearing(book := Book()) as receiver, asyncio.timeout(5):
        reply = await ask(receiver, request(notice()) * 50)
    assert reply.count(b"HTTP/1.1 ") <= 1
    assert len(book.heard) == 1
