"""Exports: the order of columns, what each format writes, and what a history says."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields, replace
from typing import Any

import pytest
from results_kit import NOON, job_row

from orchestrator.model import Event, EventKind, Revision, State
from orchestrator.report.export import COLUMNS, Format, as_object, iso, writing
from orchestrator.report.results import Result, Times, plain, result, times_of
from orchestrator.store.base import StoredEvent

REVISION = Revision("0123456789abcdef" * 4)
TIMES = Times(submitted_at=NOON, accepted_at=NOON + 1.9, done_at=NOON + 60, seconds=42.5)


def one(job_id: str = "hello", state: State = State.DONE, **more: Any) -> Result:
    return result(job_row(job_id, state, **more), TIMES, REVISION)


def lines(format: Format, *pages: list[Result], rehearsal: bool = False) -> list[str]:
    written = writing(format, "spring", rehearsal=rehearsal)
    body = [line for page in pages for line in written.page(page)]
    return [*written.head, *body, *written.foot]


def rows_of(text: list[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("\n".join(text) + "\n", newline="")))


def test_the_columns_are_the_fields_of_a_result_in_the_documented_order() -> None:
    assert (
        *("id", "state", "output", "bytes", "duration_s", "task_id", "attempts", "credits"),
        *("error", "tags", "priority", "submitted_at", "accepted_at", "done_at", "revision"),
        *("overdue", "orphan", "saved_avatar_id"),
    ) == COLUMNS
    assert tuple(field.name for field in fields(Result)) == COLUMNS


def test_an_object_of_a_finished_job() -> None:
    assert as_object(one(tags=("vip", "de"), priority=-5)) == {
        "id": "hello",
        "state": "done",
        "output": "/project/out/spring/hello.mp4",
        "bytes": 1_500_000,
        "duration_s": 42.5,
        "task_id": "task-of-hello",
        "attempts": 1,
        "credits": 1.0,
        "error": None,
        "tags": ["vip", "de"],
        "priority": -5,
        "submitted_at": "2025-06-15T15:06:40Z",
        "accepted_at": "2025-06-15T15:06:41Z",
        "done_at": "2025-06-15T15:07:40Z",
        "revision": "01234567",
        "overdue": False,
        "orphan": False,
        "saved_avatar_id": None,
    }


def test_csv_has_a_line_of_titles_and_a_line_a_job() -> None:
    text = lines(Format.CSV, [one(tags=("vip", "de"), priority=-5)], [one("b", State.FAILED)])
    assert text[0] == ",".join(COLUMNS)
    assert text[1] == (
        "hello,done,/project/out/spring/hello.mp4,1500000,42.5,task-of-hello,1,1.0,,vip;de,-5,"
        "2025-06-15T15:06:40Z,2025-06-15T15:06:41Z,2025-06-15T15:07:40Z,01234567,0,0,"
    )
    assert [row["id"] for row in rows_of(text)] == ["hello", "b"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_text_of_a_csv_can_be_taken_for_a_formula(start: str) -> None:
    evil = f'{start}cmd|"/c calc"!A1'
    [row] = rows_of(
        lines(
            Format.CSV,
            [one(evil, State.FAILED, message=evil, task_id=evil, tags=(evil,), output=evil)],
        )
    )
    cells = [row[name] for name in ("id", "error", "task_id", "tags", "output")]
    assert cells == [f"'{evil}"] * 5


def test_numbers_of_a_csv_stay_numbers() -> None:
    [row] = rows_of(lines(Format.CSV, [one(priority=-5)]))
    assert row["priority"] == "-5"


@pytest.mark.parametrize("evil", ['a"b', "a,b", "a;b", "ä\u2028b", "a\tb", "a'b"])
def test_a_csv_gives_back_what_went_in(evil: str) -> None:
    [row] = rows_of(lines(Format.CSV, [one(evil)]))
    assert row["id"] == evil


def test_an_error_is_one_line_without_secrets() -> None:
    told = "first\r\nhttps://a:b@c.example/d?X-Amz-Signature=e \x1b[31mred"
    assert one(state=State.FAILED, message=told).error == "first https://c.example/d [31mred"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("see https://x.example/a?b=c.", "see https://x.example/a"),
        ("(s3://bucket/key#part)", "(s3://bucket/key"),
        ("'http://x/?k=v' failed", "'http://x/' failed"),
        ("really? yes: 50% # done", "really? yes: 50% # done"),
    ],
)
def test_queries_leave_addresses_and_nothing_else(text: str, cleaned: str) -> None:
    assert plain(text) == cleaned


def test_json_is_one_document_however_it_is_cut() -> None:
    text = lines(Format.JSON, [one("a"), one("b")], [], [one("c")], rehearsal=True)
    document = json.loads("\n".join(text))
    assert (document["batch"], document["rehearsal"]) == ("spring", True)
    assert [job["id"] for job in document["jobs"]] == ["a", "b", "c"]
    assert list(document["jobs"][0]) == list(COLUMNS)


@pytest.mark.parametrize("format", Format)
def test_no_jobs_are_no_error(format: Format) -> None:
    text = "\n".join(lines(format))
    match format:
        case Format.CSV:
            assert text == ",".join(COLUMNS)
        case Format.JSON:
            assert json.loads(text)["jobs"] == []
        case Format.JSONL:
            assert text == ""


def test_jsonl_is_an_object_a_line() -> None:
    found = [json.loads(line) for line in lines(Format.JSONL, [one("a"), one("b")])]
    assert [job["id"] for job in found] == ["a", "b"]


def test_an_unfinished_job_has_no_size_length_or_end() -> None:
    found = one(state=State.SUBMITTED, output_bytes=7, data={"seconds": 1.0})
    assert (found.bytes, found.duration_s, found.done_at) == (None, None, None)
    assert found.submitted_at == NOON


def test_a_reason_that_is_history_is_no_error() -> None:
    assert one(message="it was slow").error is None
    assert one(state=State.SUBMITTED, message="it is slow", overdue=True).error == "it is slow"
    assert one(state=State.FAILED, reason="vendor:4003").error == "vendor:4003"


def test_a_time_is_utc_and_rounded_down() -> None:
    assert iso(0.999) == "1970-01-01T00:00:00Z"
    assert iso(None) is None


def history(*kinds: EventKind, **data: object) -> list[StoredEvent]:
    """Events a second apart, from second 1 on."""
    return [
        StoredEvent(
            job_id=job_row("a").job_id,
            before=State.PENDING,
            after=State.PENDING,
            event=Event(kind=kind, at=float(at), data=data),
        )
        for at, kind in enumerate(kinds, start=1)
    ]


E = EventKind
MADE = (E.ASSETS_LIVE, E.SUBMIT_INTENT, E.SUBMIT_ACCEPTED, E.TASK_SUCCEEDED, E.DOWNLOADED)
DONE = Times(submitted_at=2, accepted_at=3, done_at=5, seconds=1.5)


@pytest.mark.parametrize(
    ("kinds", "times"),
    [
        ((), Times()),
        ((E.ASSETS_LIVE,), Times()),
        (MADE[:2], Times(submitted_at=2)),
        (MADE[:4], Times(submitted_at=2, accepted_at=3)),
        (MADE, DONE),
        ((*MADE, E.MOVED), DONE),
        ((*MADE, E.FILE_GONE), replace(DONE, done_at=None, seconds=None)),
        ((*MADE, E.FILE_GONE, E.TASK_SUCCEEDED, E.DOWNLOADED), replace(DONE, done_at=8)),
        ((*MADE, E.REVISED), Times()),
        ((*MADE, E.REVISED, E.ASSETS_LIVE, E.SUBMIT_INTENT), Times(submitted_at=8)),
        ((*MADE[:3], E.RENDER_AGAIN, E.SUBMIT_INTENT), Times(submitted_at=5)),
        (
            (*MADE[:2], E.SUBMIT_UNKNOWN, E.DOUBT_ADOPTED),
            Times(submitted_at=2, accepted_at=4),
        ),
    ],
)
def test_times_are_of_the_current_revision_and_its_latest_attempt(
    kinds: tuple[EventKind, ...], times: Times
) -> None:
    assert times_of(history(*kinds, seconds=1.5)) == times


def test_a_length_that_nobody_measured_is_not_known() -> None:
    assert times_of(history(*MADE, seconds=None)).seconds is None
