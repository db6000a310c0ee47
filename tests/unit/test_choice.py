"""A glob that names no job is a mistake, and the message helps to mend it."""

from __future__ import annotations

import pytest

from orchestrator.choice import Choice, refuse_nothing_meant
from orchestrator.errors import UsageError
from orchestrator.model import JobId

IDS = [JobId(name) for name in ("de-anna", "de-ben", "en-anna", "intro", "outro")]


def refusal(*globs: str) -> str:
    with pytest.raises(UsageError) as caught:
        refuse_nothing_meant(globs, IDS, "spring")
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize("globs", [(), ("de-*",), ("intro",), ("fr-*", "*-anna")])
def test_globs_of_which_one_names_a_job_are_fine(globs: tuple[str, ...]) -> None:
    refuse_nothing_meant(globs, IDS, "spring")
    assert any(Choice(only=globs).names(job_id) for job_id in IDS)


@pytest.mark.parametrize(
    ("glob", "near"),
    [
        ("DE-*", "de-anna or de-ben?"),
        ("anna", "de-anna or en-anna?"),
        ("intor", "intro?"),
        ("de_ben", "de-ben?"),
    ],
)
def test_ids_that_may_have_been_meant_are_named(glob: str, near: str) -> None:
    assert f"--only '{glob}' matches no job of batch spring: did you mean {near}" in refusal(glob)


def test_without_near_ids_the_first_ones_are_shown() -> None:
    assert refusal("zzz*").endswith("its jobs are de-anna, de-ben, en-anna and 2 more")


def test_several_globs_are_all_named() -> None:
    assert refusal("fr", "it").startswith("--only 'fr' and --only 'it' match no job")
