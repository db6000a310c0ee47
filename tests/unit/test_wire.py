"""Requests and replies as values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.outcome import judge_query, judge_submit
from orchestrator.model import (
    Answer,
    AudioKind,
    AvatarKind,
    FileId,
    JobId,
    JobSpec,
    Mode,
    TaskId,
    Verdict,
)
from orchestrator.topview.wire import (
    Credential,
    check_result,
    parse_credential,
    parse_envelope,
    remaining_credit,
    retry_after_s,
    s3_error_code,
    scrub,
    submit_body,
    task_id_of,
    unix_time,
)

FILES = {"/m/a.mp4": FileId("fv"), "/m/a.png": FileId("fi"), "/m/a.wav": FileId("fa")}
SIGNED = "https://s3.example.invalid/x.mp4?X-Amz-Signature=abc%2Fdef"


def spec(avatar: tuple[AvatarKind, str], audio: tuple[AudioKind, str], **more: Any) -> JobSpec:
    return JobSpec(
        job_id=JobId("j"),
        avatar_kind=avatar[0],
        avatar=avatar[1],
        audio_kind=audio[0],
        audio=audio[1],
        output=Path("/o/j.mp4"),
        **more,
    )


VIDEO = (AvatarKind.VIDEO, "/m/a.mp4")
IMAGE = (AvatarKind.IMAGE, "/m/a.png")
PUBLIC = (AvatarKind.PUBLIC, "3327")
PRIVATE = (AvatarKind.PRIVATE, "9002")
SOUND = (AudioKind.FILE, "/m/a.wav")
TEXT = (AudioKind.TEXT, "Hello.")

BODIES: list[tuple[JobSpec, dict[str, Any]]] = [
    (
        spec(VIDEO, SOUND, voice="ignored", speed=1.2),
        {"avatarSourceFrom": "0", "videoFileId": "fv", "audioSourceFrom": "0"}
        | {"audioFileId": "fa", "modeType": "0"},
    ),
    (
        spec(PUBLIC, TEXT, caption="c1"),
        {"avatarSourceFrom": "1", "aiAvatarId": "3327", "audioSourceFrom": "1"}
        | {"ttsText": "Hello.", "voiceSpeed": 1.0, "modeType": "0", "captionId": "c1"},
    ),
    (
        spec(PRIVATE, TEXT, voice="v1", speed=0.8),
        {"avatarSourceFrom": "2", "aiAvatarId": "9002", "audioSourceFrom": "1"}
        | {"ttsText": "Hello.", "voiceSpeed": 0.8, "voiceoverId": "v1", "modeType": "0"},
    ),
    (
        spec(IMAGE, SOUND, mode=Mode.AVATAR2, save_avatar=True),
        {"avatarSourceFrom": "3", "imageFileId": "fi", "audioSourceFrom": "0"}
        | {"audioFileId": "fa", "modeType": "1", "isSave2CustomAiAvatar": True},
    ),
]


@pytest.mark.parametrize(("job", "body"), BODIES, ids=["video", "public", "private", "image"])
def test_a_submit_names_only_what_its_sources_need(job: JobSpec, body: dict[str, Any]) -> None:
    assert submit_body(job, FILES, None) == body


def test_a_notice_address_is_added_if_there_is_one() -> None:
    body = submit_body(spec(PUBLIC, TEXT), {}, "https://me.invalid/hook")
    assert body["noticeUrl"] == "https://me.invalid/hook"


def test_text_that_looks_like_a_path_of_the_job_stays_text() -> None:
    body = submit_body(spec(VIDEO, (AudioKind.TEXT, "/m/a.mp4")), FILES, None)
    assert (body["videoFileId"], body["ttsText"]) == ("fv", "/m/a.mp4")


def test_a_missing_file_id_is_an_error() -> None:
    with pytest.raises(KeyError):
        submit_body(spec(VIDEO, SOUND), {}, None)


def parse(body: Any, status: int = 200, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse_envelope(status, named, raw, 1000.0)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("200", "200"),
        (200, "200"),
        (200.0, "200"),
        (" 4003 ", "4003"),
        ("", None),
        (None, None),
        (True, None),
        ([], None),
        (1.5, None),
        (10**50, None),
    ],
)
def test_the_code_is_understood_as_text_or_number(code: Any, text: str | None) -> None:
    assert parse({"code": code, "message": "m", "result": 1}).code == text


@pytest.mark.parametrize("result", [True, [], [1], {"a": 1}, "x", 0, None])
def test_any_result_is_passed_on(result: Any) -> None:
    assert parse({"code": "200", "message": "Success", "result": result}) == Answer(
        status=200, code="200", message="Success", result=result
    )


def test_data_stands_in_for_a_missing_result() -> None:
    assert parse({"code": "200", "data": {"a": 1}}).result == {"a": 1}


@pytest.mark.parametrize(
    ("body", "clue"),
    [
        (b"", "an empty body"),
        (b"  \n<!DOCTYPE html><p>", "HTML instead of JSON"),
        (b"<html>", "HTML instead of JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"code": ' + b"9" * 5000 + b"}", "no JSON"),
        (b"[1]", "JSON that is no object"),
        (b'{"timestamp": 1, "status": 404, "error": "Not Found"}', "JSON without a code"),
    ],
)
def test_what_is_no_envelope_has_no_code_and_a_clue(body: bytes, clue: str) -> None:
    answer = parse(body, status=404)
    assert (answer.status, answer.code, answer.detail) == (404, None, clue)


@pytest.mark.parametrize(
    "body",
    [
        {"code": "200", "taskId": "t1"},
        {"code": "200", "taskId": "t1", "result": {"status": "success"}},
        {"code": "200", "taskId": "t1", "result": []},
        {"code": "200", "result": {}, "data": {"taskId": "t1"}},
        {"taskId": "t1"},
        [{"taskId": "t1"}],
    ],
)
def test_a_task_id_outside_the_result_is_not_lost(body: Any) -> None:
    answer = parse(body)
    assert task_id_of(answer.result) == "t1"
    assert judge_submit(answer).verdict is Verdict.ACCEPTED


def test_a_query_is_read_though_the_task_id_stands_outside_the_result() -> None:
    body = {"code": "200", "taskId": "t1", "result": {"status": "fail", "errorMsg": "m"}}
    assert judge_query(parse(body), TaskId("t1")).message == "m"


@given(
    status=st.integers(min_value=100, max_value=999),
    headers=st.dictionaries(st.sampled_from(["Date", "Retry-After", "X"]), st.text(max_size=30)),
    body=st.binary(max_size=40) | st.text(max_size=40).map(lambda t: json.dumps(t).encode()),
)
def test_nothing_odd_raises(status: int, headers: dict[str, str], body: bytes) -> None:
    answer = parse_envelope(status, headers, body, 0.0)
    assert answer.status == status
    assert answer.retry_after_s is None or 0 <= answer.retry_after_s <= 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 30 ", 30.0),
        ("1.5", 1.5),
        ("99999", 3600.0),
        ("Thu, 01 Jan 1970 00:17:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:17:00 -0000", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 3600.0),
        ("-5", None),
        ("soon", None),
        ("٣", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_a_wish_to_wait_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, 1000.0) == seconds


def test_a_date_to_wait_for_is_taken_by_the_servers_own_clock() -> None:
    answer = parse(
        {"code": "5003"},
        Retry_After="Thu, 01 Jan 1970 01:00:10 GMT",
        date="Thu, 01 Jan 1970 01:00:00 GMT",
    )
    assert (answer.retry_after_s, answer.server_time) == (10.0, 3600.0)


@pytest.mark.parametrize("text", ["", "x", "Thu, 99 Jan 1970 00:00:00 GMT", "1,1,1", None])
def test_a_date_that_is_none_is_none(text: str | None) -> None:
    assert unix_time(text) is None


def credential(**result: Any) -> Credential | None:
    return parse_credential(Answer(status=200, code="200", result=result))


def test_a_credential_keeps_its_address_byte_for_byte_and_out_of_sight() -> None:
    found = credential(fileId="f1", uploadUrl=SIGNED, format="mp4")
    assert found == Credential(file_id=FileId("f1"), upload_url=SIGNED)
    assert "abc" not in repr(found)


UNUSABLE: list[Any] = [
    *(None, [], True, {}, {"fileId": "f1"}, {"uploadUrl": SIGNED}),
    {"fileId": " ", "uploadUrl": SIGNED},
    {"fileId": 7, "uploadUrl": SIGNED},
    {"fileId": "f\ud800", "uploadUrl": SIGNED},
    {"fileId": "f1", "uploadUrl": "s3://bucket"},
    {"fileId": "f1", "uploadUrl": "https://h/a b"},
    {"fileId": "f1", "uploadUrl": None},
]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(code="4000", result={"fileId": "f1", "uploadUrl": SIGNED}),
        *(Answer(code="200", result=result) for result in UNUSABLE),
    ],
)
def test_an_unusable_credential_is_none(answer: Answer) -> None:
    assert parse_credential(answer) is None


def test_signed_links_do_not_show_in_the_repr_of_an_answer() -> None:
    body = {"code": "200", "result": {"uploadUrl": SIGNED, "deep": [{"outputVideoUrl": SIGNED}]}}
    answer = parse(body)
    assert "abc" not in repr(answer)
    assert answer.result["uploadUrl"] == SIGNED


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        (Answer(code="200", result=True), True),
        (Answer(code="200", result="True"), True),
        (Answer(code="200", result=False), False),
        (Answer(code="200", result="false"), False),
        (Answer(code="4004"), False),
        (Answer(code="200", result=None), None),
        (Answer(code="200", result={"ok": True}), None),
        (Answer(code="200", result=1), None),
        (Answer(code="5000", result=True), None),
        (Answer(status=502), None),
    ],
)
def test_whether_an_upload_has_arrived(answer: Answer, there: bool | None) -> None:
    assert check_result(answer) is there


@pytest.mark.parametrize(
    ("result", "credits"),
    [
        ({"remainCredit": 42.5}, 42.5),
        ({"remainCredit": 0}, 0.0),
        ({"remainCredit": "4"}, None),
        ({}, None),
        (None, None),
        ({"remainCredit": True}, None),
    ],
)
def test_the_balance(result: Any, credits: float | None) -> None:
    assert remaining_credit(Answer(code="200", result=result)) == credits


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain words", "plain words"),
        ("see https://s3.invalid/a.mp4?X-Sig=1&b=2 now", "see https://s3.invalid/a.mp4 now"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("the key KEY1", "the key ***"),
        ("two\nlines\x1b[31m\ud800", "two lines [31m"),
        ("x" * 600, "x" * 500),
    ],
)
def test_words_from_outside_are_one_clean_line_without_secrets(text: str, clean: str) -> None:
    assert scrub(text, ("KEY1", "")) == clean


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"<Error><Code>AccessDenied</Code><Message>k</Message></Error>", "AccessDenied"),
        (b"<Error><Code>no word!</Code></Error>", ""),
        (b"", ""),
        (b"\xff", ""),
    ],
)
def test_the_error_word_of_an_object_store(body: bytes, word: str) -> None:
    assert s3_error_code(body) == word
