"""What a download leaves in its part, whatever breaks: always a true beginning of the video."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.media import receiving
from orchestrator.media.receiving import append

BLOCK = 1000
VIDEO = bytes(n % 251 for n in range(7 * BLOCK + 300))


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "_WRITE_BYTES", BLOCK)


async def pieces(data: bytes, size: int = 300, error: Exception | None = None) -> Any:
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(0)
    if error is not None:
        raise error


def taken(part: Path, stream: AsyncIterator[bytes], **more: Any) -> Any:
    given = {"start": 0, "total_bytes": len(VIDEO), "digest": None, **more}
    return append(stream, lambda: part, **given, then=lambda path, size: (path, size))


@pytest.mark.parametrize("size", [1, 300, 1000, 5000])
async def test_pieces_of_any_size_make_the_whole_and_its_digest(tmp_path: Path, size: int) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    path, length = await taken(tmp_path / "part", pieces(VIDEO, size), digest=digest)
    assert (path.read_bytes(), length) == (VIDEO, len(VIDEO))
    assert digest.digest() == hashlib.md5(VIDEO, usedforsecurity=False).digest()


@pytest.mark.parametrize("held", [1, 500, 4321])
async def test_the_rest_follows_what_is_there(tmp_path: Path, held: int) -> None:
    part = tmp_path / "part"
    part.write_bytes(VIDEO[:held] + b"what came after the last checked byte")
    await taken(part, pieces(VIDEO[held:]), start=held)
    assert part.read_bytes() == VIDEO


@pytest.mark.parametrize("came", [0, 100, 2500])
async def test_what_came_before_a_break_is_kept(tmp_path: Path, came: int) -> None:
    part = tmp_path / "part"
    with pytest.raises(ConnectionError):
        await taken(part, pieces(VIDEO[:came], error=ConnectionError()))
    assert part.read_bytes() == VIDEO[:came]


async def test_a_cancelled_download_keeps_what_came(tmp_path: Path) -> None:
    part, waits = tmp_path / "part", asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        async for piece in pieces(VIDEO[:2500]):
            yield piece
        waits.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(taken(part, endless()))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert part.read_bytes() == VIDEO[:2500]


class Full:
    """A file on a disk that has room for so many writes."""

    def __init__(self, path: Path, writes: int) -> None:
        self.file, self.left = path.open("wb"), writes

    def write(self, block: memoryview) -> int:
        self.left -= 1
        if self.left == -1:
            raise OSError(errno.ENOSPC, "no room")
        return self.file.write(block)

    def close(self) -> None:
        self.file.close()


async def test_after_a_write_that_failed_nothing_more_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room may come back between two blocks: the part would have a hole that nobody sees."""
    part = tmp_path / "part"
    monkeypatch.setattr(receiving, "_opened", lambda path, start: Full(path, 2))
    with pytest.raises(OSError, match="no room"):
        await taken(part, pieces(VIDEO))
    written = part.read_bytes()
    assert 0 < len(written) < len(VIDEO)
    assert VIDEO.startswith(written)


class Sparing(io.FileIO):
    """A file that takes only so much at once, as one may whose disk is nearly full."""

    def write(self, block: Any) -> int:
        return super().write(block[:77]) or 0


async def test_what_the_file_did_not_take_at_once_is_written_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_opened", lambda path, start: Sparing(path, "wb"))
    path, _ = await taken(tmp_path / "part", pieces(VIDEO))
    assert path.read_bytes() == VIDEO


async def test_a_large_video_is_on_its_way_to_the_disk_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges: list[tuple[int, int]] = []

    def advised(descriptor: int, start: int, size_bytes: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_DONTNEED
        ranges.append((start, start + size_bytes))

    monkeypatch.setattr(receiving, "_DIRTY_BYTES", 2 * BLOCK)
    monkeypatch.setattr(os, "posix_fadvise", advised)
    path, _ = await taken(tmp_path / "part", pieces(VIDEO[500:]), start=0)
    assert path.read_bytes() == VIDEO[500:]
    starts, ends = zip(*ranges, strict=True)
    assert len(VIDEO) - 500 - ends[-1] < 2 * BLOCK
    assert all(start <= before for start, before in zip(starts, (0, *ends[:-1]), strict=True))


async def test_what_is_on_the_disk_is_let_go_of_while_the_rest_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[range] = []

    def advised(descriptor: int, start: int, size_bytes: int, advice: int) -> None:
        told.append(range(start, start + size_bytes))

    monkeypatch.setattr(receiving, "_DIRTY_BYTES", BLOCK)
    monkeypatch.setattr(os, "posix_fadvise", advised)
    await taken(tmp_path / "part", pieces(VIDEO))
    assert len(told) > 4
    assert sum(0 in span for span in told) == 4
    assert all(len(span) <= 8 * BLOCK for span in told)
