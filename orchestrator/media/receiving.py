"""The bytes of a download: watched while they flow, written behind the ones that are there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import aiohttp
from aiofiles.threadpool import wrap
from aiofiles.threadpool.binary import AsyncBufferedIOBase

from orchestrator.core.limits import Throttle

_WRITE_BYTES = 512 * 1024
SLOWEST_BYTES = 64 * 1024
"""Less than this in ``idle_s`` seconds is as good as nothing: a server that sends a byte a second
would keep a download's place for days. What came is kept, and the next try goes on from there."""


class Digest(Protocol):
    def update(self, data: bytes | bytearray, /) -> None: ...


async def flowing(
    content: aiohttp.StreamReader, idle_s: float, throttle: Throttle | None
) -> AsyncIterator[bytes]:
    """The pieces of a body.

    Raises:
        TimeoutError: less than :data:`SLOWEST_BYTES` came in ``idle_s`` seconds.
    """
    now = asyncio.get_running_loop().time
    since, came = now(), 0
    chunks = content.iter_any() if throttle is None else content.iter_chunked(throttle.piece_bytes)
    async for chunk in chunks:
        if throttle is not None:
            since += await _let_pass(len(chunk), throttle)
        yield chunk
        came += len(chunk)
        if now() - since >= idle_s:
            if came < SLOWEST_BYTES:
                raise TimeoutError
            since, came = now(), 0


async def _let_pass(size_bytes: int, throttle: Throttle) -> float:
    """Wait until the piece may pass; returns how long that took: it is not the server's fault."""
    now = asyncio.get_running_loop().time
    before = now()
    await asyncio.sleep(throttle.wait_s(size_bytes))
    return now() - before


async def append(
    pieces: AsyncIterator[bytes],
    begin: Callable[[], Path],
    start: int,
    total_bytes: int | None,
    digest: Digest | None,
) -> tuple[Path, int]:
    """Write what comes after ``start`` bytes of the part; returns where it is and its size.

    ``begin`` names the part (it blocks); nothing is written before it has. What has come is in
    the file even if the stream breaks. A write that fails or is cancelled may still have
    happened, so its bytes leave ``waiting`` before it begins: none is ever written twice.
    """
    size, waiting = start, bytearray()
    async with _Tail(begin, start) as tail:
        try:
            async for chunk in pieces:
                waiting += chunk
                size += len(chunk)
                if digest is not None:
                    digest.update(chunk)
                if total_bytes is not None and size > total_bytes:
                    break
                if len(waiting) >= _WRITE_BYTES:
                    block, waiting = waiting, bytearray()
                    await tail.write(block)
        finally:
            path = await tail.end(waiting)
    return path, size


class _Tail:
    """The rest of a part, from ``start`` on. A small one is written at one go: most of the cost
    of a small file is in asking a thread for each step."""

    def __init__(self, begin: Callable[[], Path], start: int) -> None:
        self._begin, self._start = begin, start
        self._path: Path | None = None
        self._file: AsyncBufferedIOBase | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            await self._file.close()

    async def write(self, block: bytearray) -> None:
        """Write a block, with more to come."""
        if self._file is None:
            self._path = await asyncio.to_thread(self._begin)
            self._file = wrap(await asyncio.to_thread(_opened, self._path, self._start))
        await self._file.write(block)

    async def end(self, block: bytearray) -> Path:
        """Write the last block (it may be empty); returns where the part is."""
        if self._path is None:
            self._path = await asyncio.to_thread(self._write_all, block)
        elif self._file is not None:
            await self._file.write(block)
        return self._path

    def _write_all(self, block: bytearray) -> Path:
        path = self._begin()
        with _opened(path, self._start) as file:
            file.write(block)
        return path


def _opened(path: Path, start: int) -> BinaryIO:
    """A part to be written from ``start`` on. Blocks."""
    file = path.open("r+b" if start else "wb")
    if start:
        file.seek(start)
        file.truncate()
    return file
