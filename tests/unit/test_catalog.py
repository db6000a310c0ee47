"""The vendor's lists as values: what is read, what is left behind, when paging ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model import Answer, Failure, TaskId
from orchestrator.topview.catalog import (
    Avatar,
    Caption,
    Charge,
    Ethnicity,
    Page,
    Voice,
    Walk,
    avatar,
    caption,
    charge,
    ethnicity,
    log_moment,
    log_time,
    read_page,
    scrub_log,
    voice,
    walk,
)

KEY = "key-that-nobody-may-see"
SIGNED = "https://cdn.example.invalid/a/9001.mp4?Signature=abc%2Fdef&Expires=1"
ENTRY = {
    "uid": "uid-1",
    "apiKey": KEY,
    "date": "2026-03-01 12:00:05",
    "costCredit": 1.5,
    "taskId": "aa00",
    "taskType": "video_avatar",
}


def says(result: Any) -> Answer:
    return Answer(status=200, code="200", message="Success", result=result)


def paged(data: list[Any], total: int) -> Answer:
    return says({"total": total, "pageNo": 1, "pageSize": 100, "data": data})


def test_an_avatar_is_read_with_its_voice_and_ethnicities() -> None:
    item = {
        "aiavatarId": "9001",
        "aiavatarName": "Sample Ana",
        "gender": "female",
        "previewVideoUrl": SIGNED,
        "ethnicities": [{"ethnicityId": "e1", "ethnicityName": "Sample"}],
        "voiceoverIdDefault": "Voice1",
    }
    assert avatar(item, private=False) == Avatar(
        id="9001",
        name="Sample Ana",
        gender="female",
        ethnicities=("Sample",),
        voice="Voice1",
        preview="https://cdn.example.invalid/a/9001.mp4",
    )


@pytest.mark.parametrize(
    ("value", "names"),
    [(None, ()), ("Sample", ("Sample",)), (["A", "B"], ("A", "B")), ([{"x": 1}, None], ())],
)
def test_ethnicities_come_in_three_shapes(value: Any, names: tuple[str, ...]) -> None:
    found = avatar({"aiavatarId": "1", "ethnicities": value}, private=True)
    assert found is not None
    assert found.ethnicities == names


@pytest.mark.parametrize("item", [None, "3327", {}, {"aiAvatarId": "3327"}, {"aiavatarId": ""}])
def test_an_item_without_its_id_is_no_avatar(item: Any) -> None:
    assert avatar(item, private=False) is None


def test_a_number_is_taken_for_an_id() -> None:
    assert avatar({"aiavatarId": 3327}, private=False) == Avatar(id="3327", name="")


def test_a_voice_is_read_also_under_the_older_name_of_its_language() -> None:
    item = {"voiceId": "V1", "voiceName": "Eva", "language": "de", "age": None, "style": "UGC"}
    assert voice(item, private=True) == Voice(
        id="V1", name="Eva", language="de", style="UGC", private=True
    )


def test_a_picture_loses_what_signs_its_address() -> None:
    assert caption({"captionId": "c1", "thumbnail": SIGNED}) == Caption(
        id="c1", picture="https://cdn.example.invalid/a/9001.mp4"
    )


def test_an_ethnicity_without_a_name_is_called_by_its_id() -> None:
    assert ethnicity({"ethnicityId": "e1"}) == Ethnicity(id="e1", name="e1")


@pytest.mark.parametrize(
    ("answer", "page"),
    [
        (paged([1, 2], 7), Page(items=(1, 2), total=7)),
        (says([1, 2]), Page(items=(1, 2), total=2)),
        (says({"data": [1]}), Page(items=(1,), total=None)),
        (says({"data": [1], "total": "3"}), Page(items=(1,), total=3)),
        (says(None), None),
        (says("nothing"), None),
        (says({"total": 3}), None),
        (Answer(status=200, code="5003", result=[1]), None),
        (Answer(failure=Failure.NO_REPLY), None),
    ],
)
def test_a_list_is_read_in_both_shapes(answer: Answer, page: Page | None) -> None:
    assert read_page(answer) == page


class Pages:
    """Pages of whole numbers; the last one is repeated for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.asked: list[int] = []

    async def ask(self, number: int) -> Answer:
        self.asked.append(number)
        return self.answers[min(number, len(self.answers)) - 1]

    async def walk(self) -> Walk[int]:
        return await walk(self.ask, lambda item: item, lambda value: value)


async def test_paging_ends_when_the_total_is_reached() -> None:
    pages = Pages(paged([1, 2], 3), paged([3], 3), paged([4], 3))
    assert await pages.walk() == Walk(items=(1, 2, 3), total=3, complete=True)
    assert pages.asked == [1, 2]


async def test_paging_counts_what_comes_not_what_was_asked_for() -> None:
    """A vendor that gives smaller pages than asked for still gives all of them."""
    pages = Pages(paged([1], 3), paged([2], 3), paged([3], 3))
    assert (await pages.walk()).items == (1, 2, 3)


async def test_an_empty_page_ends_a_list_that_is_shorter_than_it_says() -> None:
    pages = Pages(paged([1, 2], 9), paged([], 9))
    assert await pages.walk() == Walk(items=(1, 2), total=9, complete=False)
    assert pages.asked == [1, 2]


async def test_a_vendor_that_ignores_page_numbers_is_noticed() -> None:
    pages = Pages(paged([1, 2], 4))
    assert await pages.walk() == Walk(items=(1, 2), total=4, complete=False)
    assert pages.asked == [1, 2]


async def test_a_list_that_moves_meanwhile_shows_nothing_twice() -> None:
    pages = Pages(paged([1, 2], 4), paged([2, 3], 4))
    assert (await pages.walk()).items == (1, 2, 3)


async def test_a_bare_array_is_asked_for_once() -> None:
    pages = Pages(says([1, 2]))
    assert await pages.walk() == Walk(items=(1, 2), total=2, complete=True)
    assert pages.asked == [1]


async def test_an_empty_list_is_complete() -> None:
    assert await Pages(paged([], 0)).walk() == Walk(items=(), total=0, complete=True)


async def test_a_failing_page_ends_the_walk_with_what_was_found() -> None:
    refused = Answer(status=200, code="5003")
    pages = Pages(paged([1, 2], 4), refused)
    assert await pages.walk() == Walk(items=(1, 2), total=4, failed=refused)


def test_a_log_entry_loses_all_but_four_facts() -> None:
    scrubbed = scrub_log(paged([ENTRY, "odd"], 2), (KEY,))
    assert scrubbed.result == {
        "total": 2,
        "data": [{k: ENTRY[k] for k in ("date", "costCredit", "taskId", "taskType")}, {}],
    }
    assert KEY not in repr(scrubbed)


def test_a_key_in_the_wrong_field_is_taken_out_too() -> None:
    scrubbed = scrub_log(paged([{**ENTRY, "taskType": f"by {KEY}"}], 1), (KEY,))
    assert scrubbed.result["data"][0]["taskType"] == "by ***"


@pytest.mark.parametrize("result", [None, {"apiKeyMap": {"x": KEY}}, KEY, {"data": {"k": KEY}}])
def test_a_log_that_is_no_list_keeps_nothing(result: Any) -> None:
    assert scrub_log(says(result), (KEY,)) == Answer(status=200, code="200")


def test_a_refused_question_for_the_log_keeps_its_words() -> None:
    refused = Answer(status=200, code="4000", message="startTime is odd", result={"k": KEY})
    assert scrub_log(refused, (KEY,)) == Answer(status=200, code="4000", message="startTime is odd")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.just(KEY),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("data"), inner),
    )
)
def test_no_shape_of_a_log_lets_the_key_through(result: Any) -> None:
    scrubbed = scrub_log(says({"data": [result]}), (KEY,))
    assert KEY not in json.dumps(scrubbed.result)


def test_a_charge_is_read_from_what_is_left() -> None:
    entry = scrub_log(paged([ENTRY], 1), (KEY,)).result["data"][0]
    assert charge(entry) == Charge(
        at=1_772_366_405.0, task_id=TaskId("aa00"), task_type="video_avatar", credits=1.5
    )


def test_an_entry_that_says_nothing_is_no_charge() -> None:
    assert charge({}) is None


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-03-01 12:00:05", 1_772_366_405.0),
        ("2026-03-01T12:00:05Z", 1_772_366_405.0),
        (1_772_366_405, 1_772_366_405.0),
        (1_772_366_405_000, 1_772_366_405.0),
        ("yesterday", None),
        (None, None),
        (True, None),
    ],
)
def test_times_of_the_log_are_utc(value: Any, at: float | None) -> None:
    assert log_time(value) == at


def test_a_question_for_the_log_is_asked_in_whole_seconds_of_utc() -> None:
    assert log_moment(1_772_366_405.9) == "2026-03-01 12:00:05"
