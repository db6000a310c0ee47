"""The command as a process: help, wrong usage, imports, signals, closed pipes, and the docs."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import typer.main
from cli_fakes import Screen

from orchestrator.cli import output
from orchestrator.cli.main import app
from orchestrator.model import State

ROOT = Path(__file__).parents[2]
COMMANDS = [
    *("run", "plan", "validate", "status", "jobs", "why", "retry", "cancel", "resolve", "report"),
    *("export", "avatars", "voices", "captions", "ethnicities", "credits", "doctor", "init"),
    *("emulator", "schema"),
]
HEAVY = {"aiohttp", "sqlite_utils", "pydantic", "yaml", "av", "rich", "uvloop", "jinja2"}


def orchestrator(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        cwd=ROOT,
        **more,
    )


def test_help_names_every_command() -> None:
    ended = orchestrator("--help")
    assert ended.returncode == 0
    assert re.findall(r"^  (\w+)  +[A-Z]", ended.stdout, re.M) == COMMANDS
    assert max(map(len, ended.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_one_sentence_with_examples(command: str) -> None:
    text = orchestrator(command, "-h").stdout
    assert max(map(len, text.splitlines())) <= 80
    sentence, rest = text.split("\n\n", 2)[1:]
    assert sentence.strip().endswith(".")
    assert sentence.count(". ") == 0
    assert len(re.findall(rf"^    orchestrator {command}", rest, re.M)) >= 2


def test_help_imports_nothing_heavy() -> None:
    script = """
        import sys
        sys.argv = ["orchestrator", "--help"]
        from orchestrator.cli.main import main
        main()
        print(*sorted(m.partition(".")[0] for m in sys.modules), file=sys.stderr)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        cwd=ROOT,
    )
    assert HEAVY & set(ended.stderr.split()) == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fly"], "No such command 'fly'"),
        (["run"], "Missing argument 'MANIFEST'"),
        (["run", "jobs.yaml", "--limit", "0"], "--limit"),
        (["jobs", "--in", "wild"], " in_doubt, "),
    ],
)
def test_wrong_usage_ends_2_with_words_on_stderr(words: list[str], message: str) -> None:
    ended = orchestrator(*words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr


def test_wrong_usage_with_json_is_an_error_document() -> None:
    ended = orchestrator("status", "--json", "--fly")
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["error"]["code"] == 2
    assert "--fly" in json.loads(ended.stdout)["error"]["message"]


def test_no_command_shows_the_help_and_ends_2() -> None:
    ended = orchestrator()
    assert ended.returncode == 2
    assert "Usage: orchestrator" in ended.stdout + ended.stderr


def test_version_is_one_line() -> None:
    assert re.fullmatch(r"orchestrator \S.*\n", orchestrator("--version").stdout)


RUN_UNTIL_DRAINED = """
    import asyncio, sys
    sys.path.insert(0, {tests!r})
    from cli_fakes import FakeRun, run_view
    from orchestrator.cli import facade, main, output

    class Run(FakeRun):
        def drain(self, reason):
            super().drain(reason)
            if {patient}:
                return
            self.ended.set()

    class Fake:
        async def run(self, manifest, options, observer):
            run = Run()
            observer.watch(run)
            await run.ended.wait()
            output.out([", ".join(run.told)])
            code = {{"drain SIGINT": 130, "drain SIGTERM": 143}}[run.told[0]]
            return run_view(exit_code=code)

    facade.make_orchestrator = lambda state: Fake()
    sys.argv = ["orchestrator", "run", "jobs.yaml"]
    sys.exit(main.main())
"""


def running(*, patient: bool = False) -> list[str]:
    """The command line of a fake run; a patient one does not end by draining."""
    tests = str(Path(__file__).parent)
    script = RUN_UNTIL_DRAINED.format(tests=tests, patient=patient)
    return [sys.executable, "-c", textwrap.dedent(script)]


def begun(process: subprocess.Popen[str]) -> None:
    """Wait until the run works."""
    assert process.stderr is not None
    assert "run begins" in process.stderr.readline()


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (signal.SIGINT, 130, "drain SIGINT"),
        (signal.SIGTERM, 143, "drain SIGTERM"),
        (signal.SIGHUP, 143, "drain SIGTERM"),
    ],
)
def test_one_signal_drains_the_run(number: int, code: int, told: str) -> None:
    with subprocess.Popen(
        running(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        begun(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert out.splitlines()[0] == told
    assert "To go on later: orchestrator run jobs.yaml" in err


def test_the_second_signal_aborts_the_run() -> None:
    with subprocess.Popen(
        running(patient=True), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        begun(process)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert "starting nothing more" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 143
    assert out.splitlines()[0] == "drain SIGTERM, abort"
    assert "Stopping at once" in err


def on_a_terminal(command: list[str]) -> tuple[int, int]:
    """Start a command on a terminal of its own, 80 columns wide: process id, our end of it."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execve(command[0], command, environment)
    return child, terminal


def read_until(terminal: int, wanted: str | None) -> str:
    """What the terminal shows until a text appears; None: until it is closed."""
    seen, deadline = b"", time.monotonic() + 20
    while time.monotonic() < deadline and (wanted is None or wanted.encode() not in seen):
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # Linux: the other end is closed
            break
        if not piece:
            break
        seen += piece
    return seen.decode()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_on_a_terminal_ctrl_c_drains_under_a_live_view() -> None:
    child, terminal = on_a_terminal(running())
    seen = read_until(terminal, "no problems so far")
    os.write(terminal, b"\x03")
    seen += read_until(terminal, None)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    lines = Screen().feed(seen.replace("^C", "")).lines()
    assert code == 130
    assert any(line.startswith("SIGINT: starting nothing more.") for line in lines)
    assert sum(line.startswith("spring ·") for line in lines) == 1
    assert "spring: every job is done." in lines
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_terminal_that_is_closed_drains_the_run_in_good_order() -> None:
    child, terminal = on_a_terminal(running())
    read_until(terminal, "no problems so far")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 143


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    script = """
        import sys
        sys.path.insert(0, {tests!r})
        from cli_fakes import FakeOrchestrator, batch_view, job_view
        from orchestrator.cli import facade, main
        fake = FakeOrchestrator(views=[batch_view(*(job_view("j" * 99) for _ in range(9999)))])
        facade.make_orchestrator = lambda state: fake
        sys.argv = ["orchestrator", "jobs"]
        sys.exit(main.main())
    """
    code = textwrap.dedent(script.format(tests=str(Path(__file__).parent)))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 0


class Reluctant(io.RawIOBase):
    """A stream without a buffer that takes a thousand bytes at a time."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.taken += bytes(data[:1000])
        return min(len(data), 1000)


def test_an_unbuffered_stream_gets_all_of_a_long_document(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = Reluctant()
    stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)  # type: ignore[type-var]
    monkeypatch.setattr(sys, "stdout", stream)
    output.out(["é" * 9_999])
    monkeypatch.undo()
    assert raw.taken.decode() == "é" * 9_999 + "\n"


def test_every_command_flag_and_variable_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    group: Any = typer.main.get_command(app)
    assert list(group.commands) == COMMANDS
    for name, command in group.commands.items():
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            for word in (*getattr(parameter, "opts", ()),):
                shown = f"`{word}" if word.startswith("-") else word.upper()
                assert shown in section, f"{word} of {name}"
            assert (parameter.envvar or "") in section


def test_every_state_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "json.md").read_text()
    assert all(f"`{state}`" in text for state in State)
