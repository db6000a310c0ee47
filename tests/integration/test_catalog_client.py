"""The calls for lists and logs at a real socket: what is asked, and what never comes through."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from client_raw_server import Exchange, replies, serving

from orchestrator.config import Proxies, Secret, VendorSettings
from orchestrator.model import Answer
from orchestrator.topview.client import TopViewClient

KEY = "key-that-nobody-may-see"
PAGE = {"total": 0, "pageNo": 1, "pageSize": 100, "data": []}
Call = Callable[[TopViewClient], Awaitable[Answer]]


async def asked(call: Call, result: Any = None) -> tuple[Answer, Exchange]:
    """The answer to one call, and the request as it came over the wire."""
    body = json.dumps({"code": "200", "message": f"hello {KEY}", "result": result}).encode()
    async with serving(replies(body)) as server:
        settings = VendorSettings(base_url=server.url, uid="uid-1", api_key=Secret(KEY))
        async with TopViewClient(settings, proxies=Proxies()) as client:
            answer = await call(client)
    assert len(server.requests) == 1
    return answer, server.requests[0]


def query(exchange: Exchange) -> tuple[str, dict[str, str]]:
    parts = urlsplit(exchange.target)
    return parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))


LISTS: dict[str, tuple[Call, str, dict[str, str]]] = {
    "avatars": (
        lambda c: c.avatars({"gender": "male"}, 2),
        "/v1/aiavatar/query",
        {"gender": "male", "pageNo": "2", "pageSize": "100"},
    ),
    "voices": (
        lambda c: c.voices({"age": "Middle Age"}, 1, 50),
        "/v1/voice/query",
        {"age": "Middle Age", "pageNo": "1", "pageSize": "50"},
    ),
    "ethnicities": (
        lambda c: c.ethnicities(),
        "/v1/ethnicity/list",
        {"scene": "video_avatar", "pageNo": "1", "pageSize": "100"},
    ),
    "captions": (lambda c: c.captions(), "/v1/caption/list", {}),
    "log": (
        lambda c: c.credit_logs("video_avatar", 1_772_366_405.9, 1_772_366_500.1, 3, 20),
        "/user/credit/logs",
        {
            "taskType": "video_avatar",
            "startTime": "2026-03-01 12:00:05",
            "endTime": "2026-03-01 12:01:41",
            "pageNo": "3",
            "pageSize": "20",
        },
    ),
}


@pytest.mark.parametrize(("call", "path", "params"), LISTS.values(), ids=LISTS)
async def test_a_list_is_asked_for_with_credentials(
    call: Call, path: str, params: dict[str, str]
) -> None:
    answer, exchange = await asked(call, PAGE)
    assert query(exchange) == (path, params)
    assert exchange.header("Topview-Uid") == "uid-1"
    assert exchange.header("Authorization") == f"Bearer {KEY}"
    assert answer.ok


async def test_every_type_of_task_is_asked_for_without_a_type() -> None:
    _, exchange = await asked(lambda c: c.credit_logs(None, 0.0, 1.0), PAGE)
    assert "taskType" not in query(exchange)[1]


async def test_the_log_comes_through_without_keys() -> None:
    entry = {"uid": "uid-1", "apiKey": KEY, "date": "2026-03-01 12:00:05", "costCredit": 1}
    answer, _ = await asked(
        lambda c: c.credit_logs(None, 0.0, 1.0), {**PAGE, "total": 1, "data": [entry]}
    )
    assert answer.result == {
        "total": 1,
        "data": [{"date": "2026-03-01 12:00:05", "costCredit": 1}],
    }
    assert KEY not in repr(answer)


async def test_an_address_for_notices_is_checked_with_a_post() -> None:
    answer, exchange = await asked(lambda c: c.notice_check("http://127.0.0.1/hook"), True)
    assert exchange.head.startswith(b"POST /notice/notice_url/check HTTP/1.1\r\n")
    assert json.loads(exchange.body) == {"noticeUrl": "http://127.0.0.1/hook"}
    assert answer.result is True
