"""A manifest goes in, finished videos come out; run again, and nothing happens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from batch_kit import EXAMPLES, VOICE, Batch, distinct_jobs, seconds_of, states, tone, vendor

ROOT = Path(__file__).parents[2]


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    folder = tmp_path / "batch"
    folder.mkdir()
    return Batch(folder)


def test_the_example_manifest_ends_with_every_job_done_and_playable(batch: Batch) -> None:
    shutil.copy(ROOT / "jobs.example.yaml", batch.manifest)
    shutil.copytree(EXAMPLES, batch.folder / "examples" / "media")
    result = batch.run("--emulator", "--time-scale", "300", "--json")
    assert result.returncode == 0, result.stderr
    jobs = json.loads(result.stdout)["jobs"]
    assert len(jobs) >= 12
    assert {job["state"] for job in jobs} == {"done"}
    spoken = {"hello.wav": 3.0, "welcome.mp3": 2.0}
    for job in jobs:
        assert "/rehearsal/" in job["output"]
        assert seconds_of(Path(job["output"])) > 0.9
    sounds = batch.rows(
        "SELECT output, json_extract(spec, '$.audio') FROM jobs"
        " WHERE json_extract(spec, '$.audio_kind') = 'file'",
        rehearsal=True,
    )
    assert sounds
    for output, audio in sounds:
        assert abs(seconds_of(Path(output)) - spoken[Path(audio).name]) < 0.2

    again = batch.run("--emulator", "--time-scale", "300")
    assert again.returncode == 0
    assert "nothing was uploaded, submitted or downloaded" in again.stdout


def test_a_second_run_makes_only_what_changed_and_names_the_field(
    batch: Batch, tmp_path: Path
) -> None:
    jobs = distinct_jobs(batch.folder, 6)
    batch.write(jobs)
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        assert batch.run().returncode == 0
        old = Path(batch.status()["jobs"][0]["output"])
        first = old.read_bytes()
        jobs[0]["audio"]["text"] = "Another text."
        del jobs[1]
        batch.write(jobs)
        plan = json.loads(batch.call("plan", str(batch.manifest), "--json").stdout)
        assert plan["counts"] == {"keep": 4, "changed": 1, "orphan": 1}
        reason = next(j["reason"] for j in plan["jobs"] if j["what"] == "changed")
        assert reason.startswith("changed: audio.text (This is text 0. -> Another text.)")
        assert batch.run().returncode == 0
        assert there.audit()["accepted"] == 7
    kept = [path for path in old.parent.iterdir() if path.name.startswith("job-000.")]
    assert len(kept) == 2, "the old video of a changed job is kept beside the new one"
    other = next(path for path in kept if path != old)
    assert other.read_bytes() == first
    assert old.read_bytes() != first


def test_a_deleted_video_is_fetched_again_for_nothing(batch: Batch, tmp_path: Path) -> None:
    batch.write(distinct_jobs(batch.folder, 2))
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        assert batch.run().returncode == 0
        gone = Path(batch.status()["jobs"][1]["output"])
        gone.unlink()
        assert batch.run().returncode == 0
        assert gone.exists()
        audit = there.audit()
    assert (audit["accepted"], audit["downloads"]) == (2, 3)


def test_a_changed_output_path_copies_the_video(batch: Batch, tmp_path: Path) -> None:
    batch.write(distinct_jobs(batch.folder, 2))
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        assert batch.run().returncode == 0
        before = [Path(job["output"]).read_bytes() for job in batch.status()["jobs"]]
        batch.write(distinct_jobs(batch.folder, 2), output="elsewhere/{id}.mp4")
        assert batch.run().returncode == 0
        after = [Path(job["output"]) for job in batch.status()["jobs"]]
        assert [path.parent.name for path in after] == ["elsewhere", "elsewhere"]
        assert [path.read_bytes() for path in after] == before
        audit = there.audit()
    assert (audit["accepted"], audit["downloads"]) == (2, 2)


def test_only_and_limit_choose_jobs_and_the_others_do_not_count(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(distinct_jobs(batch.folder, 9))
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        assert batch.run("--only", "job-00[3-8]", "--limit", "2").returncode == 0
        assert states(batch.status()) == {"done": 2}
        assert batch.run("--limit", "3").returncode == 0
        assert there.audit()["accepted"] == 5


def test_a_failed_job_gives_exit_3_and_is_tried_again_when_asked(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(distinct_jobs(batch.folder, 4))
    faults = {
        "faults": [{"on": "task", "do": "fail", "match": {"text": "This is text 0."}, "first": 1}]
    }
    with vendor(tmp_path / "vendor", faults) as there:
        batch.env = there.env
        first = batch.run()
        assert first.returncode == 3, first.stderr
        assert "--retry-failed" in first.stdout
        assert batch.run().returncode == 3, "a failed job stays failed until somebody asks"
        assert batch.run("--retry-failed").returncode == 0
        assert there.audit()["accepted"] == 5


def test_the_same_files_are_uploaded_once_for_all_jobs_and_batches(
    batch: Batch, tmp_path: Path
) -> None:
    shared = [
        {"id": f"j{i}", "avatar": {"public": f"34{i:02d}"}, "audio": {"file": "media/v0.wav"}}
        for i in range(6)
    ]
    tone(batch.folder / "media" / "v0.wav", 0.4, 100)
    batch.write(shared)
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        assert batch.run().returncode == 0
        other = batch.folder / "other.yaml"
        other.write_text(batch.manifest.read_text().replace("trial", "second"))
        assert batch.call("run", str(other)).returncode == 0
        audit = there.audit()
    assert list(audit["uploads"].values()) and audit["credentials"] == 1


def test_priority_goes_first(batch: Batch, tmp_path: Path) -> None:
    jobs = [
        {
            "id": f"j{i}",
            "avatar": {"private": "9002"},
            "audio": {"text": f"Text {i}.", "voice": VOICE},
            "priority": 5 if i == 7 else 0,
        }
        for i in range(8)
    ]
    batch.write(
        jobs,
        limits={
            "submit_rate": "20/s",
            "request_rate": "100/s",
            "in_flight": 1,
            "poll_interval": "50ms",
        },
    )
    with vendor(tmp_path / "vendor", render_mean_s=0.1) as there:
        batch.env = there.env
        assert batch.run().returncode == 0
    order = batch.rows(
        "SELECT j.job_id FROM attempts a JOIN jobs j ON j.key = a.job ORDER BY a.key"
    )
    assert order[0] == ("j7",)
    assert order[1:] == [(f"j{i}",) for i in range(7)]
