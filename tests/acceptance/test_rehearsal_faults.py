"""A rehearsal with a fault file: a wrong one is explained, and faults used up are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from batch_kit import Batch, distinct_jobs

REHEARSE = ("--emulator", "--time-scale", "400", "--faults")


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    folder = tmp_path / "batch"
    folder.mkdir()
    return Batch(folder)


def test_faults_that_an_earlier_run_has_used_up_are_named_with_the_way_to_begin_anew(
    batch: Batch,
) -> None:
    chaos = batch.folder / "chaos.yaml"
    chaos.write_text("- {on: submit, do: status, status: 503, nth: 1}\n")
    batch.write(distinct_jobs(batch.folder, 2))
    first = batch.run(*REHEARSE, str(chaos), "--limit", "1")
    assert "used up" not in first.stderr
    second = batch.run(*REHEARSE, str(chaos), "--limit", "1")
    [line] = [line for line in second.stderr.splitlines() if "used up" in line]
    state = batch.state / "emulator"
    assert line.endswith(
        "faults of chaos.yaml that are used up in this rehearsal: status on submit (nth 1)."
        f" Counts go on from run to run; to begin anew, remove {state} and run with --overwrite"
    )


def test_every_problem_of_a_fault_file_is_told_before_anything_is_touched(batch: Batch) -> None:
    chaos = batch.folder / "chaos.yaml"
    chaos.write_text("- {on: submit, do: drop_aftr, nth: 0}\n- {on: sumbit, do: html}\n")
    batch.write(distinct_jobs(batch.folder, 1))
    ended = batch.run(*REHEARSE, str(chaos))
    assert ended.returncode == 2
    for place in ("1:20", "1:36", "2:8"):
        assert f"{chaos}:{place}: " in ended.stderr
    assert not batch.state.exists()
