"""The API listener: who may ask, how fast, what goes wrong, and the envelope around it all."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import partial
from typing import Any

from aiohttp import web

from orchestrator.emulator.audit import Audit
from orchestrator.emulator.desk import Desk
from orchestrator.emulator.endpoints import ROUTES, Call, Handler, parse_body
from orchestrator.emulator.faultplan import Subject
from orchestrator.emulator.faults import Fault
from orchestrator.emulator.kinds import CONTENT_KINDS
from orchestrator.emulator.replies import Reply, envelope, gateway, json_reply, send, success
from orchestrator.emulator.validate import Refusal, fingerprint

LARGEST_BODY = 4 * 1024 * 1024
AUDIT_PATH = "/_emulator/audit"
_DURABLE = frozenset({"credential", "submit"})
"""Calls whose effect is on disk before their reply leaves."""
_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """A request on its way through the API."""

    at: float
    request: web.Request
    endpoint: str
    handler: Handler
    data: bytes
    subject: Subject
    fault: Fault | None


@dataclass(slots=True)
class ApiDesk:
    """The handler of the API listener."""

    desk: Desk
    _recent: deque[float] = field(default_factory=deque)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request to the API."""
        at = self.desk.now()
        if request.path == AUDIT_PATH and request.method == "GET":
            return await self._audit(request)
        found = ROUTES.get(request.path)
        if found is None or found[0] != request.method:
            return await self._gateway(request, at, 404 if found is None else 405)
        _, endpoint, handler = found
        try:
            data = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return await self._gateway(request, at, 413)
        subject = self._subject(request, endpoint, data)
        fault = self.desk.fault(endpoint, subject)
        visit = _Visit(
            at=at,
            request=request,
            endpoint=endpoint,
            handler=handler,
            data=data,
            subject=subject,
            fault=fault,
        )
        return await self._answer(visit)

    async def _answer(self, visit: _Visit) -> web.StreamResponse:
        fault = visit.fault
        spoiler = None if fault is None or fault.do in CONTENT_KINDS else fault
        if spoiler is not None and not spoiler.takes_effect:
            self.desk.witness.call(visit.at, visit.endpoint, "-")
        act = partial(self._act, visit)
        return await self.desk.answer(visit.request, visit.endpoint, act, spoiler)

    async def _act(self, visit: _Visit) -> Reply:
        desk = self.desk
        reply = await self._judged(visit)
        desk.witness.call(visit.at, visit.endpoint, reply.code)
        if visit.endpoint == "submit" and reply.code == "200" and visit.fault is not None:
            desk.witness.add("lost_replies", int(visit.fault.do != "integer_code"))
        if visit.endpoint in _DURABLE:
            try:
                await desk.store.commit()
            except sqlite3.Error:
                return envelope("5004", "I/O error", None)
        return reply

    async def _judged(self, visit: _Visit) -> Reply:
        too_fast = self._too_fast(visit)
        if too_fast is not None:
            return too_fast
        try:
            uid, key = self._who(visit.request)
            body = {}
            if visit.request.method == "POST":
                body = parse_body(visit.data, visit.request.content_type)
            account = self.desk.world.account(uid)
            account.key = key
            call = Call(
                desk=self.desk,
                account=account,
                query=visit.request.query,
                body=body,
                subject=visit.subject,
                fault=visit.fault,
            )
            return success(await visit.handler(call))
        except Refusal as refusal:
            status = self.desk.config.auth_status if refusal.code == "401" else 200
            return envelope(refusal.code, refusal.message, None, status=status)

    def _who(self, request: web.Request) -> tuple[str, str]:
        config = self.desk.config
        uid = request.headers.get("Topview-Uid", "").strip()
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        key = key.strip()
        if not uid or scheme != "Bearer" or not key:
            raise Refusal("401", "please log in")
        if config.uid not in {None, uid} or config.api_key not in {None, key}:
            raise Refusal("401", "please log in again")
        return uid, key

    def _too_fast(self, visit: _Visit) -> Reply | None:
        limit = self.desk.config.rate_limit
        if limit is None:
            return None
        while self._recent and visit.at - self._recent[0] >= _WINDOW_S:
            self._recent.popleft()
        if len(self._recent) < limit:
            self._recent.append(visit.at)
            return None
        return self._slow_down(visit.request.path)

    def _slow_down(self, path: str) -> Reply:
        config = self.desk.config
        match config.rate_answer:
            case "4007":
                return envelope("4007", "an unfinished task exists", None)
            case "5003":
                return envelope("5003", "server busy", None)
            case "429":
                reply = gateway(429, path)
        match config.retry_after:
            case "none":
                return reply
            case "seconds":
                wish = str(config.retry_after_s)
            case "date":
                wish = formatdate(self.desk.now() + config.retry_after_s, usegmt=True)
        return replace(reply, headers={**reply.headers, "Retry-After": wish})

    def _subject(self, request: web.Request, endpoint: str, data: bytes) -> Subject:
        world = self.desk.world
        if endpoint == "submit":
            return self._submit_subject(request, data)
        task = world.tasks.get(request.query.get("taskId", ""))
        if task is not None:
            return self.desk.subject_of(task)
        file_id = request.query.get("fileId", "")
        upload = world.shelf.uploads.get(file_id)
        return Subject(
            key=file_id or request.query.get("taskId", ""),
            files=(file_id,) if file_id else (),
            format=upload.format if upload else request.query.get("format", ""),
        )

    def _submit_subject(self, request: web.Request, data: bytes) -> Subject:
        try:
            body: Mapping[str, Any] = parse_body(data, request.content_type)
        except Refusal:
            return Subject()
        names = ("videoFileId", "imageFileId", "audioFileId")
        files = tuple(str(body[n]) for n in names if body.get(n))
        contents = (self.desk.world.shelf.content_of(f) for f in files)
        return Subject(
            key=fingerprint({k: v for k, v in body.items() if k != "noticeUrl"}),
            text=str(body.get("ttsText") or ""),
            hashes=tuple(c.sha256 for c in contents if c),
            files=files,
            avatar=str(body.get("aiAvatarId") or ""),
        )

    async def _gateway(self, request: web.Request, at: float, status: int) -> web.StreamResponse:
        self.desk.witness.call(at, "unknown", str(status))
        html = self.desk.config.gateway_body == "html"
        return await send(request, gateway(status, request.path, html=html), self.desk.now())

    async def _audit(self, request: web.Request) -> web.StreamResponse:
        try:
            window_s = float(request.query.get("window_s", "1"))
        except ValueError:
            window_s = 0.0
        if not window_s > 0:
            reply = json_reply({"error": "window_s must be a number greater than 0"}, 400)
            return await send(request, reply, self.desk.now())
        report = await asyncio.to_thread(audit_job(self.desk, window_s))
        return await send(request, json_reply(report.to_json()), self.desk.now())


def audit_job(desk: Desk, window_s: float) -> partial[Audit]:
    """The drawing up of an audit: everything it reads is copied now, the work comes later and
    may be done in another thread."""
    world = desk.world
    return partial(
        desk.witness.copy().report,
        window_s=window_s,
        tasks=tuple(world.tasks.values()),
        uploads=tuple(world.shelf.uploads.values()),
        contents=tuple(world.shelf.contents.values()),
        peak=world.unfinished_peak,
        charged=sum(a.spent for a in world.accounts.values()),
    )
