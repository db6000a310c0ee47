"""What the three listeners share: the world, the faults, the witness, and the way of a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from orchestrator.emulator.audit import Witness
from orchestrator.emulator.config import EmulatorConfig
from orchestrator.emulator.faultplan import FaultPlan, Subject
from orchestrator.emulator.faults import Fault
from orchestrator.emulator.mischief import Stage, misbehave
from orchestrator.emulator.replies import Reply, send
from orchestrator.emulator.store import Store, insert
from orchestrator.emulator.studio import Studio
from orchestrator.emulator.tasks import Task
from orchestrator.emulator.world import World

_API_HEADERS = ("Topview-Uid", "Authorization")


@dataclass(slots=True, kw_only=True)
class Desk:
    """One emulator's parts. ``now`` is the vendor's clock in Unix seconds; ``store_url`` and
    ``cdn_url`` are known once the listeners stand. ``started_at``: when this process began."""

    config: EmulatorConfig
    world: World
    store: Store
    studio: Studio
    witness: Witness
    plan: FaultPlan
    now: Callable[[], float]
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    store_url: str = ""
    cdn_url: str = ""
    started_at: float = 0.0

    def fault(self, endpoint: str, subject: Subject) -> Fault | None:
        """The fault this request meets, counted."""
        elapsed_s = (self.now() - self.started_at) * self.config.time_scale
        found = self.plan.pick(endpoint, subject, elapsed_s)
        for key in self.plan.changed:
            count = self.plan.counts[key]
            self.store.note(insert("fault_counts", key=key, seen=count.seen, fired=count.fired))
        self.plan.changed.clear()
        if found is not None:
            self.witness.add(f"fault:{found.do}@{endpoint}")
        return found

    async def answer(
        self,
        request: web.Request,
        endpoint: str,
        act: Callable[[], Awaitable[Reply]],
        fault: Fault | None,
    ) -> web.StreamResponse:
        """Act and reply, or let the fault spoil it."""
        if fault is not None:
            stage = Stage(
                request=request, endpoint=endpoint, act=act, now=self.now, closing=self.closing
            )
            return await misbehave(stage, fault)
        return await send(request, await act(), self.now())

    def look_for_leaks(self, request: web.Request, listener: str) -> None:
        """Note API headers that came to the object store or the CDN."""
        for header in _API_HEADERS:
            if header in request.headers:
                self.witness.leak(self.now(), listener, request.method, request.path, header)

    def subject_of(self, task: Task) -> Subject:
        """A task as faults see it."""
        content = task.content
        hashes = (content.get(k) for k in ("videoHash", "imageHash", "audioHash"))
        files = (task.body.get(k) for k in ("videoFileId", "imageFileId", "audioFileId"))
        return Subject(
            key=task.task_id,
            text=task.text,
            hashes=tuple(h for h in hashes if h),
            task=task.task_id,
            files=tuple(f for f in files if f),
            avatar=str(task.body.get("aiAvatarId", "")),
            ready=self.world.status(task, self.now()) == "success",
        )
