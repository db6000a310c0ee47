"""What a user may ask of a list: the question for the vendor, and the filter of a copy."""

from __future__ import annotations

import pytest

from orchestrator.catalogues.filters import (
    LANGUAGES,
    AvatarFilter,
    Question,
    VoiceFilter,
    find_ethnicities,
    known_word,
    near,
    or_list,
    span_s,
)
from orchestrator.errors import UsageError
from orchestrator.topview.catalog import Avatar, Ethnicity, Voice

EAST = Ethnicity(id="e1", name="East Asian")
SOUTH = Ethnicity(id="e2", name="South Asian")
BLACK = Ethnicity(id="e3", name="Black")
KNOWN = (EAST, SOUTH, BLACK)


def test_a_question_names_only_what_was_asked() -> None:
    assert AvatarFilter().question([]) == Question(kind="avatars")
    assert VoiceFilter().question() == Question(kind="voices")


def test_avatars_are_asked_for_by_all_their_filters() -> None:
    question = AvatarFilter(gender="Female", private=True).question([EAST, BLACK])
    assert dict(question.params) == {
        "gender": "female",
        "ethnicityIdList": "e1,e3",
        "isCustom": "true",
    }


def test_voices_are_asked_for_in_the_vendors_spelling() -> None:
    wanted = VoiceFilter(
        language="ZH-cn", gender="MALE", age="middle-age", style="cartoon and animals", accent="us"
    )
    assert dict(wanted.question().params) == {
        "language": "zh-CN",
        "gender": "male",
        "age": "Middle Age",
        "style": "Cartoon_And_Animals",
        "accent": "Us",
    }


def test_a_name_is_no_part_of_the_question() -> None:
    assert AvatarFilter(name="ana").question([]) == AvatarFilter().question([])


def test_the_key_of_a_question_does_not_depend_on_the_order() -> None:
    one = Question(kind="voices", params=(("a", "1"), ("b", "2 3")))
    other = Question(kind="voices", params=(("b", "2 3"), ("a", "1")))
    assert one.key == other.key == "voices?a=1&b=2+3"


def test_the_whole_list_behind_a_question_keeps_private_items_apart() -> None:
    question = AvatarFilter(gender="male", private=True).question([])
    assert question.plain == Question(kind="avatars", params=(("isCustom", "true"),))
    assert AvatarFilter(gender="male").question([]).plain == Question(kind="avatars")


@pytest.mark.parametrize("word", ["femal", "females"])
def test_a_slip_is_refused_with_the_word_that_was_meant(word: str) -> None:
    with pytest.raises(UsageError, match=rf"^--gender {word}: did you mean female"):
        AvatarFilter(gender=word).question([])


def test_a_word_that_is_like_no_other_is_left_to_the_vendor() -> None:
    assert known_word("--language", "sw", LANGUAGES) == "sw"
    assert known_word("--language", None, LANGUAGES) is None


@pytest.mark.parametrize("name", ["east asian", "East_Asian", "e1"])
def test_an_ethnicity_is_found_by_its_name_in_any_case_or_its_id(name: str) -> None:
    assert find_ethnicities([name], KNOWN) == [EAST]


def test_several_ethnicities_are_found_each_once() -> None:
    assert find_ethnicities(["black", "east asian", "Black"], KNOWN) == [BLACK, EAST]


def test_an_unknown_ethnicity_names_those_that_are_close() -> None:
    with pytest.raises(UsageError, match="asian: did you mean East Asian or South Asian"):
        find_ethnicities(["asian"], KNOWN)


def test_an_ethnicity_like_no_other_names_all() -> None:
    with pytest.raises(UsageError, match="knows Black, East Asian, South Asian"):
        find_ethnicities(["martian from mars"], KNOWN)


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (AvatarFilter(), True),
        (AvatarFilter(gender="Female"), True),
        (AvatarFilter(gender="male"), False),
    ],
)
def test_a_copy_of_avatars_is_filtered_by_gender(wanted: AvatarFilter, matches: bool) -> None:
    assert wanted.matches(Avatar(id="1", name="Ana", gender="female"), []) is matches


def test_a_copy_of_avatars_is_filtered_by_ethnicity() -> None:
    avatar = Avatar(id="1", name="Ana", ethnicities=("east asian",))
    wanted = AvatarFilter(ethnicities=("e1",))
    assert wanted.matches(avatar, [BLACK, EAST])
    assert not wanted.matches(avatar, [BLACK])


def test_an_item_that_does_not_tell_is_not_what_was_wanted() -> None:
    assert not AvatarFilter(gender="male").matches(Avatar(id="1", name="Ana"), [])


def test_a_copy_of_voices_is_filtered_by_every_word() -> None:
    voice = Voice(id="v", name="Eva", language="de", gender="female", age="Old", style="UGC")
    assert VoiceFilter(language="DE", age="old", style="ugc").matches(voice)
    assert not VoiceFilter(language="de", accent="British").matches(voice)


def test_a_name_matches_in_any_case() -> None:
    assert AvatarFilter(name="ANA").names(Avatar(id="1", name="Sample Ana"))
    assert not VoiceFilter(name="bob").names(Voice(id="1", name="Ana"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400.0), ("24h", 86400.0), ("7d", 604800.0), ("2 W", 1209600.0)],
)
def test_a_span_of_time_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert span_s("--since", text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1y", "yesterday"])
def test_anything_else_is_no_span(text: str) -> None:
    with pytest.raises(UsageError, match="such as 90m, 24h, 7d or 2w"):
        span_s("--since", text)


@pytest.mark.parametrize(
    ("words", "text"), [(["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")]
)
def test_a_choice_is_written_with_or(words: list[str], text: str) -> None:
    assert or_list(words) == text


def test_what_is_near_is_each_named_once() -> None:
    assert near("332", ["3327", "9001", "3320", "3327"]) == ["3327", "3320"]
