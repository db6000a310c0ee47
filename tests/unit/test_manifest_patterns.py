"""Paths with * or ? in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.manifest.patterns import matches
from orchestrator.manifest.read import check_text
from orchestrator.model import JobSpec

FILES = ("faces/b.png", "faces/A {1}.png", "faces/a[1].png", "faces/.c.png", "faces/x/d.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "faces" / "folder.png").mkdir()
    return tmp_path


def _jobs(folder: Path, path: str) -> tuple[JobSpec, ...]:
    text = f"""\
version: 1
batch: b
matrix:
  - id: "{{audio}}.{{avatar}}"
    mode: avatar2
    avatars: {{f: {{image: "{path}"}}}}
    audios: {{t: {{text: "{{stem}}", voice: V}}}}
"""
    manifest, complaints = check_text(text, folder / "jobs.yaml")
    assert manifest is not None, [str(c) for c in complaints]
    return manifest.jobs


def test_a_pattern_makes_a_job_of_each_file_by_its_stem(folder: Path) -> None:
    text = """\
version: 1
batch: b
jobs:
  - {id: "j-{stem}", avatar: {image: "faces/?.png"}, audio: {file: "v/{stem}.wav"}, mode: avatar2}
  - {id: plain, avatar: {image: "faces/a[1].png"}, audio: {file: v.wav}, mode: avatar2}
"""
    manifest, _ = check_text(text, folder / "jobs.yaml")

    assert manifest is not None
    assert [(job.job_id, job.avatar, job.audio) for job in manifest.jobs] == [
        ("j-b", f"{folder}/faces/b.png", f"{folder}/v/b.wav"),
        ("plain", f"{folder}/faces/a[1].png", f"{folder}/v.wav"),
    ]


def test_matches_are_sorted_hidden_files_and_folders_are_none(folder: Path) -> None:
    (folder / "faces" / "A {1}.png").rename(folder / "faces" / "A1.png")
    (folder / "faces" / "a[1].png").unlink()

    jobs = _jobs(folder, "faces/**/*.png")

    assert [(job.job_id, os.path.relpath(job.avatar, folder)) for job in jobs] == [
        ("t.A1", "faces/A1.png"),
        ("t.b", "faces/b.png"),
        ("t.d", "faces/x/d.png"),
    ]
    assert [job.audio for job in jobs] == ["A1", "b", "d"]


def test_an_absolute_pattern_stays_absolute(folder: Path) -> None:
    assert [job.avatar for job in _jobs(folder, f"{folder}/faces/b*")] == [f"{folder}/faces/b.png"]


def test_braces_in_the_name_of_a_matching_file_are_no_placeholders(folder: Path) -> None:
    text = """\
version: 1
batch: b
jobs:
  - {id: j, avatar: {image: "faces/A *.png"}, audio: {file: v.wav}, mode: avatar2}
"""
    manifest, _ = check_text(text, folder / "jobs.yaml")

    assert manifest is not None
    assert [job.avatar for job in manifest.jobs] == [f"{folder}/faces/A {{1}}.png"]


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a/b.png", "a/*.png", True),
        ("a/c/b.png", "a/*.png", False),
        ("a/c/b.png", "a/**/*.png", True),
        ("a/b.png", "a/**/*.png", True),
        ("a/b.png", "*/?.png", True),
        ("a/bb.png", "*/?.png", False),
        ("b.png", "a/*.png", False),
        ("a/b.png", "a", False),
    ],
)
def test_a_path_matches_as_the_shell_would_say(path: str, pattern: str, expected: bool) -> None:
    assert matches(path.split("/"), tuple(pattern.split("/"))) is expected


@given(parts=st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4))
def test_a_path_matches_itself_and_everything(parts: list[str]) -> None:
    assert matches(parts, tuple(parts))
    assert matches(parts, ("**",))
    assert matches(parts, ("*",) * len(parts))
    assert not matches(parts, ("*",) * (len(parts) + 1))
