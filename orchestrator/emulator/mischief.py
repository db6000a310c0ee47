"""Replies that go wrong on purpose: how each kind of fault looks on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from aiohttp import web

from orchestrator.emulator.faults import Fault
from orchestrator.emulator.kinds import OBJECT_ENDPOINTS
from orchestrator.emulator.replies import (
    Reply,
    envelope,
    gateway,
    html_page,
    json_reply,
    send,
    success,
    xml_error,
)

_PIECE = 256 * 1024
_LOOK_S = 0.1
RETRY_DATE_S = 2.0
"""How far in the future a ``Retry-After`` date of a fault lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a fault plays: the request, what it would normally do, and the world around."""

    request: web.Request
    endpoint: str
    act: Callable[[], Awaitable[Reply]]
    now: Callable[[], float]
    closing: asyncio.Event


async def misbehave(stage: Stage, fault: Fault) -> web.StreamResponse:
    """Let the fault happen instead of a good reply."""
    reply = await stage.act() if fault.takes_effect else success(None)
    match fault.do:
        case "drop_before" | "drop_after":
            return cut(stage.request, reset=fault.reset)
        case "drop_mid_body":
            return await cut_in_body(stage.request, reply, reset=fault.reset)
        case "stall":
            await _hang(stage)
            return cut(stage.request)
        case "slow_bytes":
            return await _drip(stage, reply, fault.interval_s)
        case "garbage":
            return raw(stage.request, b"\x00\x01NOT-HTTP at all\r\n\r\n")
        case "huge_body":
            return await _flood(stage, fault.size_bytes)
        case _:
            return await send(stage.request, _spoilt(stage, fault, reply), stage.now())


def _spoilt(stage: Stage, fault: Fault, reply: Reply) -> Reply:
    match fault.do:
        case "status":
            return _status(stage, fault)
        case "code":
            message = fault.message or "it was told to say so"
            told = envelope(fault.code, message, None)
            return replace(told, headers={**told.headers, **_retry_after(fault, stage.now())})
        case "html":
            return html_page(200, "Service is being updated")
        case "empty_body":
            return replace(reply, status=200, body=b"", file=None)
        case "truncated_json":
            return replace(reply, body=reply.body[: len(reply.body) // 2])
        case _:
            return _reshaped(fault, reply)


def _reshaped(fault: Fault, reply: Reply) -> Reply:
    value = json.loads(reply.body)
    match fault.do:
        case "wrong_types":
            value["result"] = _other_type(value.get("result"))
        case "missing_fields":
            value = _without(value, fault.fields)
        case "integer_code":
            value["code"] = int(value["code"])
        case _:
            raise AssertionError(f"fault {fault.do} has no reply")
    return json_reply(value, reply.status, reply.code)


def _other_type(result: Any) -> Any:
    if isinstance(result, dict):
        return {k: [v] if isinstance(v, str) else {"value": v} for k, v in result.items()}
    if isinstance(result, list):
        return {"list": result}
    return {"value": str(result)}


def _without(value: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    result = value.get("result")
    if not isinstance(result, dict):
        return {k: v for k, v in value.items() if k != "result"}
    left = {k: v for k, v in result.items() if names and k not in names}
    return {**value, "result": left}


def _status(stage: Stage, fault: Fault) -> Reply:
    kind = fault.body
    if kind == "auto":
        kind = "xml" if stage.endpoint in OBJECT_ENDPOINTS else "json"
    phrase = fault.message or _phrase(fault.status)
    match kind:
        case "json":
            reply = gateway(fault.status, stage.request.path, message=phrase)
        case "html":
            reply = html_page(fault.status, phrase)
        case "xml":
            reply = xml_error(fault.status, phrase.title().replace(" ", ""), phrase)
        case _:
            reply = Reply(status=fault.status)
    headers = {**reply.headers, **_retry_after(fault, stage.now())}
    if 300 <= fault.status < 400:
        headers["Location"] = fault.location or str(stage.request.url)
    return replace(reply, headers=headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _retry_after(fault: Fault, now: float) -> Mapping[str, str]:
    match fault.retry_after:
        case None:
            return {}
        case "date":
            return {"Retry-After": formatdate(now + RETRY_DATE_S, usegmt=True)}
        case seconds:
            return {"Retry-After": str(seconds)}


def cut(request: web.Request, *, reset: bool = False) -> web.StreamResponse:
    """Close the connection without a reply: orderly, or with a reset."""
    transport = request.transport
    if transport is not None:
        transport.abort() if reset else transport.close()
    return web.Response()


def raw(request: web.Request, data: bytes, *, reset: bool = False) -> web.StreamResponse:
    """Write these bytes as they are, then close the connection."""
    if request.transport is not None and not request.transport.is_closing():
        request.transport.write(data)
    return cut(request, reset=reset)


def head(reply: Reply, length: int | None) -> bytes:
    """Status line and headers; without a length the end of the connection ends the body."""
    headers = {**reply.headers, "Connection": "close"}
    if length is not None:
        headers["Content-Length"] = str(length)
    lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def cut_in_body(
    request: web.Request, reply: Reply, *, reset: bool = False
) -> web.StreamResponse:
    """Announce the whole body, send half of it, close."""
    body = await reply.content()
    data = head(reply, max(len(body), 2)) + (body or b"x")[: max(1, len(body) // 2)]
    if reset and request.transport is not None:
        # A reset throws away what is still to be sent: give the half its way first.
        request.transport.write(data)
        await asyncio.sleep(_LOOK_S)
        return cut(request, reset=True)
    return raw(request, data)


async def without_length(request: web.Request, reply: Reply, *, half: bool) -> web.StreamResponse:
    """The body without announcing its length: whole or cut, it ends with the connection."""
    body = await reply.content()
    return raw(request, head(reply, None) + (body[: len(body) // 2] if half else body))


async def chunked(request: web.Request, reply: Reply) -> web.StreamResponse:
    """The whole body in chunks, without ``Content-Length``."""
    response = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
    await response.prepare(request)
    await response.write(await reply.content())
    return response


async def _drip(stage: Stage, reply: Reply, interval_s: float) -> web.StreamResponse:
    body = await reply.content()
    transport = stage.request.transport
    if transport is None:
        return web.Response()
    transport.write(head(reply, len(body)))
    for value in body:
        if transport.is_closing() or stage.closing.is_set():
            break
        transport.write(bytes([value]))
        with suppress(TimeoutError):
            await asyncio.wait_for(stage.closing.wait(), interval_s)
    return cut(stage.request)


async def _flood(stage: Stage, size_bytes: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(stage.request)
    with suppress(ConnectionError):
        await response.write(b'{"code":"200","message":"Success","result":"')
        left = size_bytes
        while left > 0 and not stage.closing.is_set():
            await response.write(b"a" * min(_PIECE, left))
            left -= _PIECE
        await response.write(b'"}')
    return response


async def _hang(stage: Stage) -> None:
    """Wait until the client has gone or the emulator is stopped."""
    while not stage.closing.is_set():
        transport = stage.request.transport
        if transport is None or transport.is_closing():
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stage.closing.wait(), _LOOK_S)
