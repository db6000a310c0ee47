"""Every manifest in the docs, and the example beside the README, is what it says it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from orchestrator.manifest.read import check_text
from orchestrator.manifest.schema import json_schema

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MAKES = re.compile(r"# makes: (.+)")
VALIDATOR = Draft202012Validator(json_schema())


def _blocks(path: Path) -> list[tuple[str, str, str]]:
    """Language, file name ("" if none is given) and text of every fenced block."""
    return [(m[1], m[2] or "", m[3]) for m in FENCE.finditer(path.read_text(encoding="utf-8"))]


def _manifests() -> dict[str, str]:
    found = {"jobs.example.yaml": (ROOT / "jobs.example.yaml").read_text(encoding="utf-8")}
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]):
        texts = [text for kind, _, text in _blocks(path) if kind == "yaml"]
        whole = [text for text in texts if re.search(r"^version: 1$", text, re.MULTILINE)]
        found |= {f"{path.name} {number}": text for number, text in enumerate(whole, start=1)}
    return found


MANIFESTS = _manifests()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the examples speak of."""
    for name in ("faces/anna.png", "faces/ben.png", "voices/anna.wav", "voices/ben.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for _, name, text in _blocks(ROOT / "docs" / "manifest.md"):
        if name:
            (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_reference_has_examples() -> None:
    assert sum(name.startswith("manifest.md") for name in MANIFESTS) >= 5


@pytest.mark.parametrize("name", MANIFESTS)
def test_an_example_is_right_and_makes_the_jobs_that_it_says(name: str, folder: Path) -> None:
    manifest, complaints = check_text(MANIFESTS[name], folder / "jobs.yaml")

    assert [str(c) for c in complaints] == []
    assert manifest is not None
    if makes := MAKES.search(MANIFESTS[name]):
        assert [job.job_id for job in manifest.jobs] == makes[1].split(", ")


@pytest.mark.parametrize("name", MANIFESTS)
def test_an_example_fits_the_json_schema(name: str) -> None:
    assert _refusals(yaml.safe_load(MANIFESTS[name])) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"colour": "red"}, ""),
        ({"version": 2}, "version"),
        ({"jobs": None, "matrix": [{"avatars": {}}]}, "matrix.0"),
        ({"vars": {"Name": "x"}}, "vars"),
        ({"limits": {"in_flight": 0}}, "limits.in_flight"),
        ({"jobs": [{"id": "a", "avatar": {"pubic": "1"}}]}, "jobs.0.avatar"),
        ({"from": {"a": "b"}}, "from"),
    ],
)
def test_the_json_schema_refuses_what_the_program_refuses(
    change: dict[str, Any], place: str, tmp_path: Path
) -> None:
    good = yaml.safe_load(MANIFESTS["manifest.md 1"])

    assert [where for where in _refusals(good | change) if where.startswith(place)] != []
    manifest, _ = check_text(json.dumps(good | change), tmp_path / "jobs.yaml")
    assert manifest is None


def test_the_json_schema_wants_a_list_of_jobs() -> None:
    assert set(_refusals({"version": 1, "batch": "b"})) == {""}


def _refusals(value: Any) -> list[str]:
    """Dotted places of what the schema refuses, down to the values that are wrong."""
    found = []
    pending = list(VALIDATOR.iter_errors(value))
    while pending:
        error = pending.pop()
        found.append(".".join(str(step) for step in error.absolute_path))
        pending.extend(error.context or ())
    return sorted(found)
