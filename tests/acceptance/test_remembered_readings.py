"""A second run of a large manifest does not read it again, and does what it would have done."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from orchestrator import app, readings
from orchestrator.app import Orchestrator
from orchestrator.errors import ManifestError
from orchestrator.manifest.read import Examined, examine_manifest
from orchestrator.options import RunOptions
from orchestrator.rehearsal import Rehearsal
from orchestrator.report.views import Why

HELLO = Path(__file__).parents[2] / "examples" / "media" / "hello.wav"
OPTIONS = RunOptions(rehearsal=Rehearsal(time_scale=200.0))


class Reader:
    """Reads manifests and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: Path) -> Examined:
        self.count += 1
        return examine_manifest(path)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    made = Reader()
    monkeypatch.setattr(readings, "WORTH_JOBS", 1)
    monkeypatch.setattr(app, "examine_manifest", made)
    return made


def written(folder: Path, *more: str) -> Path:
    shutil.copy(HELLO, folder / "hello.wav")
    lines = [
        "version: 1",
        "batch: twice",
        "limits: {submit_rate: 50/s, request_rate: 100/s}",
        "jobs:",
        '  - {id: said, avatar: {public: "1"}, audio: {text: One., voice: V}}',
        '  - {id: heard, avatar: {public: "1"}, audio: {file: hello.wav}}',
        *more,
    ]
    (folder / "jobs.yaml").write_text("\n".join(lines) + "\n")
    return folder / "jobs.yaml"


async def test_what_was_read_once_is_not_read_again(tmp_path: Path, reader: Reader) -> None:
    manifest = written(tmp_path)
    first = await Orchestrator().run(manifest, OPTIONS)
    assert (first.exit_code, first.submitted, reader.count) == (0, 2, 1)
    second = await Orchestrator().run(manifest, OPTIONS)
    assert (second.exit_code, second.submitted, reader.count) == (0, 0, 1)
    plan = await Orchestrator().plan(manifest, OPTIONS)
    assert [line.what for line in plan.lines] == [Why.KEEP, Why.KEEP]
    assert reader.count == 1


async def test_a_run_from_memory_does_what_a_run_from_the_manifest_does(
    tmp_path: Path, reader: Reader
) -> None:
    manifest = written(tmp_path)
    await Orchestrator().run(manifest, RunOptions(rehearsal=OPTIONS.rehearsal, limit=1))
    recalled = await Orchestrator().plan(manifest, OPTIONS)
    assert reader.count == 1
    shutil.rmtree(tmp_path / "state" / "emulator" / readings.FOLDER)
    assert await Orchestrator().plan(manifest, OPTIONS) == recalled
    assert reader.count == 2
    last = await Orchestrator().run(manifest, OPTIONS)
    assert (last.exit_code, last.submitted) == (0, 1)


async def test_only_a_run_remembers_and_validate_always_reads(
    tmp_path: Path, reader: Reader
) -> None:
    manifest = written(tmp_path)
    await Orchestrator().plan(manifest, OPTIONS)
    assert not (tmp_path / "state").exists()
    await Orchestrator().run(manifest, OPTIONS)
    before = reader.count
    assert await Orchestrator().validate(manifest) == ()
    assert reader.count == before + 1


async def test_a_changed_manifest_is_read_and_then_remembered(
    tmp_path: Path, reader: Reader
) -> None:
    await Orchestrator().run(written(tmp_path), OPTIONS)
    more = '  - {id: more, avatar: {public: "1"}, audio: {text: Two., voice: V}}'
    manifest = written(tmp_path, more)
    grown = await Orchestrator().run(manifest, OPTIONS)
    assert (grown.submitted, reader.count) == (1, 2)
    assert (await Orchestrator().run(manifest, OPTIONS)).submitted == 0
    assert reader.count == 2


async def test_complaints_about_media_bear_their_places_all_the_same(
    tmp_path: Path, reader: Reader
) -> None:
    manifest = written(tmp_path)
    await Orchestrator().run(manifest, OPTIONS)
    (tmp_path / "hello.wav").write_bytes(b"no sound")
    with pytest.raises(ManifestError) as caught:
        await Orchestrator().run(manifest, OPTIONS)
    assert tuple(caught.value.complaints) == await Orchestrator().validate(manifest)
    assert str(caught.value.complaints[0]).startswith(f"{manifest}:6:")


async def test_a_sound_that_was_replaced_is_a_changed_job(tmp_path: Path, reader: Reader) -> None:
    manifest = written(tmp_path)
    await Orchestrator().run(manifest, OPTIONS)
    data = bytearray(HELLO.read_bytes())
    data[-2:] = b"\x01\x02"
    (tmp_path / "hello.wav").write_bytes(bytes(data))
    plan = await Orchestrator().plan(manifest, OPTIONS)
    assert [line.what for line in plan.lines] == [Why.KEEP, Why.CHANGED]


def test_the_memory_is_lines_of_json(tmp_path: Path, reader: Reader) -> None:
    asyncio.run(Orchestrator().run(written(tmp_path), OPTIONS))
    (kept,) = (tmp_path / "state" / "emulator" / readings.FOLDER).iterdir()
    *lines, mark = kept.read_text().splitlines()
    assert [sorted(json.loads(line))[0] for line in lines] == ["about", "alike"]
    assert len(mark) == readings.HASH_BYTES
