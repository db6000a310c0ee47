"""A server that speaks bytes, not HTTP, so that it can misbehave in every way; it counts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Manner = Callable[["Exchange"], Awaitable[None]]
"""What the server does after it has read a request's head and body."""


@dataclass
class Exchange:
    """One request as it came over the wire, and the way back."""

    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    def header(self, name: str) -> str | None:
        match = re.search(rf"(?im)^{name}:[ \t]*(.*?)\r$", self.head.decode())
        return match.group(1) if match else None

    def reset(self) -> None:
        self.writer.transport.abort()


@dataclass
class RawServer:
    """``requests`` holds every request that was seen, also those that got no reply."""

    manner: Manner
    read_body: bool = True
    requests: list[Exchange] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                exchange = Exchange(head, b"", reader, writer)
                self.requests.append(exchange)
                length = exchange.header("Content-Length")
                if length is not None and self.read_body:
                    exchange.body = await reader.readexactly(int(length))
                await self.manner(exchange)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(manner: Manner, *, read_body: bool = True) -> AsyncIterator[RawServer]:
    raw = RawServer(manner, read_body=read_body)
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await raw.handle(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def replies(body: bytes, status: str = "200 OK", *headers: str) -> Manner:
    """Answer every request like this."""

    async def manner(exchange: Exchange) -> None:
        exchange.writer.write(response(body, status, *headers))

    return manner


def says(raw: bytes) -> Manner:
    """Write these bytes and close."""

    async def manner(exchange: Exchange) -> None:
        exchange.writer.write(raw)
        await exchange.writer.drain()
        exchange.writer.close()

    return manner


async def resets(exchange: Exchange) -> None:
    exchange.reset()


async def falls_silent(exchange: Exchange) -> None:
    await asyncio.Event().wait()


async def trickles(exchange: Exchange) -> None:
    """A reply without end, a byte now and then: no idle limit would ever end it."""
    exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        exchange.writer.write(b" ")
        await exchange.writer.drain()
        await asyncio.sleep(0.02)
