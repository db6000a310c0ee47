"""A reading that is remembered is believed only if reading anew would come to the very same."""

from __future__ import annotations

import math
import os
import shutil
import stat
import struct
import wave
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from orchestrator import readings
from orchestrator.manifest.packed import packed
from orchestrator.manifest.read import examine_manifest
from orchestrator.model import Complaint, Limits, OnDoubt, Rate, Settings, Verify
from orchestrator.planning import Prepared, prepare
from orchestrator.readings import (
    Read,
    Slot,
    prepare_read,
    prepare_recalled,
    recall_reading,
    remember,
)

SECRET = "https://public.example/hunter2/t0ken"
MANIFEST = f"""\
version: 1
batch: spring
jobs:
  - {{id: first, avatar: {{public: "3327"}}, audio: {{text: "Hi {{who}}.", voice: V}}}}
  - {{id: again, avatar: {{public: "3327"}}, audio: {{text: Hi you., voice: V}}, tags: [x, "ä"]}}
  - {{id: spoken, avatar: {{public: "7"}}, audio: {{text_file: words.txt, voice: V}}, priority: -3}}
  - {{id: "f-{{stem}}", avatar: {{image: "faces/*.png"}}, audio: {{file: one.wav}}, mode: avatar2}}
matrix:
  - id: "{{avatar}}-{{audio}}"
    avatars: {{ann: {{public: "1"}}, ben: {{private: "2"}}}}
    audios: {{x: {{file: one.wav}}, y: {{text: Yes., voice: V, speed: 1.1}}}}
from: rows.csv
vars: {{who: you, spare: "nothing"}}
limits: {{submit_rate: 3/min, in_flight: 7, upload_bandwidth: 3MB/s}}
budget: {{credits: 12.5}}
webhook: {{url: "{SECRET}", listen: "127.0.0.1:8088"}}
"""
ROWS = "id,avatar.public,audio.text,audio.voice,output\nrow,9,Hello.,V,elsewhere/row.mp4\n"


@pytest.fixture(autouse=True)
def every_manifest_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "WORTH_JOBS", 1)
    monkeypatch.setattr(readings, "PART", 3)


def tone(path: Path, pitch: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        samples = (int(9000 * math.sin(n / pitch)) for n in range(4000))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


@pytest.fixture
def slot(tmp_path: Path) -> Iterator[Slot]:
    folder = tmp_path / "work"
    (folder / "faces").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    image = Path(__file__).parents[2] / "examples" / "media"
    face = next(image.glob("*.png"))
    shutil.copy(face, folder / "faces" / "a.png")
    shutil.copy(face, folder / "faces" / "b.png")
    (folder / "words.txt").write_text("Words {who} speak.\n")
    (folder / "rows.csv").write_text(ROWS)
    tone(folder / "one.wav", 5)
    tone(folder / "two.wav", 9)
    (folder / "jobs.yaml").write_text(MANIFEST)
    yield Slot(folder=tmp_path / "state", manifest=folder / "jobs.yaml", time_scale=None)


async def read(slot: Slot) -> Prepared:
    """Read it really, and remember that."""
    examined = examine_manifest(slot.manifest)
    manifest = examined.manifest
    assert manifest is not None, examined.complaints
    jobs = packed(manifest.jobs)
    made = await prepare_read(
        Read(slot=slot, manifest=manifest, jobs=jobs, inputs=examined.inputs), None
    )
    assert made.keep is not None
    made.keep()
    return made


async def again(slot: Slot) -> Prepared | None:
    recalled = recall_reading(slot)
    return None if recalled is None else await prepare_recalled(recalled, None)


async def test_a_recalled_reading_is_the_reading(slot: Slot) -> None:
    made, recalled = await read(slot), await again(slot)
    assert recalled is not None
    assert len(recalled.wanted) == 10
    assert list(recalled.wanted) == list(made.wanted)
    assert recalled.wanted.packed()[1] == made.wanted.packed()[1]
    assert replace(recalled.manifest, warnings=()) == replace(made.manifest, warnings=())
    assert recalled.warnings == made.warnings
    assert {w.problem for w in recalled.warnings} >= {'the var "spare" is used nowhere'}
    assert any("ask for the same video" in w.problem for w in recalled.warnings)
    assert all(isinstance(warning, Complaint) and warning.warning for warning in made.warnings)
    assert recalled.keep is None


def change(name: str, old: str, new: str) -> Callable[[Path], None]:
    def carry_out(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return carry_out


def link_elsewhere(folder: Path) -> None:
    (folder / "other.txt").write_text("Other words.")
    (folder / "words.txt").unlink()
    (folder / "words.txt").symlink_to("other.txt")


def one_more_face(folder: Path) -> None:
    shutil.copy(folder / "faces/a.png", folder / "faces/c.png")


def folder_for_file(folder: Path) -> None:
    (folder / "faces/b.png").unlink()
    (folder / "faces/b.png").mkdir()


CHANGES: dict[str, Callable[[Path], None]] = {
    "a job": change("jobs.yaml", "Yes.", "No.."),
    "a setting": change("jobs.yaml", "3/min", "4/min"),
    "the webhook": change("jobs.yaml", "t0ken", "tOken"),
    "a comment": change("jobs.yaml", "version: 1\n", "version: 1\n# more\n"),
    "a row": change("rows.csv", "Hello.", "Howdy."),
    "a text file": change("words.txt", "Words", "Wordz"),
    "no text file": lambda folder: (folder / "words.txt").unlink(),
    "a link to another file": link_elsewhere,
    "no rows": lambda folder: (folder / "rows.csv").unlink(),
    "one more file for a pattern": one_more_face,
    "one file less": lambda folder: (folder / "faces/b.png").unlink(),
    "a folder where a file was": folder_for_file,
    "no manifest": lambda folder: (folder / "jobs.yaml").unlink(),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_whatever_was_read_must_be_what_it_was(slot: Slot, what: str) -> None:
    await read(slot)
    assert recall_reading(slot) is not None
    CHANGES[what](slot.manifest.parent)
    assert recall_reading(slot) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "one.wav").unlink(),
        lambda folder: shutil.copy(folder / "two.wav", folder / "one.wav"),
        lambda folder: (folder / "faces/a.png").write_bytes(b"no picture"),
    ],
)
async def test_media_must_be_what_they_were(slot: Slot, spoil: Callable[[Path], Any]) -> None:
    await read(slot)
    spoil(slot.manifest.parent)
    recalled = recall_reading(slot)
    assert recalled is not None
    assert await prepare_recalled(recalled, None) is None


async def test_a_file_that_was_only_touched_is_what_it_was(slot: Slot) -> None:
    await read(slot)
    for path in slot.manifest.parent.rglob("*.*"):
        os.utime(path, (1, 1))
    assert await again(slot) is not None


async def test_another_program_reads_anew(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    await read(slot)
    monkeypatch.setattr(readings, "program", lambda: "another")
    assert recall_reading(slot) is None
    monkeypatch.setattr(readings, "program", lambda: "")
    assert recall_reading(slot) is None


async def test_every_reading_has_a_slot_of_its_own(slot: Slot) -> None:
    await read(slot)
    assert recall_reading(replace(slot, time_scale=20.0)) is None
    moved = slot.manifest.with_name("moved.yaml")
    shutil.copy(slot.manifest, moved)
    assert recall_reading(replace(slot, manifest=moved)) is None
    shutil.copy(slot.file, replace(slot, manifest=moved).file)
    assert recall_reading(replace(slot, manifest=moved)) is None


async def test_a_damaged_memory_is_ignored(slot: Slot) -> None:
    await read(slot)
    whole = slot.file.read_bytes()
    for at in range(0, len(whole), 97):
        slot.file.write_bytes(whole[:at])
        assert recall_reading(slot) is None
        slot.file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert recall_reading(slot) is None
    slot.file.write_bytes(whole + b"\n")
    assert recall_reading(slot) is None
    slot.file.write_bytes(whole)
    assert recall_reading(slot) is not None


@pytest.mark.parametrize("text", ["", "{}", "[]\n", '{"about": []}\n', "\0" * 999, '"x"\n' * 30])
async def test_a_foreign_file_is_ignored_though_its_hash_is_right(slot: Slot, text: str) -> None:
    slot.file.parent.mkdir()
    slot.file.write_bytes(text.encode() + sha256(text.encode()).hexdigest().encode())
    assert recall_reading(slot) is None


async def test_a_memory_that_cannot_be_read_is_ignored(slot: Slot) -> None:
    slot.file.mkdir(parents=True)
    assert recall_reading(slot) is None
    await read(slot)
    assert recall_reading(slot) is None


async def test_a_memory_that_cannot_be_written_stops_nothing(slot: Slot) -> None:
    (slot.folder / readings.FOLDER).write_text("in the way")
    await read(slot)
    assert recall_reading(slot) is None


async def test_secrets_are_not_kept(slot: Slot) -> None:
    made = await read(slot)
    assert made.manifest.settings.webhook_url == SECRET
    kept = slot.file.read_bytes()
    assert b"hunter2" not in kept
    assert b"t0ken" not in kept
    assert b"public.example" not in kept


async def test_an_address_that_is_written_in_another_way_is_not_remembered(slot: Slot) -> None:
    text = slot.manifest.read_text()
    slot.manifest.write_text(text.replace("public.example", "\\x70ublic.example"))
    made = await read(slot)
    assert made.manifest.settings.webhook_url == SECRET
    assert not slot.file.exists()


async def test_the_memory_is_private_and_lies_in_the_state_folder(slot: Slot) -> None:
    before = sorted(slot.manifest.parent.rglob("*"))
    await read(slot)
    assert stat.S_IMODE(slot.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(slot.file.parent.stat().st_mode) == 0o700
    assert list(slot.file.parent.iterdir()) == [slot.file]
    assert sorted(slot.manifest.parent.rglob("*")) == before


async def test_old_memories_make_room(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "KEPT", 2)
    slots = [replace(slot, time_scale=float(n + 1)) for n in range(4)]
    for number, other in enumerate(slots):
        await read(other)
        os.utime(other.file, (number, number))
    assert [other.file.exists() for other in slots] == [False, False, True, True]


async def test_small_manifests_are_not_remembered(
    slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "WORTH_JOBS", 11)
    await read(slot)
    assert not slot.file.exists()


async def test_what_changed_while_it_was_read_is_not_remembered(slot: Slot) -> None:
    examined = examine_manifest(slot.manifest)
    assert examined.manifest is not None
    prepared = await prepare(examined.manifest, None)
    change("words.txt", "Words", "Wordz")(slot.manifest.parent)
    examined.inputs.read(slot.manifest.parent / "words.txt", "text file")
    remember(slot, prepared, examined.inputs)
    assert not slot.file.exists()


def other_settings() -> Settings:
    limits = Limits(
        submit_rate=Rate(count=7, per_s=60.0),
        request_rate=Rate(count=3, per_s=0.1),
        in_flight=9,
        uploads=1,
        downloads=2,
        upload_bytes_per_s=1e6 / 3,
        download_bytes_per_s=2e7,
        poll_interval_s=0.1 + 0.2,
    )
    return Settings(
        limits=limits,
        budget_credits=1 / 3,
        on_doubt=OnDoubt.RESUBMIT,
        doubt_horizon_s=1.5,
        task_deadline_s=2.5,
        stop_after=3,
        verify=Verify.DECODE,
        retry_renders=4,
        webhook_url=SECRET,
        webhook_listen="127.0.0.1:1",
    )


async def test_every_setting_is_recalled(slot: Slot) -> None:
    settings, usual = other_settings(), Settings()
    for field in fields(Settings):
        assert getattr(settings, field.name) != getattr(usual, field.name)
    for field in fields(Limits):
        assert getattr(settings.limits, field.name) != getattr(usual.limits, field.name)
    examined = examine_manifest(slot.manifest)
    assert examined.manifest is not None
    manifest = replace(examined.manifest, settings=settings)
    remember(slot, await prepare(manifest, None), examined.inputs)
    recalled = recall_reading(slot)
    assert recalled is not None
    assert recalled.manifest.settings == settings
    kinds = {key: type(value) for key, value in asdict(settings).items()}
    assert {k: type(v) for k, v in asdict(recalled.manifest.settings).items()} == kinds
