"""How a request goes over the wire and what its end means: sent once, waited for by our clock.

aiohttp would repeat a GET or PUT by itself, follow redirects, and has no limit that ends a reply
of one byte a second. :func:`once` and :class:`ReplyClock` see to that; :func:`fate` is the one
place that says whether a request without a response left this machine.
"""

from __future__ import annotations

import asyncio
import ssl
from contextvars import ContextVar
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from orchestrator.model import Answer, Failure

LARGEST_BODY_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
MOST_SOCKETS = 100

NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.ClientHttpProxyError,
)
"""The only exceptions that prove that the vendor never saw the request. Their siblings and
parents prove nothing: a connection that breaks after the request looks the same from here."""


class ReplyLost(aiohttp.ClientError):
    """The connection broke without a response. aiohttp repeats GET and PUT for the exceptions
    that this one stands for, but not for this one."""


class BodyTooLarge(Exception):
    """The body of a response is larger than any honest answer."""


async def once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Client middleware: one request is sent one time."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ReplyLost(type(error).__name__) from error


_CLOCK: ContextVar[ReplyClock | None] = ContextVar("reply_clock", default=None)
"""The clock of the request that the current task is making."""


class ReplyClock:
    """Our own limit on a request: it starts when the connection stands, not before.

    An async context manager that raises ``TimeoutError`` inside when ``limit_s`` seconds have
    gone by since the last :meth:`restart`; before the first one there is no limit.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._timeout = asyncio.timeout(None)
        self._running = False

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._running = True
        self._before = _CLOCK.set(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running = False
        _CLOCK.reset(self._before)
        await self._timeout.__aexit__(kind, error, trace)

    def restart(self, limit_s: float | None = None) -> None:
        """Allow ``limit_s`` more seconds from now (None: as many as before).

        A clock that has ended stays ended.
        """
        if limit_s is not None:
            self.limit_s = limit_s
        if self._running and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self.limit_s)


class ClockedConnector(aiohttp.TCPConnector):
    """Starts the :class:`ReplyClock` of the request whose connection stands.

    (A trace would tell the same, and cost more than all the rest that we add to a request.)
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,
    ) -> Connection:
        """A connection from the pool, or a new one."""
        connection = await super().connect(req, traces, timeout)
        clock = _CLOCK.get()
        if clock is not None:
            clock.restart()
        return connection


def open_session(
    *, context: ssl.SSLContext, connect_s: float, force_close: bool, user_agent: str
) -> aiohttp.ClientSession:
    """A session with our transport rules; ``context`` carries the trusted certificates.

    ``trust_env`` stays off: it would also send passwords from a ``.netrc`` file. Proxies are
    given with each request instead.
    """
    if force_close:
        connector = ClockedConnector(ssl=context, limit=MOST_SOCKETS, force_close=True)
    else:
        connector = ClockedConnector(ssl=context, limit=MOST_SOCKETS)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_s, sock_read=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent},
        middlewares=(once,),
        trust_env=False,
        raise_for_status=False,
    )


async def read_capped(reply: aiohttp.ClientResponse) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: it has more than 4 MiB; the rest was not read.
    """
    body = bytearray()
    async for chunk in reply.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > LARGEST_BODY_BYTES:
            raise BodyTooLarge
    return bytes(body)


def fate(error: Exception, limit_s: float) -> Answer:
    """What a request came to that ended in an exception; ``limit_s`` is what its clock allowed.

    Details name the kind of error and never quote it: some quote a signed URL.
    """
    failure = Failure.NEVER_SENT if isinstance(error, NEVER_SENT) else Failure.NO_REPLY
    return Answer(failure=failure, detail=_detail(error, limit_s))


def _detail(error: Exception, limit_s: float) -> str:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refused the connection with HTTP {error.status}"
        case aiohttp.ClientConnectorDNSError():
            return "the name of the host was not found"
        case aiohttp.ClientConnectorCertificateError():
            return "the server's certificate is not trusted; see SSL_CERT_FILE"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy cannot be reached ({error.os_error.strerror or 'no reason given'})"
        case aiohttp.ClientConnectorError():
            return f"no connection ({error.os_error.strerror or type(error).__name__})"
        case aiohttp.ClientResponseError():
            return "the reply is no HTTP"
        case aiohttp.ClientPayloadError():
            return "the reply was cut off"
        case BodyTooLarge():
            return "the reply is larger than 4 MiB"
        case ReplyLost():
            return f"the connection broke before the reply ({error})"
        case TimeoutError():
            return f"no reply within {limit_s:g} s"
        case _:
            return type(error).__name__
