"""constraints.txt holds one tested version of everything that the project depends on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def project() -> dict[str, object]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert isinstance(table, dict)
    return table


def requirements() -> list[Requirement]:
    """Everything that pyproject.toml asks for, extras included."""
    table = project()
    needed, extras = table["dependencies"], table["optional-dependencies"]
    assert isinstance(needed, list)
    assert isinstance(extras, dict)
    return [Requirement(text) for group in [needed, *extras.values()] for text in group]


def versions() -> list[str]:
    text = (ROOT / "constraints.txt").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pinned() -> dict[str, str]:
    return {
        canonicalize_name(name): v for name, _, v in (line.partition("==") for line in versions())
    }


def test_every_line_is_a_name_and_a_version() -> None:
    odd = [
        line for line in versions() if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+", line)
    ]
    assert odd == []


def test_lines_are_sorted_and_name_nothing_twice() -> None:
    assert versions() == sorted(versions(), key=str.upper)
    assert len(pinned()) == len(versions())


@pytest.mark.parametrize("needed", requirements(), ids=str)
def test_a_dependency_has_a_tested_version_that_fits(needed: Requirement) -> None:
    version = pinned().get(canonicalize_name(needed.name))
    assert version is not None, "run scripts/lock"
    assert needed.specifier.contains(version)


def test_the_project_itself_is_not_pinned() -> None:
    assert project()["name"] not in pinned()
