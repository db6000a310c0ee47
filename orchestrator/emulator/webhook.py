"""Notices to the client's address when a task has ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp

from orchestrator.emulator.desk import Desk
from orchestrator.emulator.endpoints import task_view
from orchestrator.emulator.faults import Fault
from orchestrator.emulator.store import update
from orchestrator.emulator.tasks import Task
from orchestrator.emulator.video import Unusable

BIZ_TYPE = "ZERO_SHOT_AVATAR"
_LARGEST_REPLY = 64 * 1024


class Notifier:
    """Sends one notice per ended task that asked for one, and tries again where it is not
    taken. Owns its tasks; ``close`` ends them (they go on after the next start)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._running: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def announce(self, task: Task) -> None:
        """Begin to deliver a task's notice; nothing happens for a task without an address."""
        if task.notice_uuid is None or task.notified:
            return
        running = asyncio.create_task(self._deliver(task))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Stop delivering."""
        for running in tuple(self._running):
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _deliver(self, task: Task) -> None:
        desk = self._desk
        fault = desk.fault("webhook", desk.subject_of(task))
        kind = fault.do if fault else ""
        if fault is not None and kind == "late":
            await self._pause(desk.config.scaled(fault.delay_s))
        if kind != "never" and desk.config.webhooks != "never":
            twice = kind == "duplicate" or desk.config.webhooks == "twice"
            for _ in range(2 if twice else 1):
                await self._try(task, fault)
        task.notified = True
        desk.store.note(update("tasks", "number", task.number, notified=1))

    async def _try(self, task: Task, fault: Fault | None) -> None:
        desk, config = self._desk, self._desk.config
        for attempt in range(config.webhook_tries):
            if attempt:
                await self._pause(config.scaled(config.webhook_pause_s))
            desk.witness.add("webhook:sent")
            if await self._post(task, await self._body(task, fault)):
                desk.witness.add("webhook:taken")
                return
        desk.witness.add("webhook:given_up")

    async def _body(self, task: Task, fault: Fault | None) -> dict[str, Any]:
        desk = self._desk
        status = desk.world.status(task, desk.now())
        if status == "success":
            try:
                await desk.studio.make(desk.world.recipe(task))
            except Unusable as error:
                desk.world.fail_late(task, str(error))
                status = desk.world.status(task, desk.now())
        result: Any = task_view(desk, task, status)
        as_text = fault is not None and fault.do == "string_result"
        if as_text or desk.config.webhook_result == "string":
            result = json.dumps(result)
        return {
            "uuid": task.notice_uuid,
            "bizType": BIZ_TYPE,
            "taskId": task.task_id,
            "status": status,
            "errorMsg": task.error if task.failed else None,
            "result": result,
        }

    async def _post(self, task: Task, body: Mapping[str, Any]) -> bool:
        """One POST; whether it was taken as the contract asks."""
        timeout = aiohttp.ClientTimeout(total=self._desk.config.webhook_timeout_s)
        headers = {"Topview-Uid": task.uid}
        url = str(task.body["noticeUrl"])
        try:
            async with self._client().post(
                url, json=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return response.status == 200 and _taken(
                    await response.content.read(_LARGEST_REPLY)
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._desk.closing.wait(), seconds)


def _taken(data: bytes) -> bool:
    reply = json.loads(data)
    result = reply.get("result") if isinstance(reply, dict) else None
    inner = result.get("result") if isinstance(result, dict) else None
    return isinstance(reply, dict) and str(reply.get("code")) == "200" and inner == "success"
