"""A listening socket that strangers may knock at: so many connections at once and no more.

aiohttp's own sites take every connection that comes, and a stranger who opens a thousand and says
nothing would use up the file descriptors that the batch needs for its own work. Here those that
find no room wait in the system's queue, and when there is none, connections that dawdle lose
theirs.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aiohttp import web

from orchestrator.errors import UsageError

_log = logging.getLogger(__name__)

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
_QUEUE = 1024
_LOOK_S = 0.02
_MEND_S = 1.0
_ELSEWHERE = "--webhook-listen ADDRESS:PORT (webhook.listen in the manifest)"

Address = tuple[socket.AddressFamily, tuple[str, int]]


def check_listen(text: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:8088", "[::1]:0" or "localhost:8088"; port 0: any free one.

    Raises:
        UsageError: it is nothing of that kind.
    """
    match = _LISTEN.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise UsageError(
            f"{text!r} is no address to listen at; write an address and a port, such as "
            "127.0.0.1:8088, [::1]:8088, or 0.0.0.0:8088 for every network of this machine"
        )
    return match[1] or match[2], int(match[3])


class Door:
    """Listens, and hands connections to an aiohttp server: at most ``room`` (>= 1) at once.

    When all are taken, every connection that was seen for ``patience_s`` (> 0) without having
    said all it came to say is cut. Owns its socket and its one task; not reusable.
    """

    def __init__(self, server: web.Server, *, room: int, patience_s: float = 1.0) -> None:
        self._server = server
        self._room = room
        self._patience_s = patience_s
        self._seen: dict[web.RequestHandler, float] = {}
        self._served: set[web.RequestHandler] = set()
        self._socket: socket.socket | None = None
        self._letting_in: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it listens: "127.0.0.1:8088", "[::1]:8088"; "" when it does not."""
        if self._socket is None:
            return ""
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def open(self, host: str, port: int) -> None:
        """Begin to listen.

        Raises:
            UsageError: it is not possible there; says why and what to do.
        """
        family, where = await _resolve(host, port)
        self._socket = _listening(family, where)
        self._letting_in = asyncio.create_task(self._let_in(self._socket))

    async def close(self) -> None:
        """Take no more connections; those that are open are the server's to close."""
        listening, letting_in = self._socket, self._letting_in
        self._socket = self._letting_in = None
        if letting_in is not None:
            letting_in.cancel()
            with suppress(asyncio.CancelledError):
                await letting_in
        if listening is not None:
            listening.close()

    @contextmanager
    def serving(self, request: web.BaseRequest) -> Iterator[None]:
        """Within this, the request's connection is not cut: it has said all, we are at work."""
        connection = request.protocol
        self._served.add(connection)
        try:
            yield
        finally:
            self._served.discard(connection)

    async def _let_in(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        able = True
        while True:
            await self._wait_for_room()
            try:
                connection, _ = await loop.sock_accept(listening)
            except ConnectionError:  # gone again before we came
                continue
            except OSError as error:  # such as no file descriptor left: others may give some back
                if able:
                    _log.warning("No connection can be taken for now: %s", error.strerror)
                able = False
                await asyncio.sleep(_MEND_S)
                continue
            able = True
            await self._hand_over(connection)

    async def _hand_over(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(self._server, connection)
        except OSError:  # reset meanwhile; nothing was asked
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise

    async def _wait_for_room(self) -> None:
        while len(open_now := self._server.connections) >= self._room:
            self._cut_dawdlers(open_now)
            await asyncio.sleep(_LOOK_S)

    def _cut_dawdlers(self, open_now: list[web.RequestHandler]) -> None:
        """Ages count from when a connection was first seen while there was no room."""
        now = asyncio.get_running_loop().time()
        self._seen = {one: self._seen.get(one, now) for one in open_now}
        for one, since in self._seen.items():
            late = now - since >= self._patience_s and one not in self._served
            if late and one.transport is not None:
                one.transport.abort()


async def _resolve(host: str, port: int) -> Address:
    """The first address of the name, IPv4 if it has one."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"Nobody knows an address for {host!r}, where notices should be listened for; "
            f"write one of this machine's addresses: {_ELSEWHERE}"
        ) from error
    family, _, _, _, where = min(found, key=lambda one: one[0] is not socket.AF_INET)
    return family, (str(where[0]), port)


def _listening(family: socket.AddressFamily, where: tuple[str, int]) -> socket.socket:
    try:
        listening = socket.create_server(where, family=family, backlog=_QUEUE)
    except OSError as error:
        raise UsageError(_why_not(where, error)) from error
    listening.setblocking(False)
    return listening


def _why_not(where: tuple[str, int], error: OSError) -> str:
    place = f"{where[0]} port {where[1]}"
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"{place} is in use already, by another run or another program; end that one, "
                f"or listen at another port: {_ELSEWHERE}"
            )
        case errno.EACCES:
            return (
                f"{place} may not be listened at by this user; take a port above 1023: {_ELSEWHERE}"
            )
        case errno.EADDRNOTAVAIL:
            return (
                f"{where[0]} is no address of this machine; take 127.0.0.1, "
                f"or 0.0.0.0 for every network: {_ELSEWHERE}"
            )
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return f"{place} can not be listened at: {reason}; listen elsewhere: {_ELSEWHERE}"
