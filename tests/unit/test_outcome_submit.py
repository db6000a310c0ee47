"""What a submit came to: every code, every kind of status, every failure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.outcome import SUBMIT_CODES, VERDICTS, Cause, find_task_id, judge_submit
from orchestrator.model import Answer, Failure, Verdict

CODES = {
    "200": (Cause.UNKNOWN, "no_task_id"),
    "401": (Cause.AUTH, "vendor:401"),
    "4000": (Cause.JOB, "vendor:4000"),
    "4001": (Cause.JOB, "vendor:4001"),
    "4002": (Cause.AUTH, "vendor:4002"),
    "4003": (Cause.JOB, "vendor:4003"),
    "4004": (Cause.FILE_UNKNOWN, "vendor:4004"),
    "4005": (Cause.JOB, "vendor:4005"),
    "4006": (Cause.JOB, "vendor:4006"),
    "4007": (Cause.CAP_FULL, "vendor:4007"),
    "4100": (Cause.CREDIT, "vendor:4100"),
    "5000": (Cause.UNKNOWN, "vendor:5000"),
    "5001": (Cause.UNKNOWN, "vendor:5001"),
    "5003": (Cause.BUSY, "vendor:5003"),
    "5004": (Cause.UNKNOWN, "vendor:5004"),
    "5005": (Cause.UNKNOWN, "vendor:5005"),
    "6001": (Cause.JOB, "vendor:6001"),
}
ODD_CODES = ["0", "201", "403", "404", "429", "500", "4008", "4099", "5002", "6002", "SUCCESS"]

STATUSES = {
    **dict.fromkeys((100, 200, 201, 204, 299), Cause.UNKNOWN),
    **dict.fromkeys((301, 302, 303, 307, 308), Cause.UNKNOWN),
    **dict.fromkeys((400, 402, 403, 404, 405, 407, 411, 413, 415, 418, 451), Cause.GATEWAY),
    401: Cause.AUTH,
    408: Cause.UNKNOWN,
    429: Cause.BUSY,
    **dict.fromkeys((500, 501, 502, 503, 504, 520, 599, 600), Cause.UNKNOWN),
}


def test_every_documented_code_is_in_the_table() -> None:
    assert SUBMIT_CODES.keys() == CODES.keys()


@pytest.mark.parametrize("status", [200, 401, 408, 500])
@pytest.mark.parametrize(("code", "expected"), CODES.items())
def test_a_code_decides_whatever_the_status_is(
    code: str, expected: tuple[Cause, str], status: int
) -> None:
    outcome = judge_submit(Answer(status=status, code=code, message="words"))
    assert (outcome.cause, outcome.reason) == expected
    assert outcome.task_id is None
    assert "words" in outcome.message


@pytest.mark.parametrize("code", ODD_CODES)
def test_a_code_that_nobody_has_documented_is_unknown(code: str) -> None:
    outcome = judge_submit(Answer(status=400, code=code))
    assert (outcome.verdict, outcome.reason) == (Verdict.UNKNOWN, f"vendor:{code}")


@pytest.mark.parametrize(("status", "cause"), STATUSES.items())
def test_without_an_envelope_the_status_decides(status: int, cause: Cause) -> None:
    outcome = judge_submit(Answer(status=status, detail="HTML instead of JSON"))
    assert (outcome.cause, outcome.reason) == (cause, f"http:{status}")


def test_what_surely_did_not_leave_is_never_sent() -> None:
    outcome = judge_submit(Answer(failure=Failure.NEVER_SENT, detail="no connection"))
    assert (outcome.verdict, outcome.cause, outcome.reason, outcome.message) == (
        Verdict.NEVER_SENT,
        Cause.NEVER_SENT,
        "never_sent",
        "The request could not be sent: no connection",
    )


@pytest.mark.parametrize("answer", [Answer(failure=Failure.NO_REPLY), Answer()])
def test_a_lost_reply_is_unknown(answer: Answer) -> None:
    outcome = judge_submit(answer)
    assert (outcome.verdict, outcome.reason) == (Verdict.UNKNOWN, "no_reply")
    assert "not sent again" in outcome.message


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=200, code="200", result={"taskId": " t1 ", "status": "success"}),
        Answer(status=200, code="200", result={"task": {"task_id": "t1"}}),
        Answer(status=500, code="5000", result=[{"taskId": ""}, {"taskId": "t1"}]),
        Answer(status=200, code="4000", result={"taskId": "t1"}),
        Answer(status=502, result={"taskId": "t1"}),
    ],
)
def test_a_task_id_anywhere_is_an_acceptance(answer: Answer) -> None:
    outcome = judge_submit(answer)
    assert (outcome.verdict, outcome.cause, outcome.task_id) == (
        Verdict.ACCEPTED,
        Cause.ACCEPTED,
        "t1",
    )


@pytest.mark.parametrize(
    "result",
    [
        None,
        "t1",
        {},
        {"taskId": None},
        {"taskId": "  "},
        {"taskId": 7},
        {"taskId": "\ud800"},
        {"subTaskId": "t1"},
        {"status": "success"},
        [],
        [[]],
        True,
    ],
)
def test_success_without_a_task_id_is_unknown(result: Any) -> None:
    outcome = judge_submit(Answer(status=200, code="200", result=result))
    assert (outcome.verdict, outcome.reason) == (Verdict.UNKNOWN, "no_task_id")


def test_the_task_id_nearest_to_the_root_counts() -> None:
    assert find_task_id({"older": {"taskId": "deep"}, "taskId": "near"}) == "near"


def test_a_deep_reply_is_searched_without_recursion() -> None:
    result: Any = {"taskId": "t1"}
    for _ in range(50_000):
        result = [result]
    assert find_task_id(result) == "t1"


def test_the_wish_of_the_vendor_is_passed_on() -> None:
    outcome = judge_submit(Answer(status=429, retry_after_s=0.0))
    assert (outcome.cause, outcome.retry_after_s) == (Cause.BUSY, 0.0)


def test_every_cause_has_a_verdict() -> None:
    assert VERDICTS.keys() == set(Cause)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["taskId", "status", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    status=st.none() | st.integers(min_value=100, max_value=700),
    code=st.none() | st.sampled_from([*CODES, *ODD_CODES]) | st.text(max_size=5),
    result=JSON,
    failure=st.none() | st.sampled_from(Failure),
)
def test_a_refusal_is_only_what_the_law_calls_one(
    status: int | None, code: str | None, result: Any, failure: Failure | None
) -> None:
    outcome = judge_submit(Answer(status=status, code=code, result=result, failure=failure))
    if find_task_id(result) is not None:
        assert outcome.verdict is Verdict.ACCEPTED
    elif code is not None:
        refusals = {*range(4000, 4008), 401, 4100, 5003, 6001}
        refused = code in {str(number) for number in refusals}
        assert outcome.verdict is (Verdict.REFUSED if refused else Verdict.UNKNOWN)
    elif status is not None:
        refused = 400 <= status <= 499 and status != 408
        assert outcome.verdict is (Verdict.REFUSED if refused else Verdict.UNKNOWN)
    else:
        never = failure is Failure.NEVER_SENT
        assert outcome.verdict is (Verdict.NEVER_SENT if never else Verdict.UNKNOWN)
