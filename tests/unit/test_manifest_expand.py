"""Defaults under jobs, null, sources that replace each other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.manifest.expand import SOURCES, absolute, merged, without_nulls
from orchestrator.manifest.nodes import Plain, Spot


def _plain(values: dict[str, Any]) -> Plain:
    spots: dict[str, Spot] = {"": (1, 1)}
    for key, value in values.items():
        spots[key] = (2, 2)
        if isinstance(value, dict):
            spots |= {f"{key}.{inner}": (3, 3) for inner in value}
    return Plain(values=values, spots=spots, spoiled=set())


@pytest.mark.parametrize(
    ("defaults", "job", "expected"),
    [
        ({}, {"id": "a"}, {"id": "a"}),
        ({"mode": "avatar2"}, {"id": "a"}, {"id": "a", "mode": "avatar2"}),
        ({"mode": "avatar2"}, {"mode": "avatar1"}, {"mode": "avatar1"}),
        ({"mode": "avatar2"}, {"mode": None}, {}),
        (
            {"audio": {"voice": "v", "speed": "1"}},
            {"audio": {"text": "Hi."}},
            {"audio": {"voice": "v", "speed": "1", "text": "Hi."}},
        ),
        (
            {"audio": {"text": "Hi.", "voice": "v"}},
            {"audio": {"file": "a.wav"}},
            {"audio": {"file": "a.wav", "voice": "v"}},
        ),
        (
            {"audio": {"text": "Hi.", "voice": "v"}},
            {"audio": {"voice": None}},
            {"audio": {"text": "Hi."}},
        ),
        ({"audio": {"text": "Hi."}}, {"audio": {"text": None}}, {"audio": {}}),
        ({"audio": {"text": "Hi."}}, {"audio": None}, {}),
        ({"avatar": {"video": "a"}}, {"avatar": {"public": "1"}}, {"avatar": {"public": "1"}}),
        ({"avatar": {"video": "a"}}, {"avatar": {}}, {"avatar": {"video": "a"}}),
        ({"tags": ["a", "b"]}, {"tags": ["c"]}, {"tags": ["c"]}),
        ({"tags": ["a", "b"]}, {"tags": []}, {"tags": []}),
    ],
)
def test_a_job_is_laid_over_the_defaults(
    defaults: dict[str, Any], job: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert merged(_plain(defaults), _plain(job)).values == expected


_AUDIO = st.dictionaries(
    st.sampled_from(["file", "text", "text_file", "voice", "speed"]), st.text() | st.none()
)
_JOB = st.fixed_dictionaries(
    {},
    optional={
        "audio": _AUDIO | st.none(),
        "avatar": st.dictionaries(st.sampled_from(sorted(SOURCES["avatar"])), st.text()),
        "mode": st.text() | st.none(),
        "tags": st.lists(st.text()) | st.none(),
    },
)


@given(defaults=_JOB, job=_JOB)
def test_merging_changes_neither_side_and_says_nothing_new(
    defaults: dict[str, Any], job: dict[str, Any]
) -> None:
    before = copy.deepcopy((defaults, job))

    result = merged(_plain(defaults), _plain(job))

    assert (defaults, job) == before
    assert merged(_plain({}), _plain(result.values)).values == result.values
    for name, value in without_nulls(job).items():
        if not isinstance(value, dict):
            assert result.values[name] == value
        else:
            assert value.items() <= result.values[name].items()
            if SOURCES[name] & value.keys():
                assert SOURCES[name] & result.values[name].keys() == SOURCES[name] & value.keys()


@given(job=_JOB)
def test_a_job_over_itself_or_over_nothing_is_itself(job: dict[str, Any]) -> None:
    plain = without_nulls(job)

    assert merged(_plain({}), _plain(plain)).values == plain
    assert merged(_plain(plain), _plain({})).values == plain
    assert merged(_plain(plain), _plain(plain)).values == plain


def test_what_was_refused_in_the_defaults_stays_refused_unless_the_job_says_it_anew() -> None:
    defaults = Plain(values={}, spots={}, spoiled={"mode", "audio.voice"})

    assert merged(defaults, _plain({})).spoiled == {"mode", "audio.voice"}
    assert merged(defaults, _plain({"mode": "avatar1"})).spoiled == {"audio.voice"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.mp4", "/m/a.mp4"), ("./a//b", "/m/a/b"), ("../a", "/m/../a"), ("/a", "/a"), ("~", "/m/~")],
)
def test_paths_become_absolute_without_looking_at_the_disk(path: str, expected: str) -> None:
    assert absolute("/m", path) == expected
