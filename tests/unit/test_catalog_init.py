"""``orchestrator init``: where the manifest goes, what is said, what is never overwritten."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator.cli.main import main
from orchestrator.cli.starter import batch_name

Init = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked() -> list[tuple[Path, str]]:
    return []


@pytest.fixture
def init(
    asked: list[tuple[Path, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Init:
    """Type ``init`` in a folder with media, with a maker of manifests that remembers."""

    def starter_manifest(folder: Path, batch: str) -> str:
        asked.append((folder, batch))
        return f"batch: {batch}\n"

    made = ModuleType("orchestrator.starter")
    made.starter_manifest = starter_manifest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "orchestrator.starter", made)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Spring Media").mkdir()
    (tmp_path / "rows.csv").write_text("id\n")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["orchestrator", "init", *words])
        code = main()
        return (code, *capsys.readouterr())

    return call


def test_the_manifest_lies_beside_its_media(init: Init, asked: list[tuple[Path, str]]) -> None:
    code, out, _ = init("Spring Media")
    assert code == 0
    assert asked == [(Path("Spring Media"), "spring-media")]
    assert Path("Spring Media/jobs.yaml").read_text() == "batch: spring-media\n"
    assert out.splitlines()[0] == "wrote Spring Media/jobs.yaml"


def test_the_next_commands_can_be_typed_as_they_stand(init: Init) -> None:
    _, out, _ = init("Spring Media")
    assert "next      orchestrator validate 'Spring Media/jobs.yaml'" in out
    assert "orchestrator run 'Spring Media/jobs.yaml' --emulator" in out
    assert "orchestrator plan 'Spring Media/jobs.yaml'" in out
    assert "lists what is wrong in it, if anything is" in out


def test_a_csv_gets_its_manifest_beside_it(init: Init, asked: list[tuple[Path, str]]) -> None:
    assert init("rows.csv", "--batch", "autumn", "--output", "autumn.yaml")[0] == 0
    assert asked == [(Path("rows.csv"), "autumn")]
    assert Path("autumn.yaml").exists()


def test_an_existing_file_is_never_overwritten(init: Init, asked: list[tuple[Path, str]]) -> None:
    Path("Spring Media/jobs.yaml").write_text("mine")
    code, out, err = init("Spring Media")
    assert (code, out) == (2, "")
    assert "Spring Media/jobs.yaml exists" in err
    assert Path("Spring Media/jobs.yaml").read_text() == "mine"
    assert asked == []


def test_a_place_from_which_no_path_would_be_found_is_refused(init: Init) -> None:
    code, _, err = init("Spring Media", "--output", "jobs.yaml")
    assert code == 2
    assert "type --output 'Spring Media/jobs.yaml'" in err


def test_a_source_that_is_not_there_is_said(init: Init) -> None:
    code, _, err = init("nowhere")
    assert code == 2
    assert "nowhere: there is no such folder or file" in err


@pytest.mark.parametrize(
    ("name", "batch"),
    [
        ("Spring 2026", "spring-2026"),
        ("__", "batch"),
        ("Zürich", "zurich"),
        ("Øst & Straße", "ost-strasse"),
        ("x" * 99, "x" * 64),
    ],
)
def test_a_batch_is_named_like_its_source(tmp_path: Path, name: str, batch: str) -> None:
    (tmp_path / name).mkdir()
    assert batch_name(tmp_path / name) == batch


def test_a_file_names_its_batch_without_its_ending(tmp_path: Path) -> None:
    (tmp_path / "Rows.v2.csv").write_text("")
    assert batch_name(tmp_path / "Rows.v2.csv") == "rows.v2"


def test_the_current_folder_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert batch_name(Path()) == batch_name(tmp_path)
