"""What goes back over the wire: envelopes, XML, gateway pages, and files in pieces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

from aiohttp import web

JSON_TYPE = "application/json;charset=UTF-8"
_PIECE = 256 * 1024
_IN_MEMORY = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply before it is sent. ``file``: ``length`` bytes from ``start`` follow ``body``.

    ``code`` is the envelope's code (or the HTTP status where there is none), for the audit.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    start: int = 0
    length: int = 0
    code: str = "200"

    async def content(self) -> bytes:
        """All bytes of the body."""
        if self.file is None:
            return self.body
        return await asyncio.to_thread(read_piece, self.file, self.start, self.length)


def envelope(code: str, message: str, result: Any, *, status: int = 200) -> Reply:
    """The vendor's JSON envelope."""
    return json_reply({"code": code, "message": message, "result": result}, status, code)


def json_reply(value: Any, status: int = 200, code: str = "200") -> Reply:
    """Any JSON value."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(status=status, body=body, headers={"Content-Type": JSON_TYPE}, code=code)


def success(result: Any) -> Reply:
    """Code 200 with a result."""
    return envelope("200", "Success", result)


def gateway(status: int, path: str, *, html: bool = False, message: str = "") -> Reply:
    """An error of the gateway in front of the application: no envelope."""
    phrase = message or web.Response(status=status).reason or "Error"
    if html:
        return html_page(status, phrase)
    value = {"timestamp": formatdate(usegmt=True), "status": status, "error": phrase, "path": path}
    return json_reply(value, status, str(status))


def html_page(status: int, phrase: str) -> Reply:
    """A page as proxies show it."""
    body = f"<html><head><title>{phrase}</title></head><body><h1>{phrase}</h1></body></html>"
    return Reply(
        status=status,
        body=body.encode(),
        headers={"Content-Type": "text/html"},
        code=str(status),
    )


def xml_error(status: int, code: str, message: str, more: str = "") -> Reply:
    """An error of the object store."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message>{more}"
        "<RequestId>EMULATOR</RequestId><HostId>emulator</HostId></Error>"
    )
    return Reply(
        status=status,
        body=body.encode(),
        headers={"Content-Type": "application/xml"},
        code=str(status),
    )


async def send(request: web.Request, reply: Reply, now: float) -> web.StreamResponse:
    """Send a reply as it should be; ``now`` is the vendor's clock, for the ``Date`` header."""
    headers = {"Date": formatdate(now, usegmt=True), "Server": "emulator", **reply.headers}
    if reply.file is None or reply.length <= _IN_MEMORY:
        body = await reply.content()
        return web.Response(status=reply.status, body=body, headers=headers)
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = reply.length
    await response.prepare(request)
    if request.method != "HEAD":
        await _stream(response, reply.file, reply.start, reply.length)
    return response


async def _stream(response: web.StreamResponse, path: Path, start: int, length: int) -> None:
    position, end = start, start + length
    while position < end:
        piece = await asyncio.to_thread(read_piece, path, position, min(_PIECE, end - position))
        await response.write(piece)
        position += len(piece)


def read_piece(path: Path, start: int, length: int) -> bytes:
    """Bytes of a file from ``start``; blocks."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)
