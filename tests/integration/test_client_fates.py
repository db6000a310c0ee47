"""Every way a call can end, at a real socket: what it is judged to be, and that it was sent
exactly once."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from client_raw_server import (
    Exchange,
    Manner,
    falls_silent,
    replies,
    resets,
    response,
    says,
    serving,
    trickles,
)

from orchestrator.config import Proxies, Secret, VendorSettings
from orchestrator.model import Answer, Failure, FileId, TaskId
from orchestrator.topview.client import Timeouts, TopViewClient

QUICK = Timeouts(connect_s=1.0, submit_reply_s=0.3, reply_s=0.3, idle_s=0.3)
PATIENT = Timeouts(connect_s=5.0, submit_reply_s=10.0, reply_s=10.0, idle_s=10.0)
KEY = "key-that-nobody-may-see"

Call = Callable[[TopViewClient], Awaitable[Answer]]


def submit(client: TopViewClient) -> Awaitable[Answer]:
    return client.submit({"modeType": "0"})


def query(client: TopViewClient) -> Awaitable[Answer]:
    return client.query(TaskId("t1"))


CALLS: Mapping[str, Call] = {"submit": submit, "query": query}


@asynccontextmanager
async def client_of(
    base_url: str, timeouts: Timeouts = PATIENT, proxies: Proxies | None = None
) -> AsyncIterator[TopViewClient]:
    settings = VendorSettings(base_url=base_url, uid="uid-1", api_key=Secret(KEY))
    client = TopViewClient(
        settings, timeouts=timeouts, proxies=proxies or Proxies(), wall=lambda: 1000.0
    )
    async with client:
        yield client


@pytest.fixture
def refusing_url() -> str:
    """An address at which surely nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


TLS_PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1oSJR5YieA1shXxF
1z/7qpDlId3QcFysE5ZW4zKCcoqhRANCAAR/FCHhMQhhDxJ9+81VDeLIu4V1/bVO
amFOp5S8NyYLkxelSfad9Y2WkMx5c5bz+I4mrqkX1u2zScZCbU+bLbNg
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBjzCCATagAwIBAgIUOK1hMRXknWY7FTTyHXNdC5bvrTwwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMjE4NDIzMFoYDzIxMjYxMDI5
MTg0MjMwWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAR/FCHhMQhhDxJ9+81VDeLIu4V1/bVOamFOp5S8NyYLkxelSfad9Y2W
kMx5c5bz+I4mrqkX1u2zScZCbU+bLbNgo2QwYjAdBgNVHQ4EFgQUA4KaiDhWAS6O
ZZau3S1PWPOFSIQwHwYDVR0jBBgwFoAUA4KaiDhWAS6OZZau3S1PWPOFSIQwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0cAMEQC
IFthKml4QGhi58qCM4epslEO+E/YLXQTzc69zpcD1WDKAiBn42/4AWt9kT5Sppgp
4W4JH8B1Drf375lKhEjr9GN+hQ==
-----END CERTIFICATE-----
"""
"""A key and certificate for 127.0.0.1, made for this test; nothing else trusts it."""

GARBLED = b"hello, this is no HTTP\r\n\r\n"
HALF_HEAD = b"HTTP/1.1 200 OK\r\nContent-Ty"
CUT_BODY = b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"code": "200", '
CUT_CHUNKS = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"cod\r\n'
CONFLICTING = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"

LOST = {
    "reset before the reply": resets,
    "closed without a byte": says(b""),
    "garbage for a status line": says(GARBLED),
    "half a head": says(HALF_HEAD),
    "a body cut off": says(CUT_BODY),
    "chunks cut off": says(CUT_CHUNKS),
    "two lengths": says(CONFLICTING),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("manner", LOST.values(), ids=LOST)
async def test_a_lost_reply_is_no_reply_and_the_request_is_sent_once(
    manner: Manner, call: Call
) -> None:
    async with serving(manner) as server, client_of(server.url) as client:
        answer = await call(client)
        await asyncio.sleep(0.05)
    assert (answer.failure, answer.status) == (Failure.NO_REPLY, None)
    assert answer.detail
    assert len(server.requests) == 1


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("manner", [falls_silent, trickles])
async def test_our_own_clock_ends_a_reply_that_does_not_come(manner: Manner, call: Call) -> None:
    async with serving(manner) as server, client_of(server.url, QUICK) as client:
        answer = await call(client)
    assert answer == Answer(failure=Failure.NO_REPLY, detail="no reply within 0.3 s")
    assert len(server.requests) == 1


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_refused_connection_is_never_sent(refusing_url: str, call: Call) -> None:
    async with client_of(refusing_url) as client:
        answer = await call(client)
    assert answer.failure is Failure.NEVER_SENT


async def test_a_host_without_an_address_is_never_sent() -> None:
    async with client_of("http://no-such-host.invalid") as client:
        answer = await submit(client)
    assert answer.failure is Failure.NEVER_SENT


async def test_a_connection_that_does_not_come_to_stand_is_never_sent() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:  # a full backlog leaves further connections hanging
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    try:
        async with client_of(f"http://127.0.0.1:{port}", QUICK) as client:
            answer = await submit(client)
    finally:
        for open_socket in (listener, *fillers):
            open_socket.close()
    assert answer == Answer(failure=Failure.NEVER_SENT, detail="no connection in time")


async def test_a_server_that_speaks_no_tls_is_never_sent() -> None:
    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello, speak plainly\r\n")
        writer.close()

    server = await asyncio.start_server(greets, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client_of(f"https://127.0.0.1:{port}") as client:
        answer = await submit(client)
    assert answer.failure is Failure.NEVER_SENT


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(status: str, call: Call) -> None:
    manner = replies(b"", status, "Location: /elsewhere")
    async with serving(manner) as server, client_of(server.url) as client:
        answer = await call(client)
    assert (answer.status, answer.code, answer.failure) == (int(status[:3]), None, None)
    assert len(server.requests) == 1


async def test_a_body_of_200_mb_is_given_up_after_4_mib() -> None:
    sent = 0

    async def floods(exchange: Exchange) -> None:
        nonlocal sent
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        piece = b"x" * 100_000
        for _ in range(2000):
            exchange.writer.write(piece)
            await exchange.writer.drain()
            sent += len(piece)

    async with serving(floods) as server, client_of(server.url) as client:
        answer = await query(client)
    assert answer == Answer(failure=Failure.NO_REPLY, detail="the reply is larger than 4 MiB")
    assert sent < 50_000_000


async def test_a_submit_opens_a_connection_of_its_own_each_time() -> None:
    body = b'{"code": "200", "message": "Success", "result": {"taskId": "t1"}}'
    async with serving(replies(body)) as server, client_of(server.url) as client:
        for _ in range(3):
            assert (await submit(client)).ok
    assert (len(server.requests), server.connections) == (3, 3)


async def test_free_calls_share_a_connection() -> None:
    body = b'{"code": "200", "message": "Success", "result": true}'
    async with serving(replies(body)) as server, client_of(server.url) as client:
        for _ in range(3):
            assert (await client.check(FileId("f1"))).ok
    assert (len(server.requests), server.connections) == (3, 1)


async def test_the_reply_clock_runs_on_a_reused_connection_too() -> None:
    body = b'{"code": "200", "message": "Success", "result": true}'
    turns = iter([replies(body), trickles])

    async def manner(exchange: Exchange) -> None:
        await next(turns)(exchange)

    async with serving(manner) as server, client_of(server.url, QUICK) as client:
        assert (await client.check(FileId("f1"))).ok
        answer = await client.check(FileId("f1"))
    assert answer.failure is Failure.NO_REPLY
    assert server.connections == 1


async def test_cancellation_passes_through() -> None:
    arrived = asyncio.Event()

    async def manner(exchange: Exchange) -> None:
        arrived.set()
        await falls_silent(exchange)

    async with serving(manner) as server, client_of(server.url) as client:
        call = asyncio.ensure_future(submit(client))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_body_that_is_no_json_is_never_sent(refusing_url: str) -> None:
    async with client_of(refusing_url) as client:
        answer = await client.submit({"odd": object()})
    assert answer.failure is Failure.NEVER_SENT


REQUESTS: list[tuple[Call, str]] = [
    (lambda c: c.credit_detail(), "GET /base/user/credit/detail"),
    (lambda c: c.credential("mp4"), "GET /base/v1/upload/credential?format=mp4"),
    (lambda c: c.check(FileId("f 1")), "GET /base/v1/upload/check?fileId=f+1"),
    (query, "GET /base/v1/video_avatar/task/query?taskId=t1&needCloudFrontUrl=true"),
    (submit, "POST /base/v1/video_avatar/task/submit"),
]


@pytest.mark.parametrize(("call", "line"), REQUESTS, ids=[line for _, line in REQUESTS])
async def test_a_call_goes_to_its_path_with_the_credentials(call: Call, line: str) -> None:
    body = b'{"code": 200, "message": "Success", "result": null}'
    async with serving(replies(body)) as server, client_of(f"{server.url}/base") as client:
        answer = await call(client)
    (seen,) = server.requests
    assert seen.head.decode().startswith(f"{line} HTTP/1.1")
    assert seen.header("Topview-Uid") == "uid-1"
    assert seen.header("Authorization") == f"Bearer {KEY}"
    assert answer.code == "200"


async def test_a_submit_carries_its_body_as_json() -> None:
    async with serving(replies(b"{}")) as server, client_of(server.url) as client:
        await client.submit({"ttsText": "Grüße", "voiceSpeed": 1.0})
    (seen,) = server.requests
    assert seen.header("Content-Type") == "application/json"
    assert seen.body == b'{"ttsText": "Gr\\u00fc\\u00dfe", "voiceSpeed": 1.0}'


async def test_s3_links_are_asked_for_where_cloudfront_is_not_wanted() -> None:
    async with serving(replies(b"{}")) as server:
        settings = VendorSettings(
            base_url=server.url, uid="u", api_key=Secret("k"), need_cloudfront=False
        )
        async with TopViewClient(settings, proxies=Proxies()) as client:
            await query(client)
    assert server.requests[0].target.endswith("?taskId=t1&needCloudFrontUrl=false")


async def test_an_answer_holds_what_came() -> None:
    body = b'{"code": "5003", "message": "busy", "result": null}'
    manner = replies(body, "503 Busy", "Retry-After: 7", "Date: Thu, 01 Jan 1970 00:20:00 GMT")
    async with serving(manner) as server, client_of(server.url) as client:
        answer = await query(client)
    assert answer == Answer(
        status=503, code="5003", message="busy", retry_after_s=7.0, server_time=1200.0
    )


CREDIT: list[tuple[str, Any]] = [
    ('{"uid": "u", "remainCredit": 42.5, "apiKeyMap": {"a": "SECRET"}}', {"remainCredit": 42.5}),
    ('{"apiKeyMap": {"a": "SECRET"}}', None),
    ('["SECRET"]', None),
]


@pytest.mark.parametrize(("result", "kept"), CREDIT)
async def test_nothing_but_the_balance_is_kept_of_the_credit_call(result: str, kept: Any) -> None:
    body = f'{{"code": "200", "message": "SECRET", "result": {result}}}'.encode()
    async with serving(replies(body)) as server, client_of(server.url) as client:
        answer = await client.credit_detail()
    assert answer.result == kept
    assert "SECRET" not in repr(answer)


async def test_nothing_is_kept_of_a_credit_reply_that_is_no_envelope() -> None:
    manner = replies(b'{"apiKeyMap": "SECRET"}')
    async with serving(manner) as server, client_of(server.url) as client:
        answer = await client.credit_detail()
    assert "SECRET" not in repr(answer)


async def test_a_key_that_the_vendor_quotes_is_taken_out_of_the_message() -> None:
    body = f'{{"code": "401", "message": "bad key {KEY}", "result": null}}'.encode()
    async with serving(replies(body)) as server, client_of(server.url) as client:
        answer = await query(client)
    assert answer.message == "bad key ***"


async def test_a_proxy_that_refuses_connect_means_never_sent() -> None:
    async with serving(replies(b"", "403 Forbidden")) as proxy:
        proxies = Proxies(by_scheme={"https": proxy.url})
        async with client_of("https://api.vendor.invalid", proxies=proxies) as client:
            answer = await submit(client)
    assert answer.failure is Failure.NEVER_SENT
    assert answer.detail == "the proxy refused the connection with HTTP 403"
    assert [seen.head.split(b" HTTP")[0] for seen in proxy.requests] == [
        b"CONNECT api.vendor.invalid:443"
    ]
    assert all(KEY.encode() not in seen.head for seen in proxy.requests)


async def test_a_proxy_that_is_not_there_means_never_sent(refusing_url: str) -> None:
    proxies = Proxies(by_scheme={"https": refusing_url})
    async with client_of("https://api.vendor.invalid", proxies=proxies) as client:
        answer = await submit(client)
    assert answer.failure is Failure.NEVER_SENT


async def test_the_password_of_a_proxy_goes_to_the_proxy_only() -> None:
    async with serving(replies(b'{"code": "200"}')) as proxy:
        address = proxy.url.replace("http://", "http://me:word@")
        proxies = Proxies(by_scheme={"http": address})
        async with client_of("http://api.vendor.invalid", proxies=proxies) as client:
            assert (await query(client)).ok
    (seen,) = proxy.requests
    assert seen.header("Proxy-Authorization") == "Basic bWU6d29yZA=="
    assert seen.header("Authorization") == f"Bearer {KEY}"


async def test_loopback_is_reached_past_every_proxy(refusing_url: str) -> None:
    proxies = Proxies(by_scheme={"http": refusing_url})
    manner = replies(b'{"code": "200"}')
    async with serving(manner) as server, client_of(server.url, proxies=proxies) as client:
        assert (await query(client)).ok


async def test_a_netrc_file_changes_no_header(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(replies(b"{}")) as server, client_of(server.url) as client:
        await query(client)
    assert server.requests[0].header("Authorization") == f"Bearer {KEY}"


async def tls_answer(certificate: Path, proxies: Proxies) -> Answer:
    """What a query comes to at a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(b'{"code": "200"}'))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, client_of(f"https://127.0.0.1:{port}", proxies=proxies) as client:
        return await query(client)


async def test_a_certificate_is_trusted_if_ssl_cert_file_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "server.pem"
    certificate.write_text(TLS_PEM)
    stranger = await tls_answer(certificate, Proxies())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    friend = await tls_answer(certificate, Proxies())
    assert stranger.failure is Failure.NEVER_SENT
    assert stranger.detail == "the server's certificate is not trusted; see SSL_CERT_FILE"
    assert friend.ok
