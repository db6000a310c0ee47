"""Notices at the end of a task: what is posted, how often, and what counts as taken."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from emulator_support import FakeClock, eventually, running

from orchestrator.emulator.faults import Fault, fault
from orchestrator.emulator.server import Emulator

TAKEN = {"code": "200", "message": "Success", "result": {"result": "success"}}


@dataclass
class Receiver:
    """A client's address. ``replies`` are given in turn, the last one for ever."""

    replies: list[dict[str, Any]]
    status: int = 200
    url: str = ""
    seen: list[tuple[dict[str, Any], str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((await request.json(), request.headers["Topview-Uid"]))
        reply = self.replies[min(len(self.seen), len(self.replies)) - 1]
        return web.json_response(reply, status=self.status)


@asynccontextmanager
async def receiver(*replies: dict[str, Any], status: int = 200) -> AsyncIterator[Receiver]:
    found = Receiver(list(replies) or [TAKEN], status)
    app = web.Application()
    app.router.add_post("/hook", found.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield found
    finally:
        await runner.cleanup()


async def until(emulator: Emulator, done: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    """The webhook figures of the audit, once they look right."""

    async def looks_right() -> bool:
        return done(emulator.audit().webhooks)

    await eventually(looks_right)
    return emulator.audit().webhooks


async def test_one_notice_tells_the_end_with_the_querys_result(tmp_path: Path) -> None:
    async with receiver() as hook, running(tmp_path) as (emulator, client):
        reply = (await client.submit(noticeUrl=hook.url))["result"]
        await until(emulator, lambda w: w.get("taken", 0) == 1)
        query = await client.query(reply["taskId"])
    ((body, uid),) = hook.seen
    link = body["result"].pop("outputVideoUrl")
    query.pop("outputVideoUrl")
    assert uid == "some-uid"
    assert body == {
        "uuid": reply["noticeUuid"],
        "bizType": "ZERO_SHOT_AVATAR",
        "taskId": reply["taskId"],
        "status": "success",
        "errorMsg": None,
        "result": query,
    }
    assert link.startswith("http://127.0.0.1:")


async def test_a_failed_task_is_told_with_its_reason(tmp_path: Path) -> None:
    rule = fault("task", "fail", message="no face found")
    async with receiver() as hook, running(tmp_path, rule) as (emulator, client):
        await client.task(noticeUrl=hook.url)
        await until(emulator, lambda w: w.get("taken", 0) == 1)
    body = hook.seen[0][0]
    assert (body["status"], body["errorMsg"]) == ("fail", "no face found")


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"code": "500", "result": {"result": "success"}},
        {"code": "200", "result": {"result": "fail"}},
        {"code": "200", "result": "success"},
    ],
)
async def test_a_notice_that_is_not_taken_is_tried_three_times(
    tmp_path: Path, reply: dict[str, Any]
) -> None:
    async with (
        receiver(reply) as hook,
        running(tmp_path, webhook_pause_s=0.0) as (emulator, client),
    ):
        await client.task(noticeUrl=hook.url)
        figures = await until(emulator, lambda w: w.get("given_up", 0) == 1)
    assert (figures, len(hook.seen)) == ({"sent": 3, "given_up": 1}, 3)


@pytest.mark.parametrize("status", [404, 500, 307])
async def test_an_http_error_is_not_taken(tmp_path: Path, status: int) -> None:
    async with (
        receiver(status=status) as hook,
        running(tmp_path, webhook_pause_s=0.0, webhook_tries=1) as (emulator, client),
    ):
        await client.task(noticeUrl=hook.url)
        assert await until(emulator, lambda w: "given_up" in w) == {"sent": 1, "given_up": 1}


async def test_a_second_try_is_enough(tmp_path: Path) -> None:
    async with (
        receiver({"code": "5000"}, TAKEN) as hook,
        running(tmp_path, webhook_pause_s=0.0) as (emulator, client),
    ):
        await client.task(noticeUrl=hook.url)
        figures = await until(emulator, lambda w: "taken" in w)
    assert figures == {"sent": 2, "taken": 1}


async def test_an_address_where_nobody_listens_harms_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, webhook_pause_s=0.0) as (emulator, client):
        task = await client.task(noticeUrl="http://127.0.0.1:9/hook")
        await until(emulator, lambda w: "given_up" in w)
        assert (await client.query(task))["status"] == "success"


@pytest.mark.parametrize(
    ("rules", "settings", "posts"),
    [
        ([fault("webhook", "duplicate")], {}, 2),
        ([], {"webhooks": "twice"}, 2),
        ([fault("webhook", "late", delay_s=0.1)], {}, 1),
    ],
)
async def test_notices_may_come_twice_or_late(
    tmp_path: Path, rules: list[Fault], settings: dict[str, Any], posts: int
) -> None:
    async with receiver() as hook, running(tmp_path, *rules, **settings) as (emulator, client):
        await client.task(noticeUrl=hook.url)
        await until(emulator, lambda w: w.get("taken", 0) == posts)
    assert len({json.dumps(body["uuid"]) for body, _ in hook.seen}) == 1


@pytest.mark.parametrize(
    ("rules", "settings"),
    [([fault("webhook", "never", match={"text": "silent"})], {}), ([], {"webhooks": "never"})],
)
async def test_a_notice_may_never_come(
    tmp_path: Path, rules: list[Fault], settings: dict[str, Any]
) -> None:
    async with receiver() as hook, running(tmp_path, *rules, **settings) as (emulator, client):
        await client.task(ttsText="silent", noticeUrl=hook.url)
        if not settings:
            await client.task(ttsText="loud", noticeUrl=hook.url)
            await until(emulator, lambda w: "taken" in w)
    assert len(hook.seen) == (0 if settings else 1)


@pytest.mark.parametrize(
    ("rules", "settings"),
    [([fault("webhook", "string_result")], {}), ([], {"webhook_result": "string"})],
)
async def test_the_result_may_be_a_text(
    tmp_path: Path, rules: list[Fault], settings: dict[str, Any]
) -> None:
    async with receiver() as hook, running(tmp_path, *rules, **settings) as (emulator, client):
        task = await client.task(noticeUrl=hook.url)
        await until(emulator, lambda w: "taken" in w)
    assert json.loads(hook.seen[0][0]["result"])["taskId"] == task


async def test_a_notice_that_was_owed_is_sent_after_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    async with receiver() as hook:
        async with running(tmp_path, clock=clock, render="constant") as (_, client):
            task = await client.task(noticeUrl=hook.url)
        clock.pass_s(500)
        async with running(tmp_path, clock=clock) as (emulator, _):
            await until(emulator, lambda w: "taken" in w)
    assert [body["taskId"] for body, _ in hook.seen] == [task]
