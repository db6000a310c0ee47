"""A local file on its way to the object store: streamed, hashed while it goes, stopped if it
is not the file that was planned."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import aiofiles
from aiofiles.threadpool.binary import AsyncBufferedReader

from orchestrator.core.limits import Throttle
from orchestrator.errors import FileChanged, MediaError
from orchestrator.model import ContentHash

_READ_BYTES = 512 * 1024
_AT_ONCE_BYTES = 128 * 1024
"""A file up to this size is read and hashed in the loop if no disk is needed for it: that takes
less than asking a thread to do it."""
_SEND_BYTES = 64 * 1024
"""Progress is counted in these: 64 KiB a minute keep a slow line alive."""


class SourceLike(Protocol):
    """A local file to upload, as it was when it was planned."""

    @property
    def path(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def content_hash(self) -> ContentHash: ...
    @property
    def format(self) -> str: ...


class FileSender:
    """The bytes of one file as the body of one request.

    The last piece is held back until the hash of the whole is known, so that a file with other
    bytes is never complete at the receiver. An error is kept in ``error`` as well as raised,
    because the HTTP library turns what a body raises into an error of its own.
    """

    def __init__(
        self,
        source: SourceLike,
        *,
        on_progress: Callable[[], None],
        on_complete: Callable[[], None],
        throttle: Throttle | None = None,
    ) -> None:
        """``on_progress`` is called for every piece that moved, ``on_complete`` after the last.

        ``throttle``: the bandwidth of all uploads together; None is no limit.
        """
        self._throttle = throttle
        self._source, self._on_progress, self._on_complete = source, on_progress, on_complete
        self._file: AsyncBufferedReader | None = None
        self._whole: tuple[bytes, str] | None = None
        self._ahead: asyncio.Task[bytes] | None = None
        self.error: MediaError | None = None
        self.complete = False

    async def __aenter__(self) -> Self:
        """Open the file; a small one is read and hashed at one go, in one visit to a thread or,
        if it is in memory, in none.

        Raises:
            MediaError: it cannot be opened, or a small one cannot be read.
        """
        path = self._source.path
        try:
            if self._source.size_bytes <= _READ_BYTES:
                content = _at_hand(path, self._source.size_bytes)
                if content is None:
                    self._whole = await asyncio.to_thread(_read_hashed, path)
                else:
                    self._whole = content, hashlib.sha256(content).hexdigest()
            else:
                self._file = await aiofiles.open(path, "rb")
        except OSError as error:
            raise self._unreadable(error) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
        if self._file is not None:
            await self._file.close()

    def body(self) -> AsyncIterator[memoryview] | bytes:
        """What to send: a small file at one go if nothing is to be paced, else pieces.

        Raises:
            FileChanged: size or content of a small file are not as planned.
        """
        if self._whole is None or self._throttle is not None:
            return self._pieces()
        content = self._checked_whole(*self._whole)
        self._on_complete()
        self.complete = True
        return content

    async def _pieces(self) -> AsyncIterator[memoryview]:
        """Pieces of at most 64 KiB, no quicker than the throttle lets them pass, which make
        exactly ``size_bytes``.

        Raises:
            FileChanged: size or content are not as planned.
            MediaError: reading failed.
        """
        try:
            async for block in self._checked_blocks():
                async for piece in self._paced(memoryview(block)):
                    yield piece
                    self._on_progress()
            self.complete = True
            self._on_complete()
        except MediaError as error:
            self.error = error
            raise

    async def _paced(self, block: memoryview) -> AsyncIterator[memoryview]:
        throttle = self._throttle
        size = _SEND_BYTES if throttle is None else throttle.piece_bytes
        for start in range(0, len(block), size):
            piece = block[start : start + size]
            if throttle is not None:
                await asyncio.sleep(throttle.wait_s(len(piece)))
                self._on_progress()
            yield piece

    async def _checked_blocks(self) -> AsyncIterator[bytes]:
        """Blocks as read, each while the one before is sent; the last one only after size and
        hash were found right."""
        if self._whole is not None:
            yield self._checked_whole(*self._whole)
            return
        digest, size = hashlib.sha256(), 0
        held, following = b"", await self._read(digest)
        while following:
            size += len(following)
            if size > self._source.size_bytes:
                raise self._changed()
            self._ahead = asyncio.create_task(self._read(digest))
            if held:
                yield held
            held, following = following, await self._ahead
        if size != self._source.size_bytes or digest.hexdigest() != self._source.content_hash:
            raise self._changed()
        yield held

    def _checked_whole(self, content: bytes, content_hash: str) -> bytes:
        if len(content) != self._source.size_bytes or content_hash != self._source.content_hash:
            raise self._changed()
        return content

    async def _read(self, digest: hashlib._Hash) -> bytes:
        """The next block, with its bytes added to the digest of the file."""
        assert self._file is not None, "used outside its context"
        try:
            block = await self._file.read(_READ_BYTES)
        except OSError as error:
            raise self._unreadable(error) from error
        await asyncio.to_thread(digest.update, block)
        return block

    def _unreadable(self, error: OSError) -> MediaError:
        why = error.strerror or type(error).__name__
        return MediaError(
            self._source.path,
            f"cannot be read ({why})",
            "make it readable and run again",
        )

    def _changed(self) -> FileChanged:
        return FileChanged(
            self._source.path,
            "was changed while the batch ran",
            "leave input files alone during a run, and run again",
        )


def _at_hand(path: str, size_bytes: int) -> bytes | None:
    """The content of a small file of this size, if the system has it in memory: planning has just
    read it. None if not; it waits for no disk."""
    if size_bytes > _AT_ONCE_BYTES or not hasattr(os, "RWF_NOWAIT"):
        return None
    content = bytearray(size_bytes + 1)
    # Not even a pipe that has taken the file's place may hold up the loop.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        size = os.preadv(file, [content], 0, os.RWF_NOWAIT)
    except OSError:
        return None  # not in memory, or on a file system that cannot tell
    finally:
        os.close(file)
    return bytes(content[:size]) if size == size_bytes else None


def _read_hashed(path: str) -> tuple[bytes, str]:
    """A small file and its SHA-256 in hex. Of one that has grown, enough to see that it has."""
    with Path(path).open("rb") as file:
        content = file.read(_READ_BYTES + 1)
    return content, hashlib.sha256(content).hexdigest()
