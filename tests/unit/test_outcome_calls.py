"""What a query, a free call and an upload came to."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.outcome import (
    CallFate,
    PutFate,
    TaskFate,
    TaskView,
    judge_call,
    judge_put,
    judge_query,
)
from orchestrator.model import Answer, Failure, TaskId

URL = "https://cdn.example.invalid/out/a.mp4?Signature=x"


def query(**result: Any) -> TaskView:
    return judge_query(Answer(status=200, code="200", result=result))


WAITING = ["init", "queued", "queuing", "waiting", "pending"]
RUNNING = ["running", "processing"]


@pytest.mark.parametrize("status", [*WAITING, "Init"])
def test_a_word_for_waiting_is_pending_and_not_running(status: str) -> None:
    assert query(status=status) == TaskView(fate=TaskFate.PENDING, running=False)


@pytest.mark.parametrize("status", [*RUNNING, " RUNNING\n"])
def test_a_word_for_rendering_is_pending_and_running(status: str) -> None:
    assert query(status=status) == TaskView(fate=TaskFate.PENDING, running=True)


@pytest.mark.parametrize(
    "status",
    ["fail", "failed", "failure", "error", "cancelled", "canceled", "expired", " FAIL "],
)
def test_a_word_for_failure_fails_with_the_vendors_words(status: str) -> None:
    view = query(status=status, errorMsg=" Moderation. ", outputVideoUrl=URL)
    word = status.strip().lower()
    assert view == TaskView(fate=TaskFate.FAILED, reason=f"task:{word}", message="Moderation.")


def test_the_vendors_words_are_cleaned_before_they_are_kept() -> None:
    view = query(status="fail", errorMsg=f"see\n{URL} \ud800 now")
    assert view.message == "see https://cdn.example.invalid/out/a.mp4 now"


@pytest.mark.parametrize("words", [None, "", 7])
def test_a_failure_without_words_says_so(words: Any) -> None:
    assert query(status="fail", errorMsg=words).message == "The vendor gave no reason"


@pytest.mark.parametrize("status", ["success", "Success ", "completed", "done", "succeeded"])
def test_success_with_a_link_is_success_and_the_link_is_untouched(status: str) -> None:
    assert query(status=status, outputVideoUrl=URL) == TaskView(fate=TaskFate.SUCCESS, url=URL)


@pytest.mark.parametrize(
    "url", [None, "", "null", "/out/a.mp4", "ftp://x/y", "http://h/a b", 7, {}]
)
def test_success_without_a_usable_link_has_no_url(url: Any) -> None:
    view = query(status="success", outputVideoUrl=url)
    assert (view.fate, view.reason, view.url) == (TaskFate.NO_URL, "no_url", None)


@pytest.mark.parametrize("status", ["completed", "done", "succeeded", "rendering", "2", 2, True])
def test_an_odd_word_without_a_link_is_pending_and_kept(status: Any) -> None:
    view = query(status=status)
    assert view == TaskView(fate=TaskFate.PENDING, odd_status=str(status).lower())


def test_the_link_is_not_in_the_repr() -> None:
    assert "Signature" not in repr(query(status="success", outputVideoUrl=URL))


@pytest.mark.parametrize(
    ("cost", "credits"),
    [
        (3, 3.0),
        (0, 0.0),
        (1.5, 1.5),
        (None, None),
        ("3", None),
        (True, None),
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
    ],
)
def test_the_cost_is_read_if_it_is_a_number(cost: Any, credits: float | None) -> None:
    assert query(status="running", costCredit=cost).cost_credit == credits


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "empty_result"),
        ([], "empty_result"),
        (True, "empty_result"),
        ("x", "empty_result"),
        ({}, "no_status"),
        ({"status": None}, "no_status"),
        ({"status": " "}, "no_status"),
    ],
)
def test_a_reply_without_a_status_tells_nothing(result: Any, reason: str) -> None:
    view = judge_query(Answer(status=200, code="200", result=result))
    assert (view.fate, view.reason) == (TaskFate.NO_INFORMATION, reason)


def test_a_reply_about_another_task_tells_nothing() -> None:
    answer = Answer(code="200", result={"taskId": "other", "status": "fail"})
    assert judge_query(answer, TaskId("mine")).fate is TaskFate.NO_INFORMATION
    assert judge_query(answer, TaskId("other")).fate is TaskFate.FAILED


@pytest.mark.parametrize(
    ("answer", "fate", "reason"),
    [
        (Answer(status=200, code="4004"), TaskFate.UNKNOWN_TASK, "vendor:4004"),
        (Answer(status=200, code="401"), TaskFate.AUTH, "vendor:401"),
        (Answer(status=200, code="4002"), TaskFate.AUTH, "vendor:4002"),
        (Answer(status=401), TaskFate.AUTH, "http:401"),
        (Answer(status=429), TaskFate.BUSY, "http:429"),
        (Answer(status=200, code="5003"), TaskFate.BUSY, "vendor:5003"),
        (Answer(status=429, code="4000"), TaskFate.BUSY, "vendor:4000"),
        (Answer(status=200, code="4000"), TaskFate.NO_INFORMATION, "vendor:4000"),
        (Answer(status=200, code="5000"), TaskFate.NO_INFORMATION, "vendor:5000"),
        (Answer(status=404), TaskFate.NO_INFORMATION, "http:404"),
        (Answer(status=502), TaskFate.NO_INFORMATION, "http:502"),
        (Answer(status=200), TaskFate.NO_INFORMATION, "http:200"),
        (Answer(failure=Failure.NO_REPLY), TaskFate.NO_INFORMATION, "no_reply"),
        (Answer(failure=Failure.NEVER_SENT), TaskFate.NO_INFORMATION, "never_sent"),
    ],
)
def test_a_query_that_did_not_succeed(answer: Answer, fate: TaskFate, reason: str) -> None:
    view = judge_query(answer)
    assert (view.fate, view.reason) == (fate, reason)


CALLS = [
    *((Answer(status=200, code="200"), CallFate.OK), (Answer(code="200"), CallFate.OK)),
    *((Answer(code=code), CallFate.AUTH) for code in ("401", "4002")),
    *((Answer(code=c), CallFate.RETRY) for c in ("4007", "5000", "5001", "5003", "5004", "5005")),
    *((Answer(code=c), CallFate.RETRY) for c in ("5999", "0", "odd", "429", "500")),
    *((Answer(code=c), CallFate.PERMANENT) for c in ("4000", "4001", "4003", "4004", "4005")),
    *((Answer(code=c), CallFate.PERMANENT) for c in ("4006", "4100", "6001", "4099", "6002")),
    (Answer(status=429, code="4000"), CallFate.RETRY),
    (Answer(status=401), CallFate.AUTH),
    *((Answer(status=s), CallFate.PERMANENT) for s in (301, 308, 400, 403, 404, 405, 413)),
    *((Answer(status=s), CallFate.RETRY) for s in (200, 204, 302, 307, 408, 425, 429)),
    *((Answer(status=s), CallFate.RETRY) for s in (500, 502, 503, 504)),
    *((Answer(failure=f), CallFate.RETRY) for f in Failure),
]


@pytest.mark.parametrize(("answer", "fate"), CALLS)
def test_a_free_call(answer: Answer, fate: CallFate) -> None:
    verdict = judge_call(answer)
    assert verdict.fate is fate
    assert bool(verdict.reason) is (fate is not CallFate.OK)
    assert bool(verdict.message) is (fate is not CallFate.OK)


def test_a_verdict_carries_the_reason_the_words_and_the_wish() -> None:
    verdict = judge_call(Answer(status=200, code="5003", message="busy", retry_after_s=4.0))
    assert (verdict.reason, verdict.message, verdict.retry_after_s) == (
        "vendor:5003",
        "The vendor is busy (code 5003): busy",
        4.0,
    )


PUTS = [
    *((Answer(status=s), PutFate.OK) for s in (200, 201, 204)),
    *((Answer(status=s), PutFate.RETRY) for s in (408, 429, 500, 502, 503)),
    *((Answer(status=s), PutFate.NEW_LINK) for s in (307, 401, 403, 404, 410)),
    *((Answer(status=s), PutFate.PERMANENT) for s in (400, 405, 411, 413, 501)),
    (Answer(status=400, message="RequestTimeout"), PutFate.RETRY),
    *((Answer(failure=f), PutFate.RETRY) for f in Failure),
]


@pytest.mark.parametrize(("answer", "fate"), PUTS)
def test_an_upload(answer: Answer, fate: PutFate) -> None:
    assert judge_put(answer).fate is fate
