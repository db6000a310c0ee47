"""Replies lost, processes killed, the vendor down: nothing is paid twice, nothing is lost."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import av
import pytest
from batch_kit import AVATARS, Batch, distinct_jobs, states, tone, vendor
from test_kill_resume import kill_often

LOSSES = [
    {"on": "submit", "do": "drop_after", "probability": 0.1},
    {"on": "submit", "do": "drop_before", "probability": 0.1},
]
LIMITS = {"submit_rate": "60/s", "request_rate": "250/s", "in_flight": 12, "poll_interval": "60ms"}


def sound_jobs(folder: Path, count: int) -> list[dict[str, Any]]:
    """Jobs with a sound of their own each, uploaded."""
    return [
        {
            "id": f"job-{i:03d}",
            "avatar": {"public": AVATARS[i % len(AVATARS)]},
            "audio": {"file": str(tone(folder / "media" / f"v{i}.wav", 0.4, 100 + 3 * i))},
        }
        for i in range(count)
    ]


def new_batch(tmp_path: Path) -> Batch:
    batch = Batch(tmp_path / "batch")
    batch.folder.mkdir()
    return batch


@pytest.mark.slow
def test_lost_replies_and_kills_end_with_every_job_done_once(tmp_path: Path) -> None:
    batch = new_batch(tmp_path)
    batch.write(
        sound_jobs(batch.folder, 300),
        on_doubt="resubmit",
        doubt_horizon="3s",
        task_deadline="3s",
        limits=LIMITS,
    )
    with vendor(tmp_path / "vendor", LOSSES, slots=12, render_mean_s=0.3, balance=5000) as there:
        batch.env = there.env
        kill_often(batch, 6, random.Random(3))
        last = batch.run(timeout=240)
        audit = there.audit()
        found = states(batch.status())
    assert audit["lost_replies"] >= 10, "the faults must have bitten"
    assert found == {"done": 300}, (found, last.stderr[-2000:])
    assert last.returncode == 0
    assert audit["duplicate_tasks"] == 0


@pytest.mark.slow
def test_with_hold_what_is_not_done_is_in_doubt_for_a_reason(tmp_path: Path) -> None:
    batch = new_batch(tmp_path)
    batch.write(
        sound_jobs(batch.folder, 90),
        doubt_horizon="3s",
        task_deadline="3s",
        limits=LIMITS,
    )
    with vendor(tmp_path / "vendor", LOSSES, slots=12, render_mean_s=0.3) as there:
        batch.env = there.env
        last = batch.run(timeout=120)
        audit = there.audit()
    found = states(batch.status())
    assert found["done"] + found["in_doubt"] == 90
    assert found["in_doubt"] >= 1, "some submits never arrived, and hold holds them"
    assert last.returncode == 4
    assert audit["duplicate_tasks"] == 0
    assert audit["accepted"] == found["done"], "each task that was made was found"
    for job in batch.status()["jobs"]:
        if job["state"] == "in_doubt":
            told = batch.call("why", f"trial/{job['id']}").stdout
            assert "no trace" in told or "no reply" in told.lower(), told
            assert "orchestrator resolve" in told


@pytest.mark.slow
def test_texts_that_look_alike_are_never_mixed_up(tmp_path: Path) -> None:
    batch = new_batch(tmp_path)
    jobs = [
        {"id": f"job-{i:03d}", "avatar": {"public": "3327"}, "audio": {"text": f"Sentence {i}."}}
        for i in range(300)
    ]
    batch.write(jobs, on_doubt="resubmit", doubt_horizon="3s", task_deadline="3s", limits=LIMITS)
    with vendor(tmp_path / "vendor", LOSSES, slots=12, render_mean_s=0.3, balance=5000) as there:
        batch.env = there.env
        kill_often(batch, 3, random.Random(4))
        batch.run(timeout=240)
        audit = there.audit()
    status = batch.status()
    found = states(status)
    assert found["done"] + found["in_doubt"] == 300, found
    assert found["done"] > 150
    assert audit["duplicate_tasks"] == 0
    for job in status["jobs"]:
        if job["state"] == "done":
            number = int(job["id"][4:])
            with av.open(job["output"]) as video:
                assert video.metadata["comment"] == f"Sentence {number}."


@pytest.mark.slow
def test_a_vendor_that_is_down_for_two_minutes_costs_at_most_three_doubts(
    tmp_path: Path,
) -> None:
    batch = new_batch(tmp_path)
    # Time runs thirty times faster: the vendor's 120 s are 4 s here.
    batch.write(
        distinct_jobs(batch.folder, 240),
        doubt_horizon="6s",
        task_deadline="60s",
        limits={
            "submit_rate": "20/s",
            "request_rate": "100/s",
            "in_flight": 8,
            "poll_interval": "160ms",
        },
    )
    outage = [{"on": ["api", "store", "cdn"], "do": "refuse", "after_s": 300, "until_s": 420}]
    with vendor(tmp_path / "vendor", outage, time_scale=30.0, render_mean_s=15.0, slots=8) as there:
        batch.env = there.env
        last = batch.run(timeout=120)
        audit = there.audit()
    found = states(batch.status())
    assert "the API does not answer" in last.stderr, last.stderr
    assert found["failed"] == 0
    assert found["in_doubt"] <= 3
    assert found["done"] + found["in_doubt"] == 240
    assert last.returncode == (4 if found["in_doubt"] else 0)
    assert audit["duplicate_tasks"] == 0


def test_a_budget_stops_in_good_order_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    batch = new_batch(tmp_path)
    jobs = sound_jobs(batch.folder, 12)
    batch.write(jobs, budget={"credits": 5})
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        first = batch.run()
        assert first.returncode == 5, first.stderr
        assert "budget" in first.stdout + first.stderr
        assert states(batch.status())["done"] == 5
        batch.write(jobs, budget={"credits": 50})
        assert batch.run("--max-credits", "3").returncode == 5
        assert states(batch.status())["done"] == 8
        assert batch.run().returncode == 0
        assert there.audit()["credits_charged"] == 12
    assert sum(job["credits"] or 0 for job in batch.status()["jobs"]) == 12


def test_an_empty_account_stops_in_good_order(tmp_path: Path) -> None:
    batch = new_batch(tmp_path)
    batch.write(sound_jobs(batch.folder, 8))
    with vendor(tmp_path / "vendor", balance=3) as there:
        batch.env = there.env
        result = batch.run()
    assert result.returncode == 5, result.stderr
    assert "credit" in result.stdout
    found = states(batch.status())
    assert found["done"] == 3
    assert found["failed"] == 0
