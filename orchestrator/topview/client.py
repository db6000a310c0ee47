"""The vendor's API over HTTP: one method a call, every fate of a call an ``Answer``.

There is one session per kind of host, so that the API's headers can reach neither the object
store nor the network that delivers results (downloads live in ``media.download``, with a
session of their own). A submit has a session that opens a new connection each time: on a reused
one that the server has closed unseen, a lost request and a lost reply look alike.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Self

import aiohttp
import yarl

from orchestrator.config import Proxies, VendorSettings
from orchestrator.core.limits import Throttle
from orchestrator.errors import MediaError, UsageError
from orchestrator.model import Answer, Failure, FileId, TaskId
from orchestrator.topview.catalog import PAGE_SIZE, log_moment, scrub_log
from orchestrator.topview.sending import FileSender, SourceLike
from orchestrator.topview.transport import ReplyClock, fate, open_session, read_capped
from orchestrator.topview.wire import (
    MIME_TYPES,
    parse_envelope,
    remaining_credit,
    retry_after_s,
    s3_error_code,
    scrub_answer,
)

USER_AGENT = "avatar-orchestrator"
SHORTEST_UID = 6
"""A uid of so many characters is taken out of the vendor's words, like the API key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits in seconds (> 0).

    ``connect_s`` until a connection stands; ``submit_reply_s`` and ``reply_s`` from then until
    the whole reply is here; ``idle_s`` without a piece of an upload moving. There is no limit
    on a whole upload. ``put_reply_s`` from its last piece until the reply: long, because the
    operating system may hold megabytes that a slow line has still to take.
    """

    connect_s: float = 15.0
    submit_reply_s: float = 300.0
    reply_s: float = 60.0
    idle_s: float = 60.0
    put_reply_s: float = 300.0


class TopViewClient:
    """Satisfies ``engine.ports.Vendor``. An async context manager; use it inside."""

    def __init__(
        self,
        settings: VendorSettings,
        *,
        timeouts: Timeouts | None = None,
        proxies: Proxies | None = None,
        wall: Callable[[], float] = time.time,
        throttle: Throttle | None = None,
    ) -> None:
        """``proxies`` None: as the environment says. ``wall``: Unix seconds. ``throttle``: the
        bandwidth of all uploads together; None is no limit.

        Raises:
            UsageError: the environment names a proxy that cannot be used.
        """
        self._settings = settings
        self._timeouts = timeouts or Timeouts()
        self._proxies = Proxies.from_env(os.environ) if proxies is None else proxies
        self._proxy = self._proxies.for_url(settings.base_url)
        self._wall, self._throttle = wall, throttle
        self._identity = {
            "Topview-Uid": settings.uid,
            "Authorization": f"Bearer {settings.api_key.reveal()}",
            "Accept": "application/json",
        }
        self._secrets = (settings.api_key.reveal(), *_long(settings.uid))
        self._sessions: tuple[aiohttp.ClientSession, ...] = ()

    async def __aenter__(self) -> Self:
        context = await asyncio.to_thread(ssl.create_default_context)
        self._sessions = tuple(
            open_session(
                context=context,
                connect_s=self._timeouts.connect_s,
                force_close=force_close,
                user_agent=USER_AGENT,
            )
            for force_close in (False, True, False)
        )
        self._free, self._paid, self._store = self._sessions
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in self._sessions:
            await session.close()

    async def credit_detail(self) -> Answer:
        """Ask for the balance; ``result`` is ``{"remainCredit": number}`` or None.

        The body of this call holds API keys, so nothing else of it is kept.
        """
        answer = await self._get("/user/credit/detail", {})
        credit = remaining_credit(answer)
        kept = None if credit is None else {"remainCredit": credit}
        return replace(answer, result=kept, message="" if answer.ok else answer.message)

    async def credit_logs(
        self,
        task_type: str | None,
        start: float,
        end: float,
        page_no: int = 1,
        page_size: int = PAGE_SIZE,
    ) -> Answer:
        """Ask what was charged from ``start`` to ``end`` (Unix seconds on the vendor's clock,
        widened to whole seconds); ``task_type`` None asks for every type.

        ``result`` is ``{"total": int or None, "data": [entries]}``, or None if the reply holds no
        list. Entries come with API keys, so nothing else of them is kept than ``date``,
        ``costCredit``, ``taskId`` and ``taskType``; see ``catalog.charge``.
        """
        params = {
            **({} if task_type is None else {"taskType": task_type}),
            "startTime": log_moment(start),
            "endTime": log_moment(math.ceil(end)),
            **_paged(page_no, page_size),
        }
        return scrub_log(await self._get("/user/credit/logs", params), self._secrets)

    async def avatars(
        self, filters: Mapping[str, str], page_no: int = 1, page_size: int = PAGE_SIZE
    ) -> Answer:
        """Ask for a page of avatars. ``filters``: ``gender``, ``ethnicityIdList``, ``isCustom``."""
        return await self._get("/v1/aiavatar/query", {**filters, **_paged(page_no, page_size)})

    async def voices(
        self, filters: Mapping[str, str], page_no: int = 1, page_size: int = PAGE_SIZE
    ) -> Answer:
        """Ask for a page of voices. ``filters``: ``language``, ``gender``, ``age``, ``style``,
        ``accent``, ``isCustom``."""
        return await self._get("/v1/voice/query", {**filters, **_paged(page_no, page_size)})

    async def ethnicities(self, page_no: int = 1, page_size: int = PAGE_SIZE) -> Answer:
        """Ask for a page of the ethnicities by which avatars can be filtered."""
        params = {"scene": "video_avatar", **_paged(page_no, page_size)}
        return await self._get("/v1/ethnicity/list", params)

    async def captions(self) -> Answer:
        """Ask for all caption styles; this list has no pages."""
        return await self._get("/v1/caption/list", {})

    async def notice_check(self, url: str) -> Answer:
        """Ask whether the vendor takes ``url`` as the address of a webhook."""
        data = json.dumps({"noticeUrl": url}, ensure_ascii=True).encode("ascii")
        limit_s = self._timeouts.reply_s
        return await self._call(
            self._free, "POST", "/notice/notice_url/check", data=data, limit_s=limit_s
        )

    async def credential(self, format: str) -> Answer:
        """Ask for the right to upload one file; each call makes a new file id."""
        return await self._get("/v1/upload/credential", {"format": format})

    async def check(self, file_id: FileId) -> Answer:
        """Ask whether an upload has arrived."""
        return await self._get("/v1/upload/check", {"fileId": file_id})

    async def query(self, task_id: TaskId) -> Answer:
        """Ask how a task stands."""
        need = "true" if self._settings.need_cloudfront else "false"
        params = {"taskId": task_id, "needCloudFrontUrl": need}
        return await self._get("/v1/video_avatar/task/query", params)

    async def submit(self, body: Mapping[str, Any]) -> Answer:
        """Ask for a video. Costs money. Sent once, on a connection of its own."""
        try:
            data = json.dumps(body, ensure_ascii=True).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            clue = f"the request cannot be written as JSON ({type(error).__name__})"
            return Answer(failure=Failure.NEVER_SENT, detail=clue)
        limit_s = self._timeouts.submit_reply_s
        return await self._call(
            self._paid, "POST", "/v1/video_avatar/task/submit", data=data, limit_s=limit_s
        )

    async def put(self, url: str, source: SourceLike) -> Answer:
        """Send a file to a presigned URL, used byte for byte. ``status`` says what came of it;
        ``message`` is the object store's error word, if any.

        Raises:
            FileChanged: size or content are not as planned; the object must not be used.
            MediaError: the file cannot be read.
        """
        try:
            proxy = self._proxies.for_url(url)
        except UsageError as error:
            return Answer(failure=Failure.NEVER_SENT, detail=str(error))
        clock = ReplyClock(self._timeouts.idle_s)
        all_sent = partial(clock.restart, self._timeouts.put_reply_s)
        async with FileSender(
            source, on_progress=clock.restart, on_complete=all_sent, throttle=self._throttle
        ) as sender:
            answer = await self._send(url, source, sender, clock, proxy)
        if sender.error is not None:
            raise sender.error
        if answer.status is not None and answer.status < 300 and not sender.complete:
            return Answer(failure=Failure.NO_REPLY, detail="answered before the file was sent")
        return answer

    async def _send(
        self,
        url: str,
        source: SourceLike,
        sender: FileSender,
        clock: ReplyClock,
        proxy: str | None,
    ) -> Answer:
        headers = {
            # Given here, or the body would go out chunked, which object stores refuse.
            "Content-Length": str(source.size_bytes),
            "Content-Type": MIME_TYPES.get(source.format, "application/octet-stream"),
        }
        try:
            async with (
                clock,
                self._store.put(
                    yarl.URL(url, encoded=True),
                    data=sender.body(),
                    headers=headers,
                    allow_redirects=False,
                    proxy=proxy,
                ) as reply,
            ):
                body = await read_capped(reply)
        except MediaError as error:
            sender.error = error
            return Answer(failure=Failure.NO_REPLY)
        except Exception as error:  # noqa: BLE001 - every fate of a call is an answer
            return fate(error, clock.limit_s)
        return self._stored(reply, body)

    def _stored(self, reply: aiohttp.ClientResponse, body: bytes) -> Answer:
        wish = retry_after_s(reply.headers.get("Retry-After"), self._wall())
        return Answer(status=reply.status, message=s3_error_code(body), retry_after_s=wish)

    async def _get(self, path: str, params: Mapping[str, str]) -> Answer:
        limit_s = self._timeouts.reply_s
        return await self._call(self._free, "GET", path, params=params, limit_s=limit_s)

    async def _call(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        *,
        limit_s: float,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        try:
            async with (
                ReplyClock(limit_s),
                session.request(
                    method,
                    self._settings.base_url + path,
                    params=params,
                    data=data,
                    headers=self._headers(data),
                    allow_redirects=False,
                    proxy=self._proxy,
                ) as reply,
            ):
                body = await read_capped(reply)
        except Exception as error:  # noqa: BLE001 - every fate of a call is an answer
            return fate(error, limit_s)
        answer = parse_envelope(reply.status, told(reply.headers), body, self._wall())
        return scrub_answer(answer, self._secrets)

    def _headers(self, data: bytes | None) -> dict[str, str]:
        headers = self._identity
        return headers if data is None else {**headers, "Content-Type": "application/json"}


def _long(uid: str) -> tuple[str, ...]:
    """The uid, unless it is so short that it may be part of other words."""
    return (uid,) if len(uid) >= SHORTEST_UID else ()


def told(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a reply that ``wire.parse_envelope`` looks at."""
    found = {name: headers.get(name) for name in ("Date", "Retry-After")}
    return {name: value for name, value in found.items() if value is not None}


def _paged(page_no: int, page_size: int) -> dict[str, str]:
    return {"pageNo": str(page_no), "pageSize": str(page_size)}
