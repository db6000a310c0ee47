"""A plan that is looked at, approved and kept to; samples; avatars that jobs saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from batch_kit import EXAMPLES, VOICE, Batch, distinct_jobs, states, vendor


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    folder = tmp_path / "batch"
    folder.mkdir()
    return Batch(folder)


def plan(batch: Batch, *flags: str) -> dict[str, Any]:
    ended = batch.call("plan", str(batch.manifest), "--json", *flags)
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def of_kind(document: dict[str, Any], what: str) -> list[str]:
    return [job["id"] for job in document["jobs"] if job["what"] == what]


def test_a_run_keeps_to_the_approved_plan_and_goes_on_under_it(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(distinct_jobs(batch.folder, 6))
    file = batch.folder / "plan.json"
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        approved = plan(batch, "--out", str(file))
        assert json.loads(file.read_text()) == approved
        assert approved["credits"]["balance"] is not None
        assert batch.run("--plan", str(file), "--limit", "2").returncode == 0
        ended = batch.run("--plan", str(file))
        assert ended.returncode == 0, ended.stderr
        assert there.audit()["accepted"] == 6


def test_a_run_that_would_pay_for_something_else_is_refused_and_named(
    batch: Batch, tmp_path: Path
) -> None:
    jobs = distinct_jobs(batch.folder, 4)
    batch.write(jobs)
    file = batch.folder / "plan.json"
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        plan(batch, "--out", str(file))
        jobs[0]["audio"]["text"] = "Another text."
        extra = {"id": "extra", "avatar": {"public": "3327"}, "audio": {"text": "More."}}
        batch.write([*jobs, extra], retry={"renders": 2})
        ended = batch.run("--plan", str(file))
        assert ended.returncode == 2
        assert ended.stderr.splitlines()[1:5] == [
            "  retry_renders is 2; 0 was approved",
            "  job job-000 was changed since the plan was made",
            "  job extra (new) was not to be submitted",
            "  the expected cost is 5 credits; 4 were approved",
        ]
        assert "plan --out" in ended.stderr
        batch.env = {**there.env, "TOPVIEW_UID": "somebody-else"}
        ended = batch.run("--plan", str(file), "--new-account")
        assert "the account (TOPVIEW_UID, TOPVIEW_BASE_URL) is not the one" in ended.stderr
        audit = there.audit()
    assert (audit["accepted"], audit["credentials"]) == (0, 0)


def test_an_approved_rehearsal_approves_nothing_real(batch: Batch, tmp_path: Path) -> None:
    batch.write(distinct_jobs(batch.folder, 2))
    file = batch.folder / "plan.json"
    plan(batch, "--emulator", "--out", str(file))
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        ended = batch.run("--plan", str(file))
        assert ended.returncode == 2
        assert "this is the real thing; the plan is for a rehearsal" in ended.stderr
        assert there.audit()["accepted"] == 0
    assert batch.run("--emulator", "--time-scale", "300", "--plan", str(file)).returncode == 0


def test_a_sample_holds_every_kind_and_the_rest_waits(batch: Batch, tmp_path: Path) -> None:
    jobs = distinct_jobs(batch.folder, 30)
    for job in jobs[20:]:
        job["mode"] = "avatar2"
    batch.write(jobs)
    kinds = {"job-000", "job-001", "job-020", "job-021"}
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        planned = plan(batch, "--sample", "4")
        assert set(of_kind(planned, "new")) == kinds
        assert len(of_kind(planned, "unselected")) == 26
        ended = batch.run("--sample", "4")
        assert ended.returncode == 0, ended.stderr
        assert {job["id"] for job in batch.status()["jobs"]} == kinds
        assert "# makes the 26 not selected this time, too" in ended.stdout
        assert there.audit()["accepted"] == 4
        assert batch.run().returncode == 0
        assert there.audit()["accepted"] == 30
    assert states(batch.status()) == {"done": 30}


def test_a_file_in_the_way_is_marked_in_the_plan_and_stops_the_run(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(distinct_jobs(batch.folder, 3))
    taken = batch.folder / "out" / "trial" / "job-001.mp4"
    taken.parent.mkdir(parents=True)
    taken.write_text("somebody's")
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        document = plan(batch)
        assert (document["run_stops"], of_kind(document, "conflict")) == (True, ["job-001"])
        text = batch.call("plan", str(batch.manifest))
        assert (text.returncode, "run would stop with exit code 2" in text.stdout) == (0, True)
        assert batch.run().returncode == 2
        assert there.audit()["accepted"] == 0
        assert plan(batch, "--skip-existing")["run_stops"] is False


def test_expected_credits_are_learned_once_jobs_were_charged(batch: Batch, tmp_path: Path) -> None:
    jobs = distinct_jobs(batch.folder, 6)
    batch.write(jobs)
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        before = plan(batch, "--only", "job-00[0-2]")
        assert before["credits"]["learned_submits"] == 0
        assert batch.run("--only", "job-00[0-2]").returncode == 0
        after = plan(batch)
    assert (after["submits"], after["credits"]["learned_submits"]) == (3, 3)
    assert (before["time"]["render_s"], before["time"]["learned"]) == (160.0, False)
    assert after["time"]["learned"] is True
    assert after["time"]["render_s"] == pytest.approx(0.5, abs=0.4)
    assert after["time"]["estimate_s"] == pytest.approx(after["time"]["render_s"] + 0.04)


def test_the_avatar_that_a_job_saved_is_named_at_the_end(batch: Batch, tmp_path: Path) -> None:
    save: dict[str, Any] = {
        "id": "keep",
        "avatar": {"video": str(EXAMPLES / "anna.mp4")},
        "audio": {"text": "Hello.", "voice": VOICE},
        "save_avatar": True,
    }
    batch.write([save, *distinct_jobs(batch.folder, 2)])
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        ended = batch.run()
        assert ended.returncode == 0, ended.stderr
        [line] = [line for line in ended.stdout.splitlines() if "saved an avatar" in line]
        assert line.startswith('job keep saved an avatar; to use it: avatar: {private: "')
        listed = json.loads(batch.call("avatars", "--private", "--json").stdout)["avatars"]
        two = [
            {**save, "id": f"keep-{n}", "audio": {**save["audio"], "text": f"Hello {n}."}}
            for n in "ab"
        ]
        batch.write([save, *two, *distinct_jobs(batch.folder, 2)])
        again = batch.run()
    [(summary,)] = batch.rows("SELECT summary FROM runs ORDER BY key LIMIT 1")
    [saved] = json.loads(summary)["saved_avatars"]
    assert saved["job"] == "keep"
    assert saved["id"] in {avatar["id"] for avatar in listed}
    exported = batch.call("export", "trial", "--format", "json")
    by_job = {job["id"]: job["saved_avatar_id"] for job in json.loads(exported.stdout)["jobs"]}
    assert {job: avatar for job, avatar in by_job.items() if avatar} == {"keep": saved["id"]}
    assert again.stdout.count("one of the jobs with save_avatar saved an avatar; to use it: ") == 2


def test_status_counts_the_jobs_that_a_sample_left_out(batch: Batch, tmp_path: Path) -> None:
    batch.write(distinct_jobs(batch.folder, 6))
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        ended = batch.run("--sample", "2")
        assert ended.returncode == 0, ended.stderr
        shown = batch.call("status", "trial").stdout.splitlines()
        assert shown[0] == "trial: 2 of 6 done, 4 not started: left out by --sample of the last run"
        again = "orchestrator run jobs.yaml    # makes the 4 not selected this time, too"
        assert shown[-1] == f"next      {again}"
        assert ended.stdout.splitlines()[-1] == f"next    {again}"
        assert batch.call("status").stdout == "trial: 2 of 6 done, 4 not started\n"
        assert batch.status()["left_out"] == 4
        assert batch.run().returncode == 0
        assert batch.call("status").stdout == "trial: 6 of 6 done\n"
        assert batch.status()["left_out"] == 0


def test_a_run_that_skips_every_file_says_that_everything_was_left_out(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(distinct_jobs(batch.folder, 2))
    for name in ("job-000", "job-001"):
        (batch.folder / "out" / "trial").mkdir(parents=True, exist_ok=True)
        (batch.folder / "out" / "trial" / f"{name}.mp4").write_bytes(b"made before")
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        ended = batch.run("--skip-existing")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0] == (
        "trial: nothing to do: all 2 jobs were left out, since the output files exist "
        "(--skip-existing)"
    )
    shown = batch.call("status", "trial").stdout
    assert "existing  2 jobs left out (--skip-existing)" in shown
    assert "next " not in shown


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_glob_that_names_no_job_is_a_mistake(batch: Batch, command: str) -> None:
    batch.write(distinct_jobs(batch.folder, 3))
    ended = batch.call(command, str(batch.manifest), "--only", "Job-00*")
    assert ended.returncode == 2
    assert "--only 'Job-00*' matches no job of batch trial: did you mean job-000" in ended.stderr
    assert not batch.state.exists()
