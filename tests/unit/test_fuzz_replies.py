"""Whatever comes back from outside: no reader of replies raises, hangs, or swells.

The readers are fed bytes and JSON values that no vendor would send, and their results are held
against what the rest of the program relies on: finite numbers, text that can be stored, and never
a "no" to a paid request that may have been a "yes".
"""

from __future__ import annotations

import asyncio
import json
import math
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.config import Proxies, Secret, VendorSettings
from orchestrator.core.outcome import (
    CallFate,
    clean_words,
    find_task_id,
    judge_call,
    judge_put,
    judge_query,
    judge_submit,
)
from orchestrator.model import Answer, Failure, FileId, TaskId, Verdict
from orchestrator.topview import catalog, wire
from orchestrator.topview.client import Timeouts, TopViewClient
from orchestrator.web.notices import parse_notice, reply_for, token_in

NOW = 1_800_000_000.0
KEY = "sk-fuzz-3f9a1c5e7b2d4f60"
MANY = 4 * 1024 * 1024
QUICK_S = 10.0
"""Far more of the processor than any reader may take for 4 MiB, far less than a quadratic one."""

KEYS = (
    *("code", "message", "result", "data", "total", "taskId", "task_id", "status", "errorMsg"),
    *("outputVideoUrl", "inputVideoFileId", "inputAudioFileId", "costCredit", "fileId"),
    *("uploadUrl", "remainCredit", "date", "taskType", "aiavatarId", "aiavatarName", "gender"),
    *("ethnicities", "ethnicityName", "ethnicityId", "voiceoverIdDefault", "voiceId", "uuid"),
    *("previewVideoUrl", "demoAudioUrl", "bestSupportLanguage", "captionId", "thumbnail"),
)
WORDS = (
    *("200", "401", "4004", "4007", "4100", "5000", "5003", "9999", "true", "false", "success"),
    *("fail", "running", "done", "Success", "https://cdn.invalid/v.mp4?Signature=abc", "http://"),
    *("2026-01-02 03:04:05", "9999-12-31T23:59:59-14:00", "0001-01-01", "nan", "1e999", "\ud800"),
    *("Bearer " + KEY, "0" * 40, "\x00\x1b[31m", "a" * 3000, "video_avatar", " ", ""),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([200, 200.0, 4004, -1, 10**20, 10**400, 1.8e9, 1.8e12, 1e308, math.nan]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.sampled_from(WORDS), st.text())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), inner, max_size=6),
    ),
    max_leaves=20,
)
ENVELOPES = st.fixed_dictionaries(
    {"code": st.one_of(st.just("200"), SCALARS), "result": VALUES},
    optional={"message": SCALARS, "data": VALUES, "taskId": SCALARS},
)


def written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """JSON with a piece cut out, doubled, or replaced."""
    body = draw(st.one_of(ENVELOPES, VALUES).map(written))
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, len(body)))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


BODIES = st.one_of(st.binary(), ENVELOPES.map(written), VALUES.map(written), spoilt())
STATUSES = st.one_of(st.sampled_from([200, 204, 301, 401, 403, 408, 429, 500]), st.integers(0, 999))
HEADER_TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["Wed, 21 Oct 2026 07:28:00 GMT", "120", "-1", "1e9", "9" * 300, "0.5"]),
)
HEADERS = st.dictionaries(
    st.sampled_from(["Date", "Retry-After", "retry-after", "Content-Type"]), HEADER_TEXTS
)


def strings(value: Any) -> Iterator[str]:
    """Every text that a judgement keeps."""
    for name in type(value).__dataclass_fields__:
        item = getattr(value, name)
        if isinstance(item, str):
            yield item


def storable(value: Any) -> bool:
    """Its texts can be written to a database and shown on one line."""
    return all(text.encode() is not None and "\n" not in text for text in strings(value))


def sane(number: float | None, least: float = -math.inf, most: float = math.inf) -> bool:
    return number is None or (math.isfinite(number) and least <= number <= most)


def check_judgements(answer: Answer) -> None:
    """Every reader of an answer, and what the program relies on."""
    check_answer(answer)
    check_lists(answer)


def check_answer(answer: Answer) -> None:
    assert sane(answer.retry_after_s, 0.0, 3600.0) and sane(answer.server_time)
    assert len(answer.message) <= 500 and KEY not in answer.message
    submit = judge_submit(answer)
    assert (submit.task_id is not None) == (submit.verdict is Verdict.ACCEPTED)
    if submit.task_id is None:  # an id is opaque, however odd
        assert storable(submit) and len(submit.message) < 2000
    else:
        assert submit.task_id.encode()
    query = judge_query(answer, TaskId("a" * 32))
    assert storable(query) and sane(query.cost_credit, 0.0)
    assert storable(judge_call(answer)) and storable(judge_put(answer))
    assert wire.check_result(answer) in (True, False, None)
    assert sane(wire.remaining_credit(answer))
    ticket = wire.parse_credential(answer)
    assert ticket is None or ticket.file_id.encode()


def check_lists(answer: Answer) -> None:
    page = catalog.read_page(answer)
    for item in () if page is None else page.items:
        for read in (catalog.charge, catalog.caption, catalog.ethnicity):
            found = read(item)
            assert found is None or storable(found)
        for private in (True, False):
            assert storable_or_none(catalog.avatar(item, private=private))
            assert storable_or_none(catalog.voice(item, private=private))
    log = catalog.read_page(catalog.scrub_log(answer, (KEY,)))
    for item in () if log is None else log.items:
        charge = catalog.charge(item)
        assert charge is None or (sane(charge.at) and sane(charge.credits))
        assert set(item) <= set(catalog.LOG_KEYS) and KEY not in str(item)


def storable_or_none(value: Any) -> bool:
    return value is None or storable(value)


@given(status=STATUSES, headers=HEADERS, body=BODIES)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_response_is_read_and_judged(status: int, headers: dict[str, str], body: bytes) -> None:
    check_judgements(wire.parse_envelope(status, headers, body, NOW))


@given(envelope=ENVELOPES)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_envelope_is_read_and_judged(envelope: dict[str, Any]) -> None:
    check_judgements(wire.parse_envelope(200, {}, written(envelope), NOW))


@given(
    values=st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, SCALARS)),
    shape=st.sampled_from(["object", "list", "page"]),
)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_known_fields_with_any_value_are_read(values: dict[str, Any], shape: str) -> None:
    result: Any = {
        "object": values,
        "list": [values],
        "page": {"data": [values], "total": values.get("total")},
    }[shape]
    body = written({"code": "200", "message": "Success", "result": result})
    check_judgements(wire.parse_envelope(200, {}, body, NOW))


@given(status=STATUSES, body=BODIES)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_submit_is_refused_only_by_a_code_or_status_that_says_so(
    status: int, body: bytes
) -> None:
    answer = wire.parse_envelope(status, {}, body, NOW)
    outcome = judge_submit(answer)
    if outcome.verdict is not Verdict.REFUSED:
        return
    surely = {"401", "4000", "4001", "4002", "4003", "4004", "4005", "4006", "4007", "4100"}
    if answer.code is not None:
        assert answer.code in surely | {"5003", "6001"}
    else:
        assert 400 <= status <= 499 and status != 408
    assert find_task_id(answer.result) is None


@given(task=st.from_regex(r"[0-9a-f]{32}", fullmatch=True), envelope=ENVELOPES, deep=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_task_id_in_any_envelope_is_a_task(
    task: str, envelope: dict[str, Any], deep: bool
) -> None:
    envelope = {**envelope, "result": {"inner": [{"taskId": task}]} if deep else {"taskId": task}}
    outcome = judge_submit(wire.parse_envelope(500, {}, written(envelope), NOW))
    assert outcome.verdict is Verdict.ACCEPTED


@given(body=st.one_of(BODIES, BODIES.map(lambda b: written({"taskId": "t", "result": str(b)}))))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_notice_is_read(body: bytes) -> None:
    notice = parse_notice("token", body)
    if notice is not None:
        assert storable(notice) and notice.task_id
        assert json.dumps(reply_for(notice, Secret("uid")))


@given(path=st.text(), prefix=st.text())
def test_any_address_of_a_notice_is_read(path: str, prefix: str) -> None:
    token = token_in(path, prefix)
    assert token is None or token.isascii()


@given(body=st.binary(), text=st.text())
def test_errors_of_the_object_store_and_headers_are_read(body: bytes, text: str) -> None:
    assert len(wire.s3_error_code(b"<Error><Code>" + body)) <= 64
    assert sane(wire.unix_time(text)) and sane(catalog.log_time(text))
    assert sane(wire.retry_after_s(text, NOW), 0.0, 3600.0)


@given(text=st.text(), cut=st.integers(0, 40))
def test_no_part_of_the_key_survives_in_words(text: str, cut: int) -> None:
    """Not even where words are cut off in the middle of it."""
    told = clean_words("x" * (500 - cut) + KEY + text)
    scrubbed = wire.scrub(told, (KEY,))
    assert KEY[:6] not in scrubbed


SWOLLEN: dict[str, Callable[[], bytes]] = {
    "links without an end": lambda: written({"code": "1", "message": "http://" * (MANY // 7)}),
    "bearers": lambda: written({"code": "1", "message": "bearer " * (MANY // 7)}),
    "blanks": lambda: written({"code": "1", "message": "bearer" + " " * MANY}),
    "question marks": lambda: written({"code": "1", "message": "http://?" * (MANY // 8)}),
    "a deep list": lambda: b"[" * MANY,
    "a deep object": lambda: b'{"a":' * (MANY // 5),
    "a whole deep list": lambda: b"[" * 900 + b"]" * 900,
    "a long number": lambda: b'{"code":"200","result":' + b"9" * MANY + b"}",
    "many small numbers": lambda: b"[" + b"1," * (MANY // 2) + b"1]",
    "many objects": lambda: b'{"code":"200","result":[' + b"{}," * (MANY // 3) + b"{}]}",
    "many task ids": lambda: b'{"result":[' + b'{"taskId":""},' * (MANY // 14) + b"{}]}",
    "a long key": lambda: written({"code": "200", "result": {"x" * MANY: 1}}),
    "a long status": lambda: written({"code": "200", "result": {"status": "x" * MANY}}),
    "a long url": lambda: written(
        {"code": "200", "result": {"outputVideoUrl": "http://" * 500_000}}
    ),
    "errors in XML": lambda: b"<Code>" * (MANY // 6),
    "a failed task": lambda: written(
        {"code": "200", "result": {"status": "fail", "errorMsg": "https://a?" * 400_000}}
    ),
}


@pytest.mark.parametrize("name", SWOLLEN)
def test_a_swollen_body_takes_no_long_time(name: str) -> None:
    body = SWOLLEN[name]()
    began = time.process_time()
    answer = wire.scrub_answer(wire.parse_envelope(200, {}, body, NOW), (KEY, "some-uid"))
    check_answer(answer)
    catalog.scrub_log(answer, (KEY,))
    wire.s3_error_code(body)
    parse_notice("token", body)
    assert time.process_time() - began < QUICK_S


# The client's reading of bodies, from a server that sends what it is told to.


@asynccontextmanager
async def serving(reply: list[bytes]) -> AsyncIterator[TopViewClient]:
    """A client of a server that answers each request with all pieces, then hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in reply:
                writer.write(piece)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    account = VendorSettings(
        base_url=f"http://127.0.0.1:{port}", uid="fuzz-uid", api_key=Secret(KEY)
    )
    timeouts = Timeouts(submit_reply_s=1.0, reply_s=1.0)
    try:
        async with TopViewClient(account, timeouts=timeouts, proxies=Proxies()) as client:
            yield client
    finally:
        server.close()


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1", "replace")


HEADER_LINES = st.lists(
    st.sampled_from(
        [
            *("Content-Length: 5", "Content-Length: 99999", "Content-Length: -1"),
            *("Content-Length: 5\r\nContent-Length: 6", "Transfer-Encoding: chunked"),
            *("Content-Encoding: gzip", "Content-Encoding: deflate", "Content-Encoding: br"),
            *("Content-Type: text/html; charset=utf-7", "Retry-After: soon", "Date: yesterday"),
            *("Location: /v1/elsewhere", "Set-Cookie: a=b", ": empty", "no colon", "X: \x00"),
            *("Connection: upgrade", "Upgrade: websocket", "Trailer: X", "Retry-After: 7"),
        ]
    ),
    max_size=4,
)
STATUS_LINES = st.sampled_from(
    [
        *("200 OK", "200", "204 No Content", "100 Continue", "101 Switching", "401 No"),
        *("304 Not Modified", "429 Slow", "500 Oh", "999 Odd", "20x Odd", "-1", ""),
    ]
)
WIRE_BODIES = st.one_of(
    st.sampled_from([b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhel", b"zz\r\n", b"ffffffffffff\r\nx"]),
    st.sampled_from([zlib.compress(b"{}"), b"\x1f\x8b\x08broken"]),
    BODIES,
)


@given(lines=HEADER_LINES, status=STATUS_LINES, body=WIRE_BODIES, raw=st.binary(max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_on_the_wire_come_to_an_answer(
    lines: list[str], status: str, body: bytes, raw: bytes
) -> None:
    for reply in ([head(status, *lines), body], [raw]):
        asyncio.run(ask_everything(reply))


async def ask_everything(reply: list[bytes]) -> None:
    async with serving(reply) as client, asyncio.timeout(10.0):
        answers = [
            await client.submit({"ttsText": "x"}),
            await client.query(TaskId("t")),
            await client.credential("mp4"),
            await client.check(FileId("f")),
            await client.credit_detail(),
            await client.credit_logs("video_avatar", NOW - 60, NOW),
            await client.notice_check("https://public.example/hook"),
        ]
    for answer in answers:
        check_judgements(answer)
        assert (answer.status is None) == (answer.failure is not None)
        assert answer.failure is not Failure.NEVER_SENT


def endless(piece: bytes, start: bytes) -> list[bytes]:
    return [start, *[piece] * (200_000_000 // len(piece))]


BOMBS: dict[str, Callable[[], list[bytes]]] = {
    "200 MB with a length": lambda: endless(
        b"a" * 250_000, head("200 OK", "Content-Length: 200000000")
    ),
    "200 MB without a length": lambda: endless(b"a" * 250_000, head("200 OK")),
    "200 MB in chunks": lambda: endless(
        b"3d090\r\n" + b"a" * 250_000 + b"\r\n", head("200 OK", "Transfer-Encoding: chunked")
    ),
    "200 MB of one header": lambda: endless(b"a" * 250_000, b"HTTP/1.1 200 OK\r\nX: "),
    "200 MB of status line": lambda: endless(b"a" * 250_000, b"HTTP/1.1 200 "),
    "200 MB of chunk extensions": lambda: endless(
        b"a" * 250_000, head("200 OK", "Transfer-Encoding: chunked") + b"5;"
    ),
    "200 MB in a small gzip": lambda: [
        head("200 OK", "Content-Encoding: gzip", "Connection: close"),
        gzip_of(200_000_000),
    ],
}


def gzip_of(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    block = b"a" * 1_000_000
    packed = b"".join(packer.compress(block) for _ in range(size // len(block)))
    return packed + packer.flush()


@pytest.mark.parametrize("name", BOMBS)
async def test_a_body_without_end_is_not_kept(name: str) -> None:
    reply = BOMBS[name]()
    async with serving(reply) as client:
        tracemalloc.start()
        try:
            query = await client.query(TaskId("t"))
            submit = await client.submit({"ttsText": "x"})
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert judge_call(query).fate is CallFate.RETRY
    assert judge_submit(submit).verdict is Verdict.UNKNOWN
    assert peak < 48_000_000
