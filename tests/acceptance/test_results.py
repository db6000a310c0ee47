"""``report`` and ``export`` of a rehearsal with every kind of end, through the real command."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from batch_kit import Batch

IDS = ["job-0", "job-1", "job-2", "job-3", "job-4"]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """A rehearsal in which one job failed, one is in doubt and three are done."""
    batch = Batch(tmp_path_factory.mktemp("results"))
    jobs: list[dict[str, Any]] = [
        {"id": name, "avatar": {"public": "3327"}, "audio": {"text": f"Number {name}."}}
        for name in IDS
    ]
    jobs[0]["tags"] = ["vip", "de"]
    jobs[0]["priority"] = 5
    batch.write(
        jobs,
        output="out/{batch}/{id}.mp4",
        defaults={"audio": {"voice": "VOICE"}},
        doubt_horizon="1s",
    )
    faults = [
        {"on": "task", "do": "fail", "match": {"text": "job-1"}, "message": "the model was ill"},
        {"on": "submit", "do": "drop_before", "match": {"text": "job-2"}},
    ]
    (batch.folder / "faults.yaml").write_text(yaml.safe_dump(faults))
    run = batch.run(
        "--emulator", "--time-scale", "100", "--faults", str(batch.folder / "faults.yaml")
    )
    assert run.returncode == 4, run.stderr
    return batch


def objects(batch: Batch, *words: str) -> list[dict[str, object]]:
    called = batch.call("export", "trial", "--format", "jsonl", *words)
    assert called.returncode == 0, called.stderr
    return [json.loads(line) for line in called.stdout.splitlines()]


def test_the_page_goes_beside_the_videos_and_shows_every_job(ended: Batch) -> None:
    called = ended.call("report", "trial")
    assert called.returncode == 0, called.stderr
    path = Path(called.stdout.strip())
    assert path == ended.folder / "rehearsal" / "out" / "report-trial.html"
    assert called.stderr == "trial: this is a rehearsal\n"
    source = path.read_text()
    order = re.findall(r"<h3 data-find>(.*?)</h3>", source)
    assert order == ["job-2", "job-1", "job-0", "job-3", "job-4"]
    assert source.count('poster="data:image/jpeg;base64,') == 3
    assert "the model was ill" in source
    asked = re.findall(r"<dd data-find>(.*?)</dd>", source)
    assert asked[:3] == ["public 3327", "Number job-2.", "VOICE"]
    assert len(asked) == 3 * len(IDS)
    for link in re.findall(r'<video [^>]*?src="(.*?)"', source):
        assert (path.parent / link).is_file()
    assert "exit 4" in source


def test_a_second_page_replaces_the_first_and_makes_no_poster_again(ended: Batch) -> None:
    posters = ended.state / "emulator" / "posters"
    assert ended.call("report", "trial").returncode == 0
    before = {file.name: file.stat().st_mtime_ns for file in posters.iterdir()}
    assert len(before) == 3
    assert ended.call("report", "trial").returncode == 0
    assert {file.name: file.stat().st_mtime_ns for file in posters.iterdir()} == before
    assert ended.parts() == []


def test_the_page_goes_where_it_is_told_but_over_nothing_else(ended: Batch) -> None:
    target = ended.folder / "elsewhere.html"
    called = ended.call("report", "trial", "--json", "--output", "elsewhere.html")
    assert json.loads(called.stdout) == {
        "batch": "trial",
        "rehearsal": True,
        "report": str(target),
    }
    assert 'src="./rehearsal/out/trial/job-0.mp4"' in target.read_text()
    video = ended.folder / "rehearsal" / "out" / "trial" / "job-0.mp4"
    size = video.stat().st_size
    for wrong in ("jobs.yaml", str(video), "faults.yaml", "none/page.html"):
        called = ended.call("report", "trial", "--output", wrong)
        assert called.returncode == 2
        assert "name another file with --output" in called.stderr
    assert video.stat().st_size == size


def test_an_export_tells_what_became_of_every_job(ended: Batch) -> None:
    jobs = objects(ended)
    assert [job["id"] for job in jobs] == IDS
    assert [job["state"] for job in jobs] == ["done", "failed", "in_doubt", "done", "done"]
    first, failed, doubt, *_ = jobs
    assert (first["tags"], first["priority"], first["attempts"]) == (["vip", "de"], 5, 1)
    assert first["bytes"] == Path(str(first["output"])).stat().st_size
    assert isinstance(first["duration_s"], float)
    assert str(first["submitted_at"]) <= str(first["accepted_at"]) <= str(first["done_at"])
    assert re.fullmatch("[0-9a-f]{8}", str(first["revision"]))
    assert "the model was ill" in str(failed["error"])
    assert failed["done_at"] is None
    assert doubt["task_id"] is None
    assert doubt["error"]


def test_an_export_can_be_narrowed(ended: Batch) -> None:
    assert [j["id"] for j in objects(ended, "--in", "failed", "--in", "in_doubt")] == IDS[1:3]
    assert [j["id"] for j in objects(ended, "--match", "*-[34]")] == IDS[3:]


def test_a_csv_and_a_document_hold_the_same(ended: Batch) -> None:
    table = list(csv.DictReader(io.StringIO(ended.call("export", "trial").stdout)))
    document = json.loads(ended.call("export", "trial", "--format", "json").stdout)
    assert document["rehearsal"] is True
    assert [row["id"] for row in table] == [job["id"] for job in document["jobs"]] == IDS
    assert table[0]["tags"] == "vip;de"
    assert document["jobs"] == objects(ended)


def test_an_export_to_a_file_takes_its_format_from_the_name(ended: Batch) -> None:
    called = ended.call("export", "trial", "--output", "results.json")
    assert called.stdout == f"{ended.folder / 'results.json'}\n"
    assert len(json.loads((ended.folder / "results.json").read_text())["jobs"]) == 5
    ended.call("export", "trial", "--output", "results.json", "--format", "csv")
    assert (ended.folder / "results.json").read_text().startswith("id,state,")
    called = ended.call("export", "trial", "--output", "results.xlsx")
    assert called.returncode == 2
    assert "ends in .xlsx cannot be written; name it .csv, .json or .jsonl" in called.stderr
    assert not (ended.folder / "results.xlsx").exists()
    called = ended.call("export", "trial", "--output", "jobs.yaml", "--format", "csv")
    assert called.returncode == 2
    assert "is the manifest" in called.stderr


@pytest.mark.parametrize("name", ["report", "export"])
def test_a_batch_that_is_not_there_is_said_to_be_so(ended: Batch, name: str) -> None:
    called = ended.call(name, "spring")
    assert called.returncode == 2
    assert called.stderr == (
        f"orchestrator: no batch spring in {ended.state}; there is: trial (rehearsal)\n"
    )
    nowhere = ended.call(name, "spring", "--state", str(ended.folder / "nowhere"))
    assert nowhere.returncode == 2
    assert not (ended.folder / "nowhere").exists()


def test_a_format_that_is_none_is_refused(ended: Batch) -> None:
    called = ended.call("export", "trial", "--format", "xml")
    assert called.returncode == 2
    assert "must be one of csv, json, jsonl" in called.stderr
