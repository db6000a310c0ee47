"""Every complaint about a manifest, compared whole: line, column, problem, remedy, and order.

The cases stand in ``manifest_cases/*.txt`` as a user would see them. Beside the manifest a case may
have files of rows, each after a line "@@@ NAME".
"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.manifest.read import check_manifest

CASES = Path(__file__).with_name("manifest_cases")


def _cases() -> list[tuple[str, str, str]]:
    found = []
    for path in sorted(CASES.glob("*.txt")):
        for case in path.read_text(encoding="utf-8").split("\n=== ")[1:]:
            name, _, rest = case.partition("\n")
            manifest, _, expected = f"\n{rest}\n".partition("\n>>>\n")
            found.append((f"{path.stem}: {name}", manifest.removeprefix("\n"), expected.strip()))
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("faces/anna.png", "faces/ben.png", "voices/anna.wav", "voices/ben.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "good.txt").write_text("Good morning.\n", encoding="utf-8")
    (texts / "braces.txt").write_text("Dear {name},\n", encoding="utf-8")
    (texts / "empty.txt").write_text("\n", encoding="utf-8")
    (texts / "latin1.txt").write_bytes("one\ncaf\xe9\n".encode("latin-1"))
    return tmp_path


@pytest.mark.parametrize(
    ("manifest", "expected"), [c[1:] for c in _cases()], ids=[c[0] for c in _cases()]
)
def test_a_bad_manifest_is_complained_about(manifest: str, expected: str, folder: Path) -> None:
    text, *others = f"\n{manifest}".split("\n@@@ ")
    (folder / "jobs.yaml").write_text(text.removeprefix("\n"), encoding="utf-8")
    for other in others:
        name, _, rows = other.partition("\n")
        (folder / name).write_text(rows, encoding="utf-8")

    _, complaints = check_manifest(Path("jobs.yaml"))

    told = "\n".join(str(c).removeprefix("jobs.yaml:") for c in complaints)
    assert told.replace(str(folder), "DIR") == expected
