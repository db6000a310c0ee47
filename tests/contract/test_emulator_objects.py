"""The manners of the object store and the CDN: presigned PUTs, signed downloads, ranges."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from emulator_support import HEADERS, Client, FakeClock, eventually, make_wav, running
from yarl import URL

from orchestrator.emulator.ranges import NotSatisfiable, Span, wanted


async def raw_request(url: str, head: str, body: bytes = b"") -> bytes:
    """Send bytes as they are and read the whole reply."""
    address = URL(url, encoded=True)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    target = url.partition(f":{address.port}")[2]
    request = f"PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n"
    writer.write(request.encode() + body)
    await writer.drain()
    reply = await reader.read()
    writer.close()
    await writer.wait_closed()
    return reply


async def test_a_put_answers_with_the_md5_as_etag(tmp_path: Path) -> None:
    data = make_wav()
    async with running(tmp_path) as (_, client):
        url = (await client.credential("wav"))["uploadUrl"]
        reply = await client.put(url, data)
        again = await client.put(url, data)
    assert reply == again == (200, "", f'"{hashlib.md5(data).hexdigest()}"')


async def test_a_second_put_replaces_the_first(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        given = await client.credential("wav")
        for seconds in (1.0, 2.0):
            await client.put(given["uploadUrl"], make_wav(seconds))
        task = await client.task(audioSourceFrom="0", audioFileId=given["fileId"])
        content = next(iter(emulator.audit().jobs))
        assert emulator.audit().jobs[content] == [task]
        assert sorted(emulator.audit().uploads.values()) == [1, 1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda url: url.replace("%2B", "+"),
        lambda url: url.replace("%2F", "/"),
        lambda url: url.partition("?")[0],
        lambda url: url + "&more=1",
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url.replace("/up/", "/up//"),
    ],
)
async def test_an_address_that_was_not_brought_back_byte_for_byte_is_refused(
    tmp_path: Path, spoil: Callable[[str], str]
) -> None:
    async with running(tmp_path) as (_, client):
        url = (await client.credential("wav"))["uploadUrl"]
        status, text, _ = await client.put(spoil(url), b"data")
    assert (status, "<Code>SignatureDoesNotMatch</Code>" in text) == (403, True)


async def test_a_chunked_put_is_not_implemented(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"data"

    async with running(tmp_path) as (_, client):
        url = (await client.credential("wav"))["uploadUrl"]
        status, text, _ = await client.put(url, pieces())
    assert (status, "<Header>Transfer-Encoding</Header>" in text) == (501, True)


async def test_a_put_without_a_length_is_told_so(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        url = (await client.credential("wav"))["uploadUrl"]
        reply = await raw_request(url, "")
    assert reply.startswith(b"HTTP/1.1 411") and b"MissingContentLength" in reply


async def test_expect_100_continue_is_served(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        url = (await client.credential("wav"))["uploadUrl"]
        reply = await raw_request(url, "Content-Length: 4\r\nExpect: 100-continue\r\n", b"data")
    assert reply.startswith(b"HTTP/1.1 100") and b"HTTP/1.1 200" in reply


async def test_unsigned_amazon_headers_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        url = (await client.credential("wav"))["uploadUrl"]
        status, text, _ = await client.put(url, b"data", **{"x-amz-acl": "private"})
    assert (status, "<HeadersNotSigned>x-amz-acl" in text) == (403, True)


async def test_an_expired_upload_address_is_refused(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock, upload_link_s=60.0) as (_, client):
        url = (await client.credential("wav"))["uploadUrl"]
        clock.pass_s(59)
        assert (await client.put(url, b"data"))[0] == 200
        clock.pass_s(1)
        status, text, _ = await client.put(url, b"data")
    assert (status, "Request has expired" in text) == (403, True)


async def test_an_upload_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        given = await client.credential("wav")
        address = URL(given["uploadUrl"], encoded=True)
        _, writer = await asyncio.open_connection(address.host, address.port)
        target = given["uploadUrl"].partition(f":{address.port}")[2]
        writer.write(f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nab".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        check = await client.get("/v1/upload/check", fileId=given["fileId"])

        async def tidy() -> bool:
            return not list((tmp_path / "incoming").iterdir())

        await eventually(tidy)
    assert check["result"] is False


async def test_a_large_upload_is_streamed_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096 * 9
    async with running(tmp_path) as (emulator, client):
        url = (await client.credential("mp4"))["uploadUrl"]
        assert (await client.put(url, io.BytesIO(data)))[0] == 200
        assert emulator.audit().uploads == {hashlib.sha256(data).hexdigest(): 1}
        assert emulator.audit().bytes_received == len(data)


async def test_api_headers_on_the_other_hosts_are_recorded(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        given = await client.credential("wav")
        await client.put(given["uploadUrl"], make_wav(), **HEADERS)
        task = await client.task()
        link = (await client.finished(task))["outputVideoUrl"]
        await client.fetch(link, Authorization="Bearer some-key")
        leaks = emulator.audit().header_leaks
    assert [(k["listener"], k["method"], k["header"]) for k in leaks] == [
        ("store", "PUT", "Topview-Uid"),
        ("store", "PUT", "Authorization"),
        ("store", "GET", "Authorization"),
    ]
    assert "some-key" not in str(leaks)


@pytest.mark.parametrize("cloudfront", ["false", "true"])
async def test_a_result_is_served_whole_and_in_parts(tmp_path: Path, cloudfront: str) -> None:
    async with running(tmp_path) as (_, client):
        task = await client.task()
        await client.finished(task)
        url = (await client.query(task, needCloudFrontUrl=cloudfront))["outputVideoUrl"]
        status, whole, head = await client.fetch(url)
        etag = head["Etag"]
        part = await client.fetch(url, Range="bytes=100-199", **{"If-Range": etag})
        rest = await client.fetch(url, Range="bytes=100-")
        changed = await client.fetch(url, Range="bytes=100-", **{"If-Range": '"other"'})
        beyond = await client.fetch(url, Range=f"bytes={len(whole)}-")
    assert (status, etag) == (200, f'"{hashlib.md5(whole).hexdigest()}"')
    assert part[:2] == (206, whole[100:200])
    assert part[2]["Content-Range"] == f"bytes 100-199/{len(whole)}"
    assert rest[:2] == (206, whole[100:])
    assert changed[:2] == (200, whole)
    assert (beyond[0], beyond[2]["Content-Range"]) == (416, f"bytes */{len(whole)}")


SIZE, ETAG, DATE = 1000, '"abc"', "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize(
    ("header", "guard", "span"),
    [
        (None, None, None),
        ("bytes=0-", None, Span(start=0, end=1000)),
        ("bytes=0-0", None, Span(start=0, end=1)),
        ("bytes=990-5000", None, Span(start=990, end=1000)),
        ("bytes=-10", None, Span(start=990, end=1000)),
        ("bytes=-5000", None, Span(start=0, end=1000)),
        ("bytes=5-", ETAG, Span(start=5, end=1000)),
        ("bytes=5-", DATE, Span(start=5, end=1000)),
        ("bytes=5-", '"old"', None),
        ("bytes=5-", "Fri, 02 Jan 1970 00:00:00 GMT", None),
        ("bytes=9-5", None, None),
        ("bytes=-", None, None),
        ("bytes=0-1,5-6", None, None),
        ("lines=1-2", None, None),
    ],
)
def test_a_range_is_read_as_the_standard_says(
    header: str | None, guard: str | None, span: Span | None
) -> None:
    assert wanted(header, guard, size=SIZE, etag=ETAG, modified=DATE) == span


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=2000-3000", "bytes=-0"])
def test_a_range_behind_the_end_is_not_satisfiable(header: str) -> None:
    with pytest.raises(NotSatisfiable):
        wanted(header, None, size=SIZE, etag=ETAG, modified=DATE)


async def _ready_link(client: Client, cloudfront: str) -> str:
    task = await client.task()
    await client.finished(task)
    url: str = (await client.query(task, needCloudFrontUrl=cloudfront))["outputVideoUrl"]
    return url


@pytest.mark.parametrize("cloudfront", ["false", "true"])
async def test_a_result_link_expires_and_a_query_signs_a_fresh_one(
    tmp_path: Path, cloudfront: str
) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock) as (_, client):
        url = await _ready_link(client, cloudfront)
        clock.pass_s(86_399)
        assert (await client.fetch(url))[0] == 200
        clock.pass_s(2)
        status, text, _ = await client.fetch(url)
        assert (status, b"<Code>AccessDenied</Code>" in text) == (403, True)
        fresh = await _ready_link(client, cloudfront)
        assert (await client.fetch(fresh))[0] == 200


async def test_link_lifetimes_scale_with_time_but_never_under_half_a_minute(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock, time_scale=86_400.0) as (_, client):
        url = await _ready_link(client, "false")
        clock.pass_s(29)
        assert (await client.fetch(url))[0] == 200
        clock.pass_s(2)
        assert (await client.fetch(url))[0] == 403


async def test_an_object_is_gone_after_seven_days(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock) as (_, client):
        task = await client.task()
        await client.finished(task)
        clock.pass_s(7 * 86_400 + 1)
        url = (await client.query(task))["outputVideoUrl"]
        status, text, _ = await client.fetch(url)
    assert (status, b"NoSuchKey" in text) == (404, True)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 403), ("POST", 403), ("DELETE", 403)])
async def test_an_s3_link_is_good_for_its_own_verb_only(
    tmp_path: Path, method: str, status: int
) -> None:
    async with running(tmp_path) as (_, client):
        url = URL(await _ready_link(client, "false"), encoded=True)
        async with client.session.request(method, url) as reply:
            assert reply.status == status


async def test_the_cdn_answers_head_without_a_body(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        url = await _ready_link(client, "true")
        _, body, _ = await client.fetch(url)
        async with client.session.head(URL(url, encoded=True)) as reply:
            assert (reply.status, reply.headers["Content-Length"]) == (200, str(len(body)))


async def test_a_signed_link_of_one_task_opens_no_other(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        url = await _ready_link(client, "false")
        other = await client.task()
        name = url.partition("/out/")[2].partition(".mp4")[0]
        assert (await client.fetch(url.replace(name, other)))[0] == 403
