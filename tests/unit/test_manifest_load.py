"""YAML text to nodes: positions, aliases, one job at a time, and no text that breaks it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.manifest.load import ALIAS_NODES_PER_JOB, MAX_ALIAS_NODES, MAX_DEPTH, Document
from orchestrator.manifest.nodes import Table, key_spot, plain_of

PURE = yaml.SafeLoader


def _document(text: str | bytes, loader: Any = None) -> tuple[Document, list[Any]]:
    document = Document(text, "jobs.yaml", loader=loader)
    return document, list(document.jobs())


def _values(text: str) -> dict[str, Any]:
    document, _ = _document(text)
    assert document.complaints == []
    assert document.top is not None
    return plain_of(document.top).values


def _problems(document: Document) -> list[str]:
    return [f"{c.place.line}:{c.place.column} {c.problem}" for c in document.complaints]


@pytest.mark.parametrize(
    "word", ["no", "3327", "1:30", "0x1F", "1e3", "true", "2026-01-01", "=", ".5", "010", "N", "-"]
)
def test_a_plain_scalar_is_text_whatever_it_looks_like(word: str) -> None:
    assert _values(f"a: {word} x".replace(" x", "") if word != "-" else "a: '-'") == {"a": word}


@pytest.mark.parametrize("word", ["", "~", "null", "Null", "NULL"])
def test_a_plain_null_is_none_and_a_quoted_one_is_text(word: str) -> None:
    assert _values(f"a: {word}\nb: '{word}'\nc: \"{word}\"") == {"a": None, "b": word, "c": word}


def test_every_key_and_value_knows_its_place() -> None:
    document, _ = _document("a:\n  b: [x, 'é', {c: y}]\n")
    assert document.top is not None

    plain = plain_of(document.top)

    assert plain.values == {"a": {"b": ["x", "é", {"c": "y"}]}}
    assert plain.spots == {
        "": (1, 1),
        "a": (2, 3),
        "a.b": (2, 6),
        "a.b.0": (2, 7),
        "a.b.1": (2, 10),
        "a.b.2": (2, 15),
        "a.b.2.c": (2, 19),
    }
    assert key_spot(document.top, ("a", "b")) == (2, 3)
    assert key_spot(document.top, ("a", "b", 2, "c")) == (2, 16)
    assert key_spot(document.top, ("a", "missing")) == (2, 3)


def test_anchors_and_merge_keys_work_and_the_own_key_wins() -> None:
    text = """
one: &one {a: 1, b: 1}
two: &two {b: 2, c: 2}
both: {<<: [*one, *two], a: 0}
last: {c: 9, <<: *two}
list: [*one]
quoted: {"<<": x}
"""
    values = _values(text)

    assert values["both"] == {"a": "0", "b": "1", "c": "2"}
    assert values["last"] == {"b": "2", "c": "9"}
    assert values["list"] == [{"a": "1", "b": "1"}]
    assert values["quoted"] == {"<<": "x"}


def test_an_anchor_may_be_used_again_for_something_else() -> None:
    assert _values("a: &x 1\nb: *x\nc: &x 2\nd: *x") == {"a": "1", "b": "1", "c": "2", "d": "2"}


def test_aliases_may_stand_for_many_values_but_not_for_very_many() -> None:
    hundred = ", ".join("x" * 99)
    fine = f"a: &a [{hundred}]\nb: [{', '.join(['*a'] * (MAX_ALIAS_NODES // 100))}]"
    assert _document(fine)[0].complaints == []

    document, _ = _document(fine[:-1] + ", *a]")
    assert [c.problem for c in document.complaints] == [
        "the aliases up to here stand for more than 10,000 values"
    ]


def test_a_long_manifest_may_use_aliases_in_every_job() -> None:
    jobs = 2 * MAX_ALIAS_NODES // ALIAS_NODES_PER_JOB + 50
    row = ", ".join("x" * (ALIAS_NODES_PER_JOB - 1))
    text = f"a: &a [{row}]\njobs:\n" + "- {t: *a}\n" * jobs

    document, read = _document(text)

    assert (document.complaints, len(read)) == ([], jobs)


@pytest.mark.parametrize("loader", [None, PURE])
def test_billions_of_laughs_end_at_once(loader: Any) -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    merges = [f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}], k: *a39}}" for i in range(1, 40)]
    begun = time.process_time()

    document, _ = _document("\n".join([*lines, "m0: &m0 {x: y}", *merges]), loader)
    assert document.top is not None
    plain_of(document.top)

    assert len(document.complaints) == 1
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("bracket", ["[", "{a: ", "- "])
def test_deep_nesting_is_a_complaint_and_no_crash(bracket: str) -> None:
    document, _ = _document("a:\n  " + bracket * 3000)

    assert document.complaints
    assert f"more than {MAX_DEPTH} levels" in document.complaints[0].problem or document.cut


def test_very_deep_nesting_takes_no_time() -> None:
    begun = time.process_time()

    document, _ = _document("a: " + "[" * 200_000)

    assert (document.cut, len(document.complaints)) == (True, 1)
    assert time.process_time() - begun < 5


def test_what_stands_beside_too_deep_a_value_is_still_read() -> None:
    document, _ = _document("a: " + "[" * 150 + "]" * 150 + "\nb: 1\nb: 2")

    assert _problems(document) == [
        "1:103 more than 100 levels are nested here",
        '3:1 the key "b" stands twice in one mapping, first at line 2',
    ]


def test_jobs_are_handed_out_one_by_one_and_not_kept() -> None:
    text = "batch: b\njobs:\n- {id: a}\n- {id: b}\noutput: o\n"
    document = Document(text, "jobs.yaml")

    jobs = document.jobs()
    first = next(jobs)

    assert isinstance(first.node, Table)
    assert plain_of(first.node).values == {"id": "a"}
    assert document.top is not None
    assert list(document.top.entries) == ["batch"]
    assert [plain_of(item.node).values for item in jobs if isinstance(item.node, Table)] == [
        {"id": "b"}
    ]
    assert list(document.top.entries) == ["batch", "jobs", "output"]
    assert plain_of(document.top).values["jobs"] == []


@pytest.mark.parametrize(
    "text",
    [
        "jobs: &all [{id: a}, {id: b}]",
        "x: &all [{id: a}, {id: b}]\njobs: *all",
        "<<: {jobs: [{id: a}, {id: b}]}",
    ],
)
def test_a_list_of_jobs_that_is_shared_gives_its_jobs_too(text: str) -> None:
    document, jobs = _document(text)

    assert document.complaints == []
    assert [plain_of(item.node).values["id"] for item in jobs] == ["a", "b"]


def test_a_syntax_error_hands_out_the_job_it_cuts() -> None:
    document, jobs = _document("jobs:\n- {id: a}\n- id: b\n  audio: {text: 'Hi.', speed: 2, ]\n- x")

    assert document.cut
    assert [(plain_of(item.node).values, item.cut) for item in jobs] == [
        ({"id": "a"}, False),
        ({"id": "b", "audio": {"text": "Hi.", "speed": "2"}}, True),
    ]


def test_the_pure_loader_reads_as_libyaml_does() -> None:
    text = "a: &x {b: [1, 'é', ~]}\nc: {<<: *x, d: |\n    text\n  }\n".replace("|\n    text", "t")
    fast, _ = _document(text)
    pure, _ = _document(text, PURE)

    assert fast.top == pure.top
    assert fast.complaints == pure.complaints == []


def test_an_escape_beyond_all_characters_is_a_complaint_of_the_pure_loader_too() -> None:
    for loader in (None, PURE):
        document, _ = _document('a: "\\UFFFFFFFF"', loader)
        assert document.cut
        assert len(document.complaints) == 1


_YAML = st.lists(
    st.sampled_from(
        [
            *"{}[]:,-?!&*|>'\"%@`#~\n\t \\",
            "\n  ",
            "\n- ",
            ": ",
            "a",
            "b",
            "<<: ",
            "&a ",
            "*a",
            "---\n",
            "...\n",
            "!!str ",
            "jobs:",
            "id",
            "\x07",
            "é",
            "\u2028",
            "version: 1\n",
            '"\\ud800"',
        ]
    ),
    max_size=60,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=_YAML | st.text(max_size=40), pure=st.booleans())
def test_no_text_breaks_the_loader(text: str, pure: bool) -> None:
    data = text.encode("utf-8", "replace").decode("utf-8")

    document, jobs = _document(data, PURE if pure else None)

    assert document.cut == any("not valid YAML" in c.problem for c in document.complaints)
    assert all(c.place.line >= 1 and c.place.column >= 1 for c in document.complaints)
    for item in jobs:
        if isinstance(item.node, Table):
            plain_of(item.node)
    if document.top is not None:
        plain_of(document.top)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=60))
def test_no_bytes_break_the_loader(data: bytes) -> None:
    document, _ = _document(data)

    assert all(c.place.line >= 1 for c in document.complaints)
