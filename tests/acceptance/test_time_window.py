"""`--max-time` and `--until`: a night's run ends in good order when its time is up."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from batch_kit import QUICK, Batch, distinct_jobs, states, vendor

from orchestrator.cli.choice import time_window_s
from orchestrator.errors import UsageError

NIGHT = datetime(2026, 3, 2, 23, 30)
QUARTER = 900.0


@pytest.mark.parametrize(
    ("max_time", "until", "seconds"),
    [
        (None, None, None),
        ("6h", None, 6 * 3600.0),
        ("1h30m", None, 5400.0),
        (None, "23:45", QUARTER),
        (None, "06:00", 6.5 * 3600.0),
        (None, "23:30", 24 * 3600.0),
        ("10m", "23:45", 600.0),
        ("6h", "23:45", QUARTER),
    ],
)
def test_the_earlier_end_holds(
    max_time: str | None, until: str | None, seconds: float | None
) -> None:
    assert time_window_s(max_time, until, NIGHT) == seconds


@pytest.mark.parametrize(
    ("max_time", "until", "says"),
    [
        ("soon", None, "6h"),
        ("0s", None, "6h"),
        ("-1h", None, "6h"),
        (None, "25:00", "06:00"),
        (None, "6", "06:00"),
    ],
)
def test_what_is_no_time_is_refused_with_an_example(
    max_time: str | None, until: str | None, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        time_window_s(max_time, until, NIGHT)


def new_batch(folder: Path) -> Batch:
    (folder / "batch").mkdir()
    return Batch(folder / "batch")


@pytest.mark.slow
def test_when_the_time_is_up_nothing_more_is_submitted_and_the_next_run_goes_on(
    tmp_path: Path,
) -> None:
    batch = new_batch(tmp_path)
    batch.write(distinct_jobs(batch.folder, 12), limits={**QUICK, "in_flight": 2})
    with vendor(tmp_path / "vendor", render_mean_s=1.0) as there:
        batch.env = there.env
        first = batch.run("--max-time", "2s500ms")
        assert first.returncode == 6, first.stdout + first.stderr
        assert "its time was up" in first.stdout
        begun = there.audit()["accepted"]
        assert 0 < begun < 12
        assert states(batch.status())["done"] == begun, "what was under way is finished"
        last = batch.run("--max-time", "1h")
        assert last.returncode == 0, last.stdout + last.stderr
        assert there.audit()["accepted"] == 12


@pytest.mark.slow
def test_time_that_is_up_when_nothing_is_left_is_no_reason(tmp_path: Path) -> None:
    batch = new_batch(tmp_path)
    batch.write(distinct_jobs(batch.folder, 2))
    with vendor(tmp_path / "vendor", render_mean_s=4.0) as there:
        batch.env = there.env
        run = batch.run("--max-time", "3s")
    assert run.returncode == 0, run.stdout + run.stderr
    assert states(batch.status()) == {"done": 2}
