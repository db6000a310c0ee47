"""The webhook receiver: hears the vendor's notices, believes none, tells the engine to look.

Each attempt has an address of its own whose last segment is a secret token. Who does not know a
token learns nothing here: a wrong token, a wrong uid and a wrong path get one and the same reply.
Nothing of a request is ever logged, since its first line holds a token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from orchestrator.config import Secret
from orchestrator.errors import OrchestratorError
from orchestrator.web.door import Door, check_listen
from orchestrator.web.notices import (
    HeardNotice,
    is_ours,
    notice_path,
    notice_url,
    parse_notice,
    reply_for,
    token_in,
)

__all__ = [
    "HeardNotice",
    "Receiver",
    "check_listen",
    "notice_path",
    "notice_url",
    "parse_notice",
    "reply_for",
]

LARGEST_BODY_BYTES = 64 * 1024
_LINGER_S = 2.0
_PARTING_S = 2.0

_log = logging.getLogger(__name__)
_unheard = logging.Logger(f"{__name__}.http", level=logging.CRITICAL + 1)
"""For aiohttp, which logs what it cannot read, word by word: a token may be among the words."""

OnNotice = Callable[[HeardNotice], Awaitable[bool]]


class _Refused(Exception):
    """The request gets this HTTP status and nothing else."""

    def __init__(self, status: int) -> None:
        self.status = status


class Receiver:
    """Listens for notices and hands each to ``on_notice``.

    ``listen``: see :func:`check_listen`. ``path``: :func:`notice_path` of the public address.
    ``uid``: what a ``Topview-Uid`` header must be where one is sent; None: anything.
    ``on_notice``: keeps the hint, quickly, and says whether the token is known; the vendor has
    its reply only then. It is called again for a notice that comes again. If it raises, the
    vendor is told to come back (503), the first error of each kind is logged, and that is all.
    ``patience_s``: how long a request's head, and again its body, may take.
    ``room``: connections at once; more wait in the system's queue.

    Raises:
        UsageError: ``listen`` is no address.
    """

    def __init__(
        self,
        listen: str,
        path: str,
        uid: Secret | None,
        on_notice: OnNotice,
        *,
        patience_s: float = 10.0,
        room: int = 128,
    ) -> None:
        self._host, self._port = check_listen(listen)
        self._prefix = path.rstrip("/")
        self._uid = uid
        self._on_notice = on_notice
        self._patience_s = patience_s
        self._room = room
        self._complained: set[str] = set()
        self._server: web.Server | None = None
        self._door: Door | None = None

    @property
    def address(self) -> str:
        """Where it listens, with the real port: "127.0.0.1:8088"; "" when it does not."""
        return self._door.address if self._door is not None else ""

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._server.connections) if self._server is not None else 0

    async def start(self) -> None:
        """Begin to listen. Starting twice is a mistake of the caller (RuntimeError).

        Raises:
            UsageError: it is not possible at that address; says why and what to do.
        """
        if self._door is not None:
            raise RuntimeError("the receiver listens already")
        server = web.Server(
            self._handle,
            access_log=None,
            logger=_unheard,
            keepalive_timeout=self._patience_s,  # which also ends a head that does not end
            lingering_time=min(_LINGER_S, self._patience_s),
            auto_decompress=False,
        )
        door = Door(server, room=self._room, patience_s=min(1.0, self._patience_s))
        await door.open(self._host, self._port)
        self._server, self._door = server, door

    async def stop(self) -> None:
        """Listen no more; notices being kept have 2 s to end. Harmless when not started."""
        server, door = self._server, self._door
        self._server = self._door = None
        if server is None or door is None:
            return
        await door.close()
        server.pre_shutdown()
        await server.shutdown(_PARTING_S)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        try:
            notice = await self._read(request)
            await self._keep(request, notice)
        except _Refused as refused:
            reply = web.Response(status=refused.status)
        else:
            reply = web.json_response(reply_for(notice, self._uid))
        reply.force_close()
        return reply

    async def _read(self, request: web.BaseRequest) -> HeardNotice:
        """A body that cannot be read is refused before uid and token are looked at, so that the
        difference between 400 and 404 says nothing about them."""
        token = token_in(request.path, self._prefix)
        if request.method != "POST" or token is None:
            raise _Refused(404)
        notice = parse_notice(token, await self._body(request))
        if notice is None:
            raise _Refused(400)
        if not is_ours(request.headers.getall("Topview-Uid", ()), self._uid):
            raise _Refused(404)
        return notice

    async def _body(self, request: web.BaseRequest) -> bytes:
        if (request.content_length or 0) > LARGEST_BODY_BYTES:
            raise _Refused(413)
        body = bytearray()
        try:
            async with asyncio.timeout(self._patience_s):
                await _invite(request)
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > LARGEST_BODY_BYTES:
                        raise _Refused(413)
        except TimeoutError:
            raise _Refused(408) from None
        except web.RequestPayloadError:
            raise _Refused(400) from None
        return bytes(body)

    async def _keep(self, request: web.BaseRequest, notice: HeardNotice) -> None:
        door = self._door
        if door is None:  # stopped while the body came in
            raise _Refused(503)
        try:
            with door.serving(request):
                known = await self._on_notice(notice)
        except Exception as error:  # noqa: BLE001 - a hint that is lost must not end a batch
            self._complain(error)
            raise _Refused(503) from None
        if not known:
            raise _Refused(404)

    def _complain(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind in self._complained:
            return
        self._complained.add(kind)
        words = f"{kind}: {error}" if isinstance(error, OrchestratorError) else kind
        _log.error("A webhook notice could not be kept (%s); polling goes on without it", words)


async def _invite(request: web.BaseRequest) -> None:
    """Answer a client that asks first whether its body is welcome."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # of the reply itself, nothing was sent yet
