"""Sixty kills of the real process: the figures that `docs/reliability.md` has of two thousand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "scripts" / "soak"


@pytest.mark.slow
def test_sixty_kills_lose_nothing_and_make_nothing_twice() -> None:
    command = [sys.executable, str(SOAK), "--kills", "60", "--round", "60", "--jobs", "150"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    sums = ended.stdout.strip().splitlines()[-1]
    assert re.search(r"^all: 60 kills,", sums), sums
    assert ", 0 duplicates, 0 lost, 0 wrong," in sums
    assert ", 0 parts, 0 leaks" in sums
