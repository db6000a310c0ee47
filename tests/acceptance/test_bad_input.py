"""Bad input, each with the message that a person gets: where, what, and what would be right."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from batch_kit import EXAMPLES, VOICE, Batch, distinct_jobs, vendor

HELLO = {"file": "media/hello.wav"}
SPEECH = {"text": "Hi.", "voice": VOICE}
ODD: dict[str, Any] = {"mode": "avatar2"}


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    folder = tmp_path / "batch"
    shutil.copytree(EXAMPLES, folder / "media")
    (folder / "media" / "empty.wav").touch()
    shutil.copy(EXAMPLES / "anna.png", folder / "media" / "not-a-film.mp4")
    return Batch(folder)


def job(**keys: Any) -> dict[str, Any]:
    return {"id": "one", "avatar": {"public": "3327"}, "audio": HELLO, **keys}


ONE_JOB: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unknown key": (job(avatr={"public": "1"}), ("avatr", "avatar")),
    "image with avatar1": (job(avatar={"image": "media/anna.png"}), ("image", "mode: avatar2")),
    "text without voice": (
        job(avatar={"private": "9002"}, audio={"text": "Hi."}),
        ("voice",),
    ),
    "caption elsewhere": (
        job(avatar={"private": "9002"}, caption="cap-sample-1"),
        ("caption", "public"),
    ),
    "speed": (job(audio={**SPEECH, "speed": 1.5}), ("1.5", "0.8", "1.2")),
    "climbing out": (job(output="../out/{id}.mp4"), ("..", "folder")),
    "empty media file": (job(audio={"file": "media/empty.wav"}), ("empty.wav", "empty")),
    "missing media file": (job(audio={"file": "media/no.wav"}), ("no.wav",)),
    "wrong extension": (
        job(avatar={"video": "media/not-a-film.mp4"}),
        ("not-a-film.mp4", "PNG"),
    ),
}


@pytest.mark.parametrize("case", ONE_JOB)
def test_one_mistake_is_told_with_its_place_and_stops_before_anything(
    batch: Batch, case: str
) -> None:
    entry, words = ONE_JOB[case]
    batch.write([entry])
    result = batch.run()
    assert result.returncode == 2, result.stderr
    line = next(x for x in result.stderr.splitlines() if x.startswith(f"{batch.manifest}:"))
    assert all(word in line for word in words), line
    assert "; " in line
    assert not batch.state.exists(), "a wrong manifest must not touch the state"


@pytest.mark.parametrize("command", ["validate", "run", "plan"])
def test_mistakes_in_the_manifest_and_in_the_media_are_told_at_once_by_place(
    batch: Batch, command: str
) -> None:
    batch.write(
        [
            job(id="first", audio={"file": "media/no.wav"}),
            job(id="second", avatr="x", audio={"file": "media/empty.wav"}),
            job(id="third", avatar={"video": "media/not-a-film.mp4"}, mode="avatar3"),
            job(id="fourth", audio={"file": "media/none.wav"}),
        ]
    )
    ended = batch.call(command, str(batch.manifest))
    assert ended.returncode == 2
    text = ended.stdout + ended.stderr
    start = f"{batch.manifest}:"
    told = [x for x in text.splitlines() if x.startswith(start) and x[len(start)].isdigit()]
    words = ["no.wav", "avatr", "empty.wav", "not-a-film.mp4", "mode is", "none.wav"]
    assert len(told) == len(words), told
    assert sorted(words) == sorted(w for w in words if any(w in line for line in told))
    places = [tuple(map(int, line.split(":")[1:3])) for line in told]
    assert places == sorted(places)
    assert not batch.state.exists()


def test_two_jobs_for_one_video_are_a_warning_even_of_two_equal_files(batch: Batch) -> None:
    shutil.copy(batch.folder / "media" / "hello.wav", batch.folder / "media" / "copy.wav")
    batch.write([job(), job(id="two", audio={"file": "media/copy.wav"}), job(id="three", **ODD)])
    ended = batch.call("validate", str(batch.manifest))
    assert ended.returncode == 0, ended.stderr
    [line] = ended.stdout.splitlines()
    assert 'warning: jobs "one" and "two" ask for the same video (line ' in line
    assert "paid for twice" in line
    planned = batch.call("plan", str(batch.manifest))
    assert (planned.returncode, "ask for the same video" in planned.stderr) == (0, True)


def test_two_jobs_with_one_id_or_one_output_name_both_places(batch: Batch) -> None:
    batch.write(
        [
            job(),
            job(),
            job(id="two", mode="avatar2", output="x.mp4"),
            job(id="three", output="X.mp4"),
        ]
    )
    result = batch.run()
    assert result.returncode == 2
    assert "one" in result.stderr and "x.mp4" in result.stderr.lower()
    assert len([x for x in result.stderr.splitlines() if x.startswith(str(batch.manifest))]) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", ("1:1",)),
        ("version: 1\nbatch: b\njobs: [\n", ("jobs.yaml:",)),
        (
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n"
                for old, new in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            ("alias",),
        ),
    ],
    ids=["no mapping", "syntax", "billion laughs"],
)
def test_yaml_that_cannot_be_a_manifest(batch: Batch, text: str, words: tuple[str, ...]) -> None:
    batch.manifest.write_text(text)
    result = batch.run()
    assert result.returncode == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_manifest(batch: Batch) -> None:
    result = batch.run()
    assert result.returncode == 2
    assert str(batch.manifest) in result.stderr


def test_missing_credentials_say_what_to_type(batch: Batch) -> None:
    batch.write([job()])
    result = batch.run()
    assert result.returncode == 8
    assert "TOPVIEW_API_KEY" in result.stderr and "TOPVIEW_UID" in result.stderr


def test_refused_credentials(batch: Batch, tmp_path: Path) -> None:
    batch.write([job()])
    with vendor(tmp_path / "vendor", uid="right", api_key="right") as there:
        batch.env = {**there.env, "TOPVIEW_API_KEY": "a-wrong-key-value"}
        result = batch.run()
    assert result.returncode == 8
    assert "a-wrong-key-value" not in result.stdout + result.stderr


def test_an_output_file_that_the_store_does_not_know_stops_before_any_request(
    batch: Batch, tmp_path: Path
) -> None:
    batch.write(distinct_jobs(batch.folder, 2))
    there_already = batch.folder / "out" / "trial" / "job-000.mp4"
    there_already.parent.mkdir(parents=True)
    there_already.write_bytes(b"precious")
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        result = batch.run()
        assert result.returncode == 2
        for word in (str(there_already), "--overwrite", "--skip-existing", "state"):
            assert word in result.stderr
        assert there.audit()["requests"] == {}
        assert there_already.read_bytes() == b"precious"
        assert batch.run("--skip-existing").returncode == 0
        assert there_already.read_bytes() == b"precious"
        assert batch.run("--overwrite").returncode == 0
        assert there_already.read_bytes() != b"precious"


def test_another_account_needs_a_word(batch: Batch, tmp_path: Path) -> None:
    batch.write(distinct_jobs(batch.folder, 1))
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        assert batch.run().returncode == 0
        batch.env = {**there.env, "TOPVIEW_UID": "somebody-else"}
        (batch.folder / "out").rename(batch.folder / "moved")
        result = batch.run()
        assert result.returncode == 2
        assert "--new-account" in result.stderr
        assert batch.run("--new-account").returncode == 0
        assert there.audit()["accepted"] == 2


def test_another_manifest_of_the_same_batch_needs_a_word(batch: Batch, tmp_path: Path) -> None:
    batch.write(distinct_jobs(batch.folder, 1))
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        assert batch.run().returncode == 0
        moved = batch.folder / "renamed.yaml"
        batch.manifest.rename(moved)
        result = batch.call("run", str(moved))
        assert result.returncode == 2
        assert "--same-batch" in result.stderr
        assert batch.call("run", str(moved), "--same-batch").returncode == 0
        assert there.audit()["accepted"] == 1


def test_a_folder_that_cannot_take_videos_stops_a_run_before_anything_is_paid(
    batch: Batch, tmp_path: Path
) -> None:
    (batch.folder / "taken").write_text("a file\n")
    batch.write(distinct_jobs(batch.folder, 3), output="taken/{batch}/{id}.mp4")
    with vendor(tmp_path / "vendor") as there:
        batch.env = there.env
        result = batch.run()
        assert result.returncode == 2, result.stderr
        assert f"{batch.folder / 'taken'} is a file, not a folder" in result.stderr
        assert there.audit()["requests"].keys() <= {"credit"}
        (batch.folder / "taken").unlink()
        assert batch.run().returncode == 0
        assert there.audit()["accepted"] == 3
