"""The bytes of a download: watched while they flow, written behind the ones that are there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar, cast

import aiohttp

from orchestrator.core.limits import Throttle

T = TypeVar("T")

_WRITE_BYTES = 512 * 1024
_DIRTY_BYTES = 8 * 1024 * 1024
"""After so many bytes the system is asked to begin to bring them to the disk."""
_KEPT_BLOCKS = 4
"""So many times that are looked after: by the last of them the first are on most disks, and need
not stay in memory."""
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
    then: Callable[[Path, int], T],
) -> T:
    """Write what comes after ``start`` bytes of the part; returns what ``then`` makes of it.

    ``begin`` names the part (it blocks); nothing is written before it has. What has come is in
    the file even if the stream breaks. One block is hashed and written in a thread while the next
    one comes; bytes leave ``waiting`` before that begins, so none is ever written twice. ``then``
    gets the part, which is on disk, and its size, in the thread that has just written the last
    block (it blocks too).
    """
    size, waiting = start, bytearray()
    async with _Tail(begin, start, digest) as tail:
        try:
            async for chunk in pieces:
                waiting += chunk
                size += len(chunk)
                if total_bytes is not None and size > total_bytes:
                    break
                if len(waiting) >= _WRITE_BYTES:
                    await tail.settled()
                    block, waiting = waiting, bytearray()
                    tail.write(block)
        except BaseException:
            await tail.keep(waiting)
            raise
        return await tail.end(waiting, lambda path: then(path, size))


class _Tail:
    """The rest of a part, from ``start`` on, written block by block in other threads.

    A small one is written at one go: most of the cost of a small file is in asking a thread for
    each step.
    """

    def __init__(self, begin: Callable[[], Path], start: int, digest: Digest | None) -> None:
        self._begin, self._start, self._digest = begin, start, digest
        self._path: Path | None = None
        self._file: FileIO | None = None
        self._writing: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._dirty = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            await asyncio.to_thread(self._file.close)

    def write(self, block: bytearray) -> None:
        """Begin to write a block; the one before is :meth:`settled`."""
        self._writing = asyncio.create_task(asyncio.to_thread(self._write, block))

    async def settled(self) -> None:
        """Return when the last block is written. Whoever is cancelled here leaves it at its work.

        Raises:
            OSError: it could not be written, or one before: nothing is ever written after a gap.
        """
        if self._writing is not None:
            await asyncio.wait((self._writing,))
            writing, self._writing = self._writing, None
            self._error = cast("Exception | None", writing.exception())
        if self._error is not None:
            raise self._error

    async def keep(self, block: bytearray) -> None:
        """Write the last block of a stream that broke."""
        await self.settled()
        await asyncio.to_thread(self._write, block)

    async def end(self, block: bytearray, then: Callable[[Path], T]) -> T:
        """Write the last block (it may be empty), see the part to the disk, and go on with
        ``then``."""
        await self.settled()
        return await asyncio.to_thread(self._end, block, then)

    def _end(self, block: bytearray, then: Callable[[Path], T]) -> T:
        self._write(block)
        assert self._file is not None and self._path is not None, "the first write opens it"
        os.fsync(self._file.fileno())
        file, self._file = self._file, None
        file.close()
        return then(self._path)

    def _write(self, block: bytearray) -> None:
        if self._file is None:
            self._path = self._begin()
            self._file = _opened(self._path, self._start)
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._dirty += len(block)
        if self._dirty >= _DIRTY_BYTES:
            _begin_to_sync(self._file, self._dirty)
            self._dirty = 0
        if self._digest is not None:
            self._digest.update(block)


def _begin_to_sync(file: FileIO, size_bytes: int) -> None:
    """Have the system begin to write the last bytes to the disk, where it can be asked to: else all
    of a large video would be waited for at its end. The same word lets go of earlier ones that are
    on the disk by now, so that the next ones come into memory that is at hand: a large video
    that pushes everything else out of memory takes three times as long to write."""
    if hasattr(os, "posix_fadvise"):
        end = file.tell()
        start = max(0, end - _KEPT_BLOCKS * size_bytes)
        os.posix_fadvise(file.fileno(), start, end - start, os.POSIX_FADV_DONTNEED)


def _opened(path: Path, start: int) -> FileIO:
    """A part to be written from ``start`` on. Blocks."""
    file = path.open("r+b" if start else "wb", buffering=0)
    if start:
        file.seek(start)
        file.truncate()
    return file
