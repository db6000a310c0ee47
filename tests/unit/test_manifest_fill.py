"""Placeholders and vars in every text of a job."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.manifest.fill import Names, Unfillable, filled, kept, placeholders
from orchestrator.manifest.read import check_text
from orchestrator.model import JobSpec


def _jobs(folder: Path, text: str) -> tuple[JobSpec, ...]:
    manifest, complaints = check_text(f"version: 1\nbatch: b\n{text}", folder / "jobs.yaml")
    assert [str(c) for c in complaints] == []
    assert manifest is not None
    return manifest.jobs


@pytest.mark.parametrize(
    ("template", "names", "result"),
    [
        ("out/{batch}/{id}.mp4", ["batch", "id"], "out/B/I.mp4"),
        ("{id}{id}", ["id", "id"], "II"),
        ("plain", [], "plain"),
        ("{{id}}", [], "{id}"),
        ("{{{id}}}", ["id"], "{I}"),
        ("}}{{", [], "}{"),
        ("", [], ""),
    ],
)
def test_placeholders_are_filled_in(template: str, names: list[str], result: str) -> None:
    assert placeholders(template) == names
    assert filled(template, {"batch": "B", "id": "I"}) == result


@pytest.mark.parametrize(
    ("template", "names"),
    [("{", ["{"]), ("}", ["}"]), ("{id", ["{"]), ("{}", [""]), ("{a}{b", ["a", "{"])],
)
def test_braces_that_are_no_placeholders_are_found(template: str, names: list[str]) -> None:
    assert placeholders(template) == names


@given(text=st.text())
def test_a_text_that_is_to_be_kept_survives_the_filling(text: str) -> None:
    assert filled(kept(text), {}) == text


@given(template=st.text(alphabet="{}ab"), value=st.text(alphabet="{}x"))
def test_filling_gives_a_text_or_a_reason_and_never_fills_twice(template: str, value: str) -> None:
    used: set[str] = set()
    try:
        result = Names({"a": value}, used).fill("key", template)
    except Unfillable as error:
        assert error.problem.startswith("key ")
        return
    assert result.count("b") == template.count("b")
    assert used <= {"a"}


def test_every_text_of_a_job_is_filled_in_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear {name} of {batch}/{id},")
    (job, letter) = _jobs(
        tmp_path,
        """\
vars: {name: Anna, voice: V1, n: "1"}
jobs:
  - id: "{name}-{n}"
    avatar: {video: "media/{name}.mp4"}
    audio: {text: "{{Hi}} {name}, {id}!", voice: "{voice}"}
    tags: ["{n}", x]
    output: "{name}/{id}.mp4"
  - {id: b, avatar: {public: "{n}"}, audio: {text_file: letter.txt}}
""",
    )

    assert (job.job_id, job.avatar) == ("Anna-1", f"{tmp_path}/media/Anna.mp4")
    assert (job.audio, job.voice) == ("{Hi} Anna, Anna-1!", "V1")
    assert (job.tags, job.output) == (("1", "x"), tmp_path / "Anna" / "Anna-1.mp4")
    assert (letter.avatar, letter.audio) == ("1", "Dear Anna of b/b,")


def test_a_jobs_vars_win_over_the_defaults_and_these_over_the_batchs(tmp_path: Path) -> None:
    jobs = _jobs(
        tmp_path,
        """\
vars: {a: batch, b: batch, c: batch}
defaults: {vars: {b: defaults, c: defaults}, audio: {text: "{a} {b} {c}"}}
jobs:
  - {id: one, avatar: {public: "1"}, vars: {c: job}}
  - {id: two, avatar: {public: "1"}}
""",
    )

    assert [job.audio for job in jobs] == ["batch defaults job", "batch defaults defaults"]


def test_vars_below_the_jobs_count_as_well(tmp_path: Path) -> None:
    (job,) = _jobs(
        tmp_path,
        'jobs: [{id: a, avatar: {public: "1"}, audio: {text: "Hi {who}."}}]\nvars: {who: Anna}\n',
    )

    assert job.audio == "Hi Anna."
