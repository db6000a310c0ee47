"""The words of a webhook, without a socket: addresses, notices, the reply."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Secret
from orchestrator.errors import UsageError
from orchestrator.model import TaskId
from orchestrator.web.notices import (
    HeardNotice,
    is_ours,
    notice_path,
    notice_url,
    parse_notice,
    reply_for,
    token_in,
)

TOKEN = "Zm9vYmFyLXRva2VuLXRva2VuLXRva2Vu"
TASK = "aa00bb11cc22dd33ee44ff5566778899"
UUID = "11112222333344445555666677778888"

HEARD = HeardNotice(token=TOKEN, task_id=TaskId(TASK), status="success", uuid=UUID)


def body(**changes: Any) -> bytes:
    """The vendor's own example with these fields changed."""
    result = {"taskId": TASK, "status": "success", "errorMsg": None}
    fields = {
        "uuid": UUID,
        "bizType": "ZERO_SHOT_AVATAR",
        "taskId": TASK,
        "status": "success",
        "errorMsg": None,
        "result": result,
    }
    return json.dumps({**fields, **changes}).encode()


@pytest.mark.parametrize(
    ("public", "expected"),
    [
        ("https://public.example", f"https://public.example/{TOKEN}"),
        ("https://public.example/", f"https://public.example/{TOKEN}"),
        ("https://public.example/hook", f"https://public.example/hook/{TOKEN}"),
        ("https://public.example/a/hook/", f"https://public.example/a/hook/{TOKEN}"),
        ("http://h.example:8443/hook?k=1&l=%2F", f"http://h.example:8443/hook/{TOKEN}?k=1&l=%2F"),
        ("http://[::1]:8088/my%20hook", f"http://[::1]:8088/my%20hook/{TOKEN}"),
    ],
)
def test_the_token_is_the_last_segment_of_the_public_path(public: str, expected: str) -> None:
    assert notice_url(public, TOKEN) == expected


@pytest.mark.parametrize(
    "public",
    [
        *("", "public.example/hook", "ftp://public.example/hook", "https:///hook", "https://[::1"),
        *("https://public.example:70000/", "https://public.example:0/", "https://a.example/h#x"),
        *("https://public.example/a b", "https://public.example/\nhook"),
    ],
)
def test_an_address_that_the_vendor_cannot_call_is_refused(public: str) -> None:
    with pytest.raises(UsageError, match=r"https://public\.example/hook"):
        notice_url(public, TOKEN)


def test_a_refused_address_is_shown_without_its_secrets() -> None:
    with pytest.raises(UsageError) as refused:
        notice_url("ftp://user:hush@public.example/hook?key=hush", TOKEN)
    assert "hush" not in str(refused.value)
    assert "public.example/hook" in str(refused.value)


@pytest.mark.parametrize("token", ["", "a/b", "..", "t" * 129, "töken", "a b"])
def test_an_address_is_not_made_with_an_unfit_token(token: str) -> None:
    with pytest.raises(ValueError, match="1 to 128"):
        notice_url("https://public.example/hook", token)


@pytest.mark.parametrize(
    ("path", "prefix", "token"),
    [
        (f"/hook/{TOKEN}", "/hook", TOKEN),
        (f"/{TOKEN}", "", TOKEN),
        (f"/{TOKEN}", "/hook", TOKEN),
        (f"/my hook/{TOKEN}", "/my hook", TOKEN),
        (f"/other/{TOKEN}", "/hook", None),
        (f"/hook/{TOKEN}/", "/hook", None),
        (f"/hook/{TOKEN}/x", "/hook", None),
        (f"/hook{TOKEN}", "/hook", None),
        (f"//{TOKEN}", "", None),
        ("/hook/", "/hook", None),
        ("/hook/a.b", "/hook", None),
        ("*", "", None),
        ("", "", None),
    ],
)
def test_a_path_is_a_prefix_and_a_token(path: str, prefix: str, token: str | None) -> None:
    assert token_in(path, prefix) == token


@pytest.mark.parametrize(
    ("public", "path"),
    [
        ("https://public.example", ""),
        ("https://public.example/", ""),
        ("https://public.example/a/hook/?x=1", "/a/hook"),
        ("https://public.example/my%20hook", "/my hook"),
    ],
)
def test_the_path_of_the_public_address_is_decoded(public: str, path: str) -> None:
    assert notice_path(public) == path


def test_the_vendors_example_is_heard() -> None:
    assert parse_notice(TOKEN, body()) == HEARD


@pytest.mark.parametrize(
    "said",
    [
        body(result=json.dumps({"taskId": TASK, "status": "success"})),
        body(result="no JSON at all"),
        body(result=None),
        body(result=[1, 2]),
        body(taskId=None),
        body(taskId=None, status=None, result=json.dumps({"taskId": TASK, "status": "success"})),
        body(taskId=f" {TASK}\n", status=" SUCCESS "),
        body(errorMsg={"odd": True}, bizType=7, more="fields"),
        b"\xef\xbb\xbf" + body(),
        body().decode().encode("utf-16"),
    ],
)
def test_the_same_is_heard_however_it_is_said(said: bytes) -> None:
    assert parse_notice(TOKEN, said) == HEARD


def test_odd_status_and_uuid_are_left_out() -> None:
    heard = parse_notice(TOKEN, body(status=["success"], uuid="x" * 129, result=None))
    assert heard == HeardNotice(token=TOKEN, task_id=TaskId(TASK), status="", uuid="")


@pytest.mark.parametrize(
    "said",
    [
        *(b"", b"null", b"[]", b"{}", b'"text"', b"17", b"{", b"\xff\xfe\xff", b"taskId=1"),
        *(b"[" * 65_000, b'{"taskId":' * 6_000, b"1" * 65_000, b"<html></html>"),
        *(body(taskId=None, result=None), body(taskId=17, result={}), body(taskId="", result={})),
        *(body(taskId="two words", result={}), body(taskId="x" * 129, result={})),
        body(taskId="\ud800", result={}),
        body(taskId=None, result="[" * 65_000),
    ],
    ids=lambda said: ascii(said[:20]),
)
def test_garbage_names_no_task(said: bytes) -> None:
    assert parse_notice(TOKEN, said) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["taskId", "status", "uuid", "result"]) | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=400))
def test_no_bytes_make_the_parser_raise(said: bytes) -> None:
    parse_notice(TOKEN, said)


@given(JSON, st.booleans())
def test_whatever_is_heard_is_short_printable_ascii(said: Any, as_text: bool) -> None:
    if as_text and isinstance(said, dict) and "result" in said:
        said = {**said, "result": json.dumps(said["result"])}
    heard = parse_notice(TOKEN, json.dumps(said).encode())
    if heard is not None:
        assert heard.task_id
        words = (heard.task_id, heard.status, heard.uuid)
        assert all(len(w) <= 128 and w.isascii() and " " not in w for w in words)
        assert all(w.isprintable() for w in words)


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_path_makes_the_token_reader_raise(path: str, prefix: str) -> None:
    token_in(path, prefix)


def test_the_token_does_not_show_in_a_notice() -> None:
    assert TOKEN not in repr(HEARD)


def test_the_reply_is_the_vendors_format() -> None:
    assert reply_for(HEARD, Secret("sample-uid")) == {
        "code": "200",
        "message": "Success",
        "result": {"uuid": UUID, "topviewUid": "sample-uid", "result": "success"},
    }


def test_the_reply_without_a_uid_has_an_empty_one() -> None:
    assert reply_for(HEARD, None)["result"]["topviewUid"] == ""


@pytest.mark.parametrize(
    ("sent", "uid", "ours"),
    [
        ([], "me", True),
        (["me"], "me", True),
        (["you"], "me", False),
        ([""], "me", False),
        (["me", "you"], "me", False),
        (["m\udcff\u00e9"], "me", False),
        (["you"], None, True),
    ],
)
def test_a_uid_that_is_sent_has_to_be_ours(sent: list[str], uid: str | None, ours: bool) -> None:
    assert is_ours(sent, Secret(uid) if uid is not None else None) is ours
