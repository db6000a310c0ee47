"""The webhook receiver at real sockets: who is heard, who is not, and what each of them learns."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import socket
from pathlib import Path

import pytest
from emulator_support import eventually, running
from webhook_kit import (
    FORGED,
    PLACE,
    TASK,
    TOKEN,
    UID,
    UUID,
    Book,
    ask,
    hearing,
    notice,
    request,
    said,
    status,
)

from orchestrator.config import Secret
from orchestrator.errors import StoreFull, UsageError
from orchestrator.model import TaskId
from orchestrator.web.receiver import HeardNotice, Receiver, check_listen, notice_url

HEARD = HeardNotice(token=TOKEN, task_id=TaskId(TASK), status="success", uuid=UUID)
TAKEN = {
    "code": "200",
    "message": "Success",
    "result": {"uuid": UUID, "topviewUid": UID, "result": "success"},
}


async def test_a_notice_is_kept_and_answered_in_the_vendors_format() -> None:
    async with hearing(book := Book()) as receiver:
        reply = await ask(receiver, request(notice(), Content_Type="application/json"))
    assert (status(reply), said(reply)) == (200, TAKEN)
    assert b"application/json" in reply
    assert book.heard == [HEARD]


async def test_the_emulators_notice_is_taken_at_the_first_try(tmp_path: Path) -> None:
    book = Book()
    async with running(tmp_path) as (emulator, client), hearing(book, uid="some-uid") as receiver:
        address = notice_url(f"http://{receiver.address}/hook", TOKEN)
        task_id = await client.task(noticeUrl=address)
        await client.finished(task_id)

        async def delivered() -> bool:
            return bool(emulator.audit().webhooks.get("taken") == 1)

        await eventually(delivered)
    assert [(n.token, n.task_id, n.status) for n in book.heard] == [(TOKEN, task_id, "success")]


@pytest.mark.parametrize(
    "sent",
    [
        request(notice(), Topview_Uid=""),
        request(notice(result=json.dumps({"taskId": TASK}))),
        request(notice(result="not JSON")),
        request(notice(), path=f"{PLACE}?from=proxy"),
        request(notice(), path=f"/{TOKEN}"),
        request(notice(), path=f"http://public.example{PLACE}"),
        request(notice(), Content_Type="text/plain"),
    ],
    ids=["no uid", "text result", "odd result", "query", "path cut off", "whole address", "type"],
)
async def test_a_notice_is_heard_in_every_legal_shape(sent: bytes) -> None:
    async with hearing(book := Book()) as receiver:
        assert said(await ask(receiver, sent)) == TAKEN
    assert book.heard == [HEARD]


async def test_a_chunked_notice_is_heard() -> None:
    body = notice()
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
    head = request(Content_Length="", Transfer_Encoding="chunked")
    async with hearing(book := Book()) as receiver:
        assert said(await ask(receiver, head + chunks)) == TAKEN
    assert book.heard == [HEARD]


async def test_a_client_that_asks_before_it_sends_its_body_is_invited() -> None:
    async with hearing(book := Book()) as receiver:
        reply = await ask(receiver, request(notice(), Expect="100-continue"))
    invitation, _, rest = reply.partition(b"\r\n\r\n")
    assert invitation == b"HTTP/1.1 100 Continue"
    assert (status(rest), said(rest)) == (200, TAKEN)
    assert book.heard == [HEARD]


async def test_a_duplicate_is_handed_on_and_answered_like_the_first() -> None:
    async with hearing(book := Book()) as receiver:
        replies = [said(await ask(receiver, request(notice()))) for _ in range(3)]
    assert replies == [TAKEN] * 3
    assert book.heard == [HEARD] * 3


NOT_FOUND = {
    "unknown token": request(notice(), path=f"/hook/{FORGED}"),
    "wrong uid": request(notice(), Topview_Uid="somebody-else"),
    "uid that is no text": request(notice(), Topview_Uid="\u00e9\u20ac"),
    "two uids": request(notice(), Topview_Uid=f"{UID}\r\nTopview-Uid: somebody-else"),
    "wrong path": request(notice(), path=f"/other/{TOKEN}"),
    "no token": request(notice(), path="/hook/"),
    "no path": request(notice(), path="/"),
    "climbing": request(notice(), path=f"/x/..{PLACE}/../../etc/passwd"),
    "GET": request(method="GET"),
    "PUT": request(notice(), method="PUT"),
    "OPTIONS": request(method="OPTIONS", path="*"),
}


@pytest.mark.parametrize("sent", NOT_FOUND.values(), ids=NOT_FOUND.keys())
async def test_who_does_not_belong_here_gets_one_and_the_same_reply(sent: bytes) -> None:
    async with hearing(book := Book()) as receiver:
        reply = await ask(receiver, sent)
        plain = await ask(receiver, request(method="DELETE", path="/"))
    date = rb"Date: [^\r]*"
    assert status(reply) == 404
    assert re.sub(date, b"", reply) == re.sub(date, b"", plain)
    assert book.heard == []


async def test_a_head_request_is_not_found_either() -> None:
    async with hearing(Book()) as receiver:
        assert status(await ask(receiver, request(method="HEAD"))) == 404


GARBAGE = {
    "empty": request(),
    "no JSON": request(b"{"),
    "no object": request(b"[1, 2]"),
    "no task": request(notice(taskId=None, result=None)),
    "deep": request(b"[" * 60_000),
    "long number": request(b"1" * 60_000),
    "not UTF-8": request(b"\xff\xfe\xfa\xfb"),
    "zipped": request(gzip.compress(notice()), Content_Encoding="gzip"),
    "bad chunk": request(Content_Length="", Transfer_Encoding="chunked") + b"zz\r\n",
    "bad length": request(notice(), Content_Length="-5"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no version": f"POST {PLACE}\r\n\r\n".encode(),
    "odd version": f"POST {PLACE} HTTP/one\r\n\r\n".encode(),
    "long line": request(notice(), path="/hook/" + "x" * 9_000),
    "long header": request(notice(), X_Long="x" * 9_000),
    "many headers": request(notice(), **{f"X_{n}": "1" for n in range(200)}),
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_refused_and_the_next_notice_heard(sent: bytes) -> None:
    async with hearing(book := Book()) as receiver, asyncio.timeout(5):
        assert status(await ask(receiver, sent)) == 400
        assert book.asked == 0
        assert said(await ask(receiver, request(notice()))) == TAKEN


@pytest.mark.parametrize(("token", "uid"), [(TOKEN, UID), (FORGED, UID), (TOKEN, "other")])
async def test_garbage_gets_the_same_answer_whoever_sends_it(token: str, uid: str) -> None:
    async with hearing(Book()) as receiver:
        sent = request(b"garbage", path=f"/hook/{token}", Topview_Uid=uid)
        assert status(await ask(receiver, sent)) == 400


@pytest.mark.parametrize(
    "sent",
    [
        request(notice(errorMsg="x" * 65_536)),
        request(Content_Length="", Transfer_Encoding="chunked")
        + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 2,
    ],
    ids=["announced", "chunked"],
)
async def test_a_body_of_more_than_64_kib_is_refused(sent: bytes) -> None:
    async with hearing(book := Book(), patience_s=0.5) as receiver:
        assert status(await ask(receiver, sent)) == 413
    assert book.asked == 0


async def test_a_body_of_just_64_kib_is_read() -> None:
    filled = notice(errorMsg="x" * (65_536 - len(notice(errorMsg=""))))
    async with hearing(Book()) as receiver:
        assert len(filled) == 65_536
        assert said(await ask(receiver, request(filled))) == TAKEN


async def test_a_store_that_fails_lets_the_vendor_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Book):
        async def keep(self, notice: HeardNotice) -> bool:
            if len(self.heard) < 2:
                self.heard.append(notice)
                raise StoreFull("no room for the state store; free some")
            raise RuntimeError(f"secret {notice.token}")

    async with hearing(Failing()) as receiver:
        replies = [status(await ask(receiver, request(notice()))) for _ in range(4)]
    assert replies == [503] * 4
    assert [record.getMessage() for record in caplog.records] == [
        "A webhook notice could not be kept (StoreFull: no room for the state store; free some);"
        " polling goes on without it",
        "A webhook notice could not be kept (RuntimeError); polling goes on without it",
    ]


async def test_no_token_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with hearing(Book()) as receiver:
        for sent in (request(notice()), *NOT_FOUND.values(), *GARBAGE.values()):
            await ask(receiver, sent)
    assert TOKEN not in caplog.text
    assert FORGED not in caplog.text


async def test_nothing_tells_the_uid_to_who_knows_no_token() -> None:
    async with hearing(Book()) as receiver:
        for sent in (*NOT_FOUND.values(), *GARBAGE.values()):
            assert UID.encode() not in await ask(receiver, sent) or UID.encode() in sent


async def test_a_public_address_without_a_path_is_heard_at_the_root() -> None:
    async with hearing(Book(), path="") as receiver:
        assert status(await ask(receiver, request(notice(), path=f"/{TOKEN}"))) == 200


async def test_an_address_in_use_says_so_and_what_to_do() -> None:
    async with hearing(Book()) as first:
        second = Receiver(first.address, "/hook", None, Book().keep)
        with pytest.raises(UsageError, match=r"in use already.*--webhook-listen.*webhook\.listen"):
            await second.start()
        await second.stop()
        assert second.address == ""
        assert status(await ask(first, request(notice()))) == 200


@pytest.mark.parametrize(
    ("listen", "problem"),
    [
        ("203.0.113.7:8088", "is no address of this machine"),
        (f"{'x' * 70}.example:8088", "Nobody knows an address"),
    ],
)
async def test_an_address_that_cannot_be_listened_at_is_a_usage_error(
    listen: str, problem: str
) -> None:
    receiver = Receiver(listen, "/hook", None, Book().keep)
    with pytest.raises(UsageError, match=problem):
        await receiver.start()


async def test_after_stop_the_port_is_free_and_start_listens_again() -> None:
    book = Book()
    receiver = Receiver("127.0.0.1:0", "/hook", Secret(UID), book.keep)
    await receiver.start()
    address = receiver.address
    await receiver.stop()
    await receiver.stop()
    again = Receiver(address, "/hook", Secret(UID), book.keep)
    await again.start()
    assert status(await ask(again, request(notice()))) == 200
    await again.stop()
    assert (again.address, again.connections) == ("", 0)


async def test_starting_twice_is_a_mistake() -> None:
    async with hearing(Book()) as receiver:
        with pytest.raises(RuntimeError, match="already"):
            await receiver.start()


async def test_a_name_is_listened_at() -> None:
    receiver = Receiver("localhost:0", "/hook", Secret(UID), Book().keep)
    await receiver.start()
    assert receiver.address.startswith("127.0.0.1:")
    assert status(await ask(receiver, request(notice()))) == 200
    await receiver.stop()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_ipv6_is_listened_at() -> None:
    receiver = Receiver("[::1]:0", "/hook", Secret(UID), Book().keep)
    try:
        await receiver.start()
    except UsageError:
        pytest.skip("no IPv6 loopback here")
    assert receiver.address.startswith("[::1]:")
    assert status(await ask(receiver, request(notice()))) == 200
    await receiver.stop()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8088", ("127.0.0.1", 8088)),
        ("[::1]:0", ("::1", 0)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_an_address_and_a_port_are_read(text: str, expected: tuple[str, int]) -> None:
    assert check_listen(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "8088", ":8088", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1"),
        *("::1:8088", "[::1]", "http://127.0.0.1:8088", "127.0.0.1:8088\n", "127.0.0.1:٨٠٨٨"),
    ],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:8088"):
        check_listen(text)
