"""Uploads at a real socket: the bytes on the wire, and the file that changes on its way."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from client_raw_server import (
    Exchange,
    Manner,
    RawServer,
    falls_silent,
    replies,
    resets,
    response,
    says,
    serving,
)

from orchestrator.config import Proxies, Secret, VendorSettings
from orchestrator.errors import FileChanged, MediaError
from orchestrator.model import Answer, ContentHash, Failure
from orchestrator.topview.client import Timeouts, TopViewClient

SIGNED = "/up/a%2Fb.mp4?X-Amz-Credential=AK%2F20260101%2Fs3&X-Amz-Signature=ab%2Bc%3D&x=a+b"


@dataclass(frozen=True)
class File:
    path: str
    size_bytes: int
    content_hash: ContentHash
    format: str


def file_of(folder: Path, content: bytes, format: str = "mp4") -> File:
    path = folder / f"input.{format}"
    path.write_bytes(content)
    digest = ContentHash(hashlib.sha256(content).hexdigest())
    return File(str(path), len(content), digest, format)


@asynccontextmanager
async def client_with(idle_s: float = 10.0) -> AsyncIterator[TopViewClient]:
    settings = VendorSettings(base_url="http://api.invalid", uid="uid-1", api_key=Secret("key"))
    timeouts = Timeouts(connect_s=5.0, idle_s=idle_s)
    client = TopViewClient(settings, timeouts=timeouts, proxies=Proxies(), wall=lambda: 0.0)
    async with client:
        yield client


async def put(server: RawServer, file: File, idle_s: float = 10.0) -> Answer:
    async with client_with(idle_s) as client:
        return await client.put(server.url + SIGNED, file)


CONTENTS = {
    "one byte": b"x",
    "less than a piece": b"abc" * 100,
    "exactly one block": b"\x00\xff" * (256 * 1024),
    "several blocks and a rest": bytes(range(256)) * 8192 + b"rest",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
async def test_the_file_arrives_byte_for_byte_with_its_length(
    tmp_path: Path, content: bytes
) -> None:
    async with serving(replies(b"")) as server:
        answer = await put(server, file_of(tmp_path, content))
    (seen,) = server.requests
    assert answer == Answer(status=200)
    assert seen.body == content
    assert seen.header("Content-Length") == str(len(content))
    assert seen.header("Transfer-Encoding") is None


async def test_the_presigned_address_is_used_byte_for_byte(tmp_path: Path) -> None:
    async with serving(replies(b"")) as server:
        await put(server, file_of(tmp_path, b"abc"))
    assert server.requests[0].target == SIGNED


async def test_no_header_of_the_api_reaches_the_object_store(tmp_path: Path) -> None:
    async with serving(replies(b"")) as server:
        await put(server, file_of(tmp_path, b"abc", "m4a"))
    (seen,) = server.requests
    names = {line.split(b":")[0].lower() for line in seen.head.split(b"\r\n")[1:] if line}
    assert names == {
        *(b"host", b"user-agent", b"accept", b"accept-encoding"),
        *(b"content-length", b"content-type"),
    }
    assert seen.header("Content-Type") == "audio/mp4"


DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><AWSAccessKeyId>AK</AWSAccessKeyId>'


async def test_the_word_of_the_object_store_is_the_message_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with serving(replies(DENIED, "403 Forbidden", "Retry-After: 3")) as server:
        answer = await put(server, file_of(tmp_path, b"abc"))
    assert answer == Answer(status=403, message="AccessDenied", retry_after_s=3.0)


@pytest.mark.parametrize("manner", [resets, says(b""), says(b"no HTTP\r\n\r\n")])
async def test_a_put_is_sent_once_even_if_its_reply_is_lost(tmp_path: Path, manner: Manner) -> None:
    async with serving(manner) as server:
        answer = await put(server, file_of(tmp_path, b"abc"))
        await asyncio.sleep(0.05)
    assert answer.failure is Failure.NO_REPLY
    assert len(server.requests) == 1


async def test_a_redirect_of_a_put_is_not_followed(tmp_path: Path) -> None:
    async with serving(replies(b"", "307 Temporary", "Location: /elsewhere")) as server:
        answer = await put(server, file_of(tmp_path, b"abc"))
    assert answer.status == 307
    assert len(server.requests) == 1


async def test_a_refusal_in_mid_upload_is_heard(tmp_path: Path) -> None:
    async with serving(replies(DENIED, "403 Forbidden"), read_body=False) as server:
        answer = await put(server, file_of(tmp_path, b"x" * 30_000_000))
    assert answer.status == 403


async def test_a_success_before_the_end_of_the_file_is_not_believed(tmp_path: Path) -> None:
    async with serving(replies(b""), read_body=False) as server:
        answer = await put(server, file_of(tmp_path, b"x" * 30_000_000))
    assert answer == Answer(failure=Failure.NO_REPLY, detail="answered before the file was sent")


async def test_an_upload_that_stands_still_is_ended(tmp_path: Path) -> None:
    async with serving(falls_silent, read_body=False) as server:
        answer = await put(server, file_of(tmp_path, b"x" * 30_000_000), idle_s=0.3)
    assert answer == Answer(failure=Failure.NO_REPLY, detail="no reply within 0.3 s")


async def test_a_reply_that_does_not_come_after_the_last_piece_is_given_up(
    tmp_path: Path,
) -> None:
    settings = VendorSettings(base_url="http://api.invalid", uid="u", api_key=Secret("k"))
    timeouts = Timeouts(idle_s=10.0, put_reply_s=0.3)
    async with (
        serving(falls_silent) as server,
        TopViewClient(settings, timeouts=timeouts, proxies=Proxies()) as client,
    ):
        answer = await client.put(server.url, file_of(tmp_path, b"abc"))
    assert answer == Answer(failure=Failure.NO_REPLY, detail="no reply within 0.3 s")


async def test_a_slow_upload_lasts_longer_than_the_idle_limit(tmp_path: Path) -> None:
    size = 8_000_000

    async def sips(exchange: Exchange) -> None:
        left = size
        while left > 0:
            left -= len(await exchange.reader.read(200_000))
            await asyncio.sleep(0.02)
        exchange.writer.write(response(b""))

    async with serving(sips, read_body=False) as server:
        before = asyncio.get_running_loop().time()
        answer = await put(server, file_of(tmp_path, b"x" * size), idle_s=0.4)
        took_s = asyncio.get_running_loop().time() - before
    assert answer.status == 200
    assert took_s > 0.6


CHANGES = {
    "longer": b"a" * 1_500_001,
    "shorter": b"a" * 1_400_000,
    "empty": b"",
    "other bytes": b"a" * 1_499_999 + b"b",
}


@pytest.mark.parametrize("small", [False, True], ids=["large", "small"])
@pytest.mark.parametrize("content", CHANGES.values(), ids=CHANGES)
async def test_a_changed_file_is_never_complete_at_the_server(
    tmp_path: Path, content: bytes, small: bool
) -> None:
    planned = 1_500_000
    if small:
        content, planned = content[1_200_000:], 300_000
    bodies: list[int] = []

    async def counts(exchange: Exchange) -> None:
        got = 0
        while piece := await exchange.reader.read(100_000):
            got += len(piece)
        bodies.append(got)

    file = file_of(tmp_path, b"a" * planned)
    Path(file.path).write_bytes(content)
    async with serving(counts, read_body=False) as server:
        with pytest.raises(FileChanged, match="run again"):
            await put(server, file)
    assert all(got < planned for got in bodies)


async def test_a_missing_file_is_reported_before_anything_is_sent(tmp_path: Path) -> None:
    file = file_of(tmp_path, b"abc")
    Path(file.path).unlink()
    async with serving(replies(b"")) as server:
        with pytest.raises(MediaError, match="cannot be read"):
            await put(server, file)
    assert server.requests == []


async def test_a_folder_in_place_of_the_file_is_reported(tmp_path: Path) -> None:
    file = File(str(tmp_path), 3, ContentHash("0" * 64), "mp4")
    async with serving(replies(b"")) as server:
        with pytest.raises(MediaError, match="cannot be read"):
            await put(server, file)
    assert server.requests == []


async def test_an_address_that_is_none_is_never_sent(tmp_path: Path) -> None:
    async with client_with() as client:
        answer = await client.put("http://", file_of(tmp_path, b"abc"))
    assert answer.failure is Failure.NEVER_SENT


async def test_cancellation_passes_through_an_upload(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def manner(exchange: Exchange) -> None:
        arrived.set()
        await falls_silent(exchange)

    async with serving(manner, read_body=False) as server, client_with() as client:
        file = file_of(tmp_path, b"x" * 30_000_000)
        call = asyncio.ensure_future(client.put(server.url + SIGNED, file))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
