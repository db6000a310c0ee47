"""docs/states.md is what the transition table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.core.state import TRANSITIONS
from orchestrator.model import EventKind, State

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "states.md"
SCRIPT = ROOT / "scripts" / "make_states_doc"


@pytest.fixture(scope="module")
def printed() -> str:
    """The page as the script prints it, run from a folder that is not the project's."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_is_what_the_table_says(printed: str) -> None:
    assert PAGE.read_text() == printed, "mend with: scripts/make_states_doc > docs/states.md"


def test_every_state_and_event_is_explained(printed: str) -> None:
    rows = {row.split("|")[1].strip(): row for row in printed.splitlines() if row.startswith("| `")}
    unexplained = [
        str(word)
        for word in [*State, *EventKind]
        if word != "cancelled" and not rows[f"`{word}`"].split("|")[2].strip()
    ]
    assert unexplained == []


def test_every_pair_of_the_table_is_an_arrow(printed: str) -> None:
    arrows = {
        (source, target)
        for line in printed.splitlines()
        if " --> " in line and "[*]" not in line
        for source, _, rest in [line.strip().partition(" --> ")]
        for target in [rest.split(":")[0]]
    }
    assert arrows == {(str(s), str(t)) for s, exits in TRANSITIONS.items() for t in exits.values()}
