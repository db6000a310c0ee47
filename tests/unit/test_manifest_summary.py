"""Complaints: sorted, summed up, as JSON; and near misses."""

from __future__ import annotations

import json

import pytest

from orchestrator.manifest.complaints import in_order, near, summary, to_json
from orchestrator.model import Complaint, Place


def _complaint(
    problem: str, *, file: str = "jobs.yaml", line: int = 1, warning: bool = False
) -> Complaint:
    place = Place(file=file, line=line, column=7)
    return Complaint(place=place, problem=problem, remedy="mend it", warning=warning)


def test_complaints_about_the_manifest_come_before_those_about_rows() -> None:
    found = [
        _complaint("c", file="a.csv", line=9),
        _complaint("b", file="a.csv", line=10),
        _complaint("d", line=11),
        _complaint("a", file="b.csv", line=1),
        _complaint("e", line=2),
    ]

    assert [c.problem for c in in_order(found, "jobs.yaml")] == ["e", "d", "c", "b", "a"]


def test_a_complaint_is_plain_json() -> None:
    complaint = _complaint('audio.speed is "é"', line=3, warning=True)

    assert json.loads(json.dumps(to_json(complaint))) == {
        "file": "jobs.yaml",
        "line": 3,
        "column": 7,
        "problem": 'audio.speed is "é"',
        "remedy": "mend it",
        "warning": True,
    }


def test_a_summary_counts_by_kind_and_shows_the_first_of_each() -> None:
    found = [
        *(_complaint(f'audio.speed is "{n}"', file="r.csv", line=2000 - n) for n in range(1200)),
        _complaint('id "a b"', line=5),
        *(_complaint(f"the text has {n} characters", line=n, warning=True) for n in (30, 20)),
        _complaint('the id "x" is taken by the job at r.csv:4:5', line=8),
        _complaint('the id "y" is taken by the job at jobs.yaml:44:5', line=7),
        _complaint("audio.file: /m/one.wav: there is no sound in this file", line=3),
        _complaint("audio.file: /m/sub/two.wav: there is no sound in this file", line=2),
    ]

    assert summary(found) == [
        '1,200 like r.csv:801:7: audio.speed is "1199"; mend it',
        "    2 like jobs.yaml:2:7: audio.file: /m/sub/two.wav: there is no sound in this file;"
        " mend it",
        '    2 like jobs.yaml:7:7: the id "y" is taken by the job at jobs.yaml:44:5; mend it',
        '    1 like jobs.yaml:5:7: id "a b"; mend it',
        "    2 like jobs.yaml:20:7: warning: the text has 20 characters; mend it",
    ]


def test_nothing_to_sum_up_is_no_lines() -> None:
    assert summary([]) == []


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("ouput", ["output", "audio"], "output"),
        ("Save Avatar", ["save_avatar", "avatar"], "save_avatar"),
        ("in-flight", ["in_flight"], "in_flight"),
        ("AVATAR2", ["avatar1", "avatar2"], "avatar2"),
        ("avatar4", ["avatar1", "avatar2"], None),
        ("colour", ["output", "audio"], None),
        ("", ["output"], None),
        ("x", [], None),
    ],
)
def test_a_near_miss_is_found(word: str, known: list[str], expected: str | None) -> None:
    assert near(word, known) == expected
