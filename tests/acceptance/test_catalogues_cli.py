"""The commands for the vendor's lists as they are typed, against an emulator of their own."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from emulator_support import EmulatorProcess

from orchestrator.cli import output
from orchestrator.cli.main import main

VOICE = "ExampleVoice0000000000000000Abcd"
MANIFEST = f"""
version: 1
batch: spring
output: out/{{id}}.mp4
defaults: {{audio: {{voice: {VOICE}}}}}
jobs:
  - id: right
    avatar: {{public: "3327"}}
    audio: {{text: "Hello."}}
    caption: cap-sample-1
  - id: wrong
    avatar: {{public: "3372"}}
    audio: {{text: "Hello.", voice: ExampleVoice0000000000000000Abce}}
    caption: cap-simple-1
  - id: mine
    avatar: {{private: "9003"}}
    audio: {{text: "Hello."}}
"""


class Ended:
    """How a command ended and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The lines of CSV."""
        return list(csv.DictReader(io.StringIO(self.out)))


Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("vendor")) as emulator:
        yield emulator


@pytest.fixture
def command(
    vendor: EmulatorProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Type a command in an empty folder, with credentials for the emulator."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORCHESTRATOR_STATE", raising=False)
    for name, value in vendor.environment.items():
        monkeypatch.setenv(name, value)

    def call(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *words])
        code = main()
        return Ended(code, *capsys.readouterr())

    return call


def terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(output, "width", lambda: columns)


def test_avatars_are_listed_with_ids_ready_to_paste(command: Command) -> None:
    ended = command("avatars", "--gender", "female", "--name", "ana")
    assert ended.code == 0
    titles, *lines = ended.out.splitlines()
    assert titles.split("\t")[0] == "AVATAR"
    assert lines[0].split("\t")[:3] == ['public: "3327"', "Sample Ana", "female"]
    assert ended.err == f"{len(lines)} avatars\n"


def test_an_ethnicity_is_chosen_by_its_name(command: Command) -> None:
    ended = command("avatars", "--ethnicity", "sample a", "--json")
    assert {tuple(a["ethnicities"]) for a in ended.document["avatars"]} == {("Sample A",)}


def test_a_misspelt_ethnicity_is_refused_with_the_right_one(command: Command) -> None:
    ended = command("avatars", "--ethnicity", "simple a")
    assert ended.code == 2
    assert "did you mean Sample A" in ended.err


def test_private_avatars_are_pasted_as_such(command: Command) -> None:
    ended = command("avatars", "--private")
    assert 'private: "9002"\tMy avatar' in ended.out


@pytest.mark.parametrize("columns", [50, 60, 80, 120])
@pytest.mark.parametrize("name", ["avatars", "voices", "captions", "ethnicities"])
def test_tables_fit_the_terminal_and_ids_stay_whole(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    terminal(monkeypatch, columns)
    ids = [row["id"] for row in command(name, "--json").document[name]]
    lines = command(name).out.splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) == len(ids) + 1
    assert all(id_ in line for id_, line in zip(ids, lines[1:], strict=True))


def test_columns_that_do_not_fit_are_named(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(monkeypatch, 60)
    ended = command("voices", "--limit", "3")
    assert "ACCENT" not in ended.out
    assert "too narrow for AGE, STYLE, ACCENT" in ended.err
    assert "3 of 66 voices shown" in ended.err


def test_voices_are_listed_as_csv_with_their_names(command: Command) -> None:
    ended = command("voices", "--language", "de", "--csv")
    assert [row["language"] for row in ended.rows] == ["de", "de"]
    assert set(ended.rows[0]) >= {"id", "name", "gender", "age", "style", "accent", "sample"}


def test_the_json_of_a_list_says_how_much_there_is(command: Command) -> None:
    document = command("voices", "--gender", "male", "--limit", "2", "--json").document
    assert len(document["voices"]) == 2
    assert (document["found"], document["total"], document["complete"]) == (33, 33, True)
    assert (document["copy"], document["age_s"]) == (False, 0.0)


def test_csv_and_json_exclude_each_other(command: Command) -> None:
    ended = command("captions", "--csv", "--json")
    assert ended.code == 2
    assert ended.document["error"]["code"] == 2


def test_nothing_found_is_no_error(command: Command) -> None:
    ended = command("voices", "--private")
    assert (ended.code, ended.out, ended.err) == (0, "", "no such voices\n")


def test_a_copy_is_shown_offline_with_its_age(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = command("captions")
    monkeypatch.setenv("TOPVIEW_API_KEY", "")
    copy = command("captions", "--offline")
    assert copy.out == fresh.out
    assert "shown is a copy of" in copy.err


def test_without_a_copy_offline_is_refused(command: Command) -> None:
    ended = command("captions", "--offline")
    assert ended.code == 2
    assert "once without --offline" in ended.err


def test_missing_credentials_end_with_eight(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOPVIEW_UID")
    ended = command("avatars")
    assert ended.code == 8
    assert "export TOPVIEW_UID=..." in ended.err


def test_the_balance_is_shown(command: Command) -> None:
    assert command("credits").out == "balance: 1,000 credits\n"
    assert command("credits", "--json").document["log"] is None
    assert command("credits", "--csv").rows[0]["balance"] == "1000.0"


def test_the_log_is_shown_with_the_balance(command: Command) -> None:
    ended = command("credits", "--log", "--since", "24h")
    assert ended.out.startswith("balance: ")
    assert "no charges since" in ended.err
    assert command("credits", "--log", "--json").document["log"]["charges"] == []


@pytest.mark.parametrize("words", [("--since", "7d"), ("--log", "--since", "soon")])
def test_a_span_that_makes_no_sense_is_refused(command: Command, words: tuple[str, ...]) -> None:
    ended = command("credits", *words)
    assert ended.code == 2
    assert "--since" in ended.err


def test_validate_online_complains_about_ids_at_their_places(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "jobs.yaml").write_text(MANIFEST)
    ended = command("validate", "jobs.yaml", "--online", "--json")
    assert ended.code == 2
    found = [
        (c["line"], c["column"], c["problem"].split(" is ")[0], c["warning"])
        for c in ended.document["complaints"]
    ]
    assert found == [
        (12, 22, "avatar.public", False),
        (13, 36, "audio.voice", False),
        (14, 14, "caption", False),
        (16, 23, "avatar.private", True),
    ]
    remedies = [c["remedy"] for c in ended.document["complaints"]]
    assert 'did you mean "3327" (Sample Ana)?' in remedies[0]
    assert f'did you mean "{VOICE}" (Sample Voice)' in remedies[1]
    assert '"cap-sample-1"' in remedies[2]
    assert '"9002" (My avatar)' in remedies[3]


def test_validate_without_online_asks_nobody(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobs.yaml").write_text(MANIFEST)
    monkeypatch.delenv("TOPVIEW_UID")
    assert command("validate", "jobs.yaml").code == 0


def test_validate_online_leaves_a_broken_manifest_to_validate(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "jobs.yaml").write_text(MANIFEST.replace("caption:", "capt:"))
    ended = command("validate", "jobs.yaml", "--online")
    assert ended.code == 2
    assert "avatar.public" not in ended.out
    assert "once the manifest is right" in ended.err


def test_the_doctor_finds_no_fault_and_says_it(command: Command, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(MANIFEST)
    ended = command("doctor", "jobs.yaml")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "warning"}
    assert any(line.split()[1:3] == ["credentials", "accepted"] for line in lines)


def test_the_doctors_lines_fit_a_terminal(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(monkeypatch, 80)
    lines = command("doctor").out.splitlines()
    # A path stays whole, to be copied: its line may be longer, if nothing else could be moved.
    paths = [line for line in lines if len(line) > 80]
    assert all(line[23:].startswith("/") and " " not in line[23:] for line in paths), paths
    assert "SQLite" in " ".join(lines)


def test_the_doctor_ends_with_eight_without_credentials(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOPVIEW_API_KEY")
    ended = command("doctor", "--json")
    assert ended.code == 8
    levels = {c["name"]: c["level"] for c in ended.document["checks"]}
    assert levels["credentials"] == "fault"
    assert ended.document["faults"] == 1
