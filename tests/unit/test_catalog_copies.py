"""Copies of lists in the state folder."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from orchestrator.catalogues.copies import MOST_ANSWERS, Balance, Copies, Kept
from orchestrator.errors import StoreError
from orchestrator.topview.catalog import Avatar, Caption, Ethnicity, Voice

ACCOUNT = "https://api.example.invalid|uid-that-nobody-may-see"


def kept(*items: object, at: float = 1000.0) -> Kept:
    return Kept(at=at, items=items, total=len(items), complete=True)


@pytest.mark.parametrize(
    ("key", "item"),
    [
        ("avatars?gender=male", Avatar(id="1", name="Ana", ethnicities=("A", "B"))),
        ("voices", Voice(id="1", name="Eva", language="de")),
        ("captions", Caption(id="1", picture="http://127.0.0.1/c.png")),
        ("ethnicities", Ethnicity(id="1", name="A")),
        ("credits", Balance(credits=12.5)),
    ],
)
def test_what_is_kept_is_found_as_it_was(tmp_path: Path, key: str, item: object) -> None:
    Copies(tmp_path, ACCOUNT).keep(key, kept(item))
    assert Copies(tmp_path, ACCOUNT).find(key) == kept(item)
    assert Copies(tmp_path, ACCOUNT).find("avatars") is None


def test_copies_are_private_and_do_not_name_the_account(tmp_path: Path) -> None:
    Copies(tmp_path / "state", ACCOUNT).keep("captions", kept(Caption(id="1")))
    folder = tmp_path / "state" / "catalogues"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert [f.suffix for f in files] == [".json", ""]
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
    assert "uid-that-nobody-may-see" not in "".join(f"{f} {f.read_text()}" for f in files)


def test_accounts_do_not_see_the_copies_of_each_other(tmp_path: Path) -> None:
    Copies(tmp_path, ACCOUNT).keep("captions", kept(Caption(id="1")))
    assert Copies(tmp_path, ACCOUNT + "2").find("captions") is None


def test_without_an_account_the_only_one_is_meant(tmp_path: Path) -> None:
    Copies(tmp_path, ACCOUNT).keep("captions", kept(Caption(id="1")))
    assert Copies(tmp_path, None).find("captions") is not None
    Copies(tmp_path, ACCOUNT + "2").keep("captions", kept(Caption(id="2")))
    assert Copies(tmp_path, None).find("captions") is None


def test_a_newer_answer_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    copies = Copies(tmp_path, ACCOUNT)
    copies.keep("captions", kept(Caption(id="1")))
    copies.keep("voices", kept(Voice(id="1", name="")))
    copies.keep("captions", kept(Caption(id="2"), at=2000.0))
    assert copies.find("captions") == kept(Caption(id="2"), at=2000.0)
    assert copies.find("voices") is not None


def test_the_oldest_answers_give_way(tmp_path: Path) -> None:
    copies = Copies(tmp_path, ACCOUNT)
    for n in range(MOST_ANSWERS + 1):
        copies.keep(f"avatars?gender={n}", kept(at=float(n)))
    assert copies.find("avatars?gender=0") is None
    assert copies.find("avatars?gender=1") is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "answers": {"captions": {}}}',
        '{"version": 1, "answers": []}',
        '{"version": 1, "answers": {"captions": {"at": 1, "items": [{"unknown": 1}]}}}',
        '{"version": 1, "answers": {"captions": 7}}',
    ],
)
def test_a_copy_that_cannot_be_read_is_no_copy(tmp_path: Path, text: str) -> None:
    copies = Copies(tmp_path, ACCOUNT)
    copies.keep("captions", kept(Caption(id="1")))
    path = next((tmp_path / "catalogues").glob("*.json"))
    path.write_text(text)
    assert copies.find("captions") is None
    copies.keep("captions", kept(Caption(id="2")))
    assert copies.find("captions") == kept(Caption(id="2"))
    assert json.loads(path.read_text())["version"] == 1


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    Copies(tmp_path, ACCOUNT).keep("captions", kept(Caption(id="1")))
    assert [f.name for f in (tmp_path / "catalogues").glob("*.new")] == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "catalogues").write_text("a file in the way")
    with pytest.raises(StoreError, match="catalogues"):
        Copies(tmp_path, ACCOUNT).keep("captions", kept(Caption(id="1")))
