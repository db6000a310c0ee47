"""The shell scripts: they parse, can be started, and say what to do when something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scripts" / "lib.sh"
SCRIPTS = [ROOT / ".ci" / "run", *sorted(p for p in (ROOT / "scripts").iterdir() if p.is_file())]
COMMANDS = [path for path in SCRIPTS if path.suffix == ""]
BASH = [path for path in COMMANDS if path.read_text().startswith("#!/usr/bin/env bash")]

# What lib.sh may use besides bash itself.
TOOLS = ("bash", "cat", "cksum", "env", "id", "ls", "mktemp", "rm")
# What the commands may use besides those.
MORE_TOOLS = ("dirname", "find", "grep", "sed", "sort", "uniq")


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("script", [LIBRARY, *BASH], ids=names([LIBRARY, *BASH]))
def test_bash_can_read_it(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("script", COMMANDS, ids=names(COMMANDS))
def test_a_command_has_an_interpreter_and_may_be_run(script: Path) -> None:
    first = script.read_text().splitlines()[0]
    assert first in {"#!/usr/bin/env bash", "#!/usr/bin/env python3"}
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("script", BASH, ids=names(BASH))
def test_a_command_stops_at_the_first_error(script: Path) -> None:
    assert "\nset -euo pipefail\n" in script.read_text()


def test_the_promised_commands_are_there() -> None:
    assert {".ci/run", "scripts/check", "scripts/demo", "scripts/test"} <= set(names(COMMANDS))


class Machine:
    """A machine that has only what a test gives it: a PATH of its own and a copy of the project."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.root = folder / "a project"
        self.venv = folder / "venv"
        self.bin.mkdir()
        (self.root / "scripts").mkdir(parents=True)
        (self.root / ".ci").mkdir()
        for name in ("pyproject.toml", "constraints.txt", *names(SCRIPTS)):
            shutil.copy(ROOT / name, self.root / name)
        for tool in (*TOOLS, *MORE_TOOLS):
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def has(self, name: str, script: str) -> None:
        """Put a command there; ``script`` is bash."""
        path = self.bin / name
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)

    def has_python(self, name: str, *, rank: int) -> None:
        """A Python that answers the probe with ``rank`` and else notes what it was asked."""
        self.has(
            name,
            f'case "$1 $2" in\n'
            f'  "-c "*ensurepip*) printf {rank} ;;\n'
            f'  "-c "*-venv*) printf python3.11-venv ;;\n'
            f'  *) echo "{name} $*" >>"{self.bin}/log" ;;\n'
            f"esac",
        )

    def runs(self, code: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``code`` with lib.sh loaded, from a folder that is not the project's."""
        return self.starts(str(self.bin / "bash"), "-c", f'set -eu; . "$LIB"\n{code}', **env)

    def starts(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command from a folder that is not the project's."""
        return subprocess.run(
            command,
            cwd="/",
            env={
                "PATH": str(self.bin),
                "LIB": str(self.root / "scripts" / "lib.sh"),
                "VENV": str(self.venv),
                **env,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def log(self) -> str:
        path = self.bin / "log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


FIND = 'require_python; printf %s "$PYTHON_FOUND"'


def test_no_python_at_all_is_said_with_what_to_install(machine: Machine) -> None:
    done = machine.runs(FIND)
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_a_python_that_is_too_old_or_broken_is_passed_over(machine: Machine) -> None:
    machine.has_python("python3", rank=9)
    machine.has("python", "exit 127")
    machine.has_python("python3.12", rank=0)
    assert machine.runs(FIND).stdout == "python3.12"


def test_a_tested_version_is_preferred_to_a_newer_one(machine: Machine) -> None:
    machine.has_python("python3", rank=1)
    machine.has_python("python3.13", rank=0)
    assert machine.runs(FIND).stdout == "python3.13"


def test_an_explicit_python_is_the_only_candidate(machine: Machine) -> None:
    machine.has_python("python3", rank=0)
    machine.has_python("mine", rank=1)
    assert machine.runs(FIND, PYTHON="mine").stdout == "mine"
    assert "PYTHON=gone" in machine.runs(FIND, PYTHON="gone").stderr


def test_this_very_python_passes_the_probe(machine: Machine) -> None:
    assert machine.runs(FIND, PYTHON=sys.executable).stdout == sys.executable


def test_a_missing_venv_module_is_named_where_nothing_can_be_installed(machine: Machine) -> None:
    machine.has_python("python3", rank=2)
    done = machine.runs(FIND)
    assert done.returncode == 1
    assert "apt-get install python3.11-venv" in done.stderr


def test_a_missing_venv_module_is_installed_by_root(machine: Machine) -> None:
    installed = machine.bin / "installed"
    machine.has(
        "python3",
        f'case "$2" in *-venv*) printf python3.11-venv; exit ;; esac\n'
        f"[ -e {installed} ] && printf 0 || printf 2",
    )
    machine.has("id", "echo 0")
    machine.has("apt-get", f'[ "$1" = update ] || echo "$*" >>"{installed}"')
    assert machine.runs(FIND).stdout == "python3"
    assert installed.read_text() == "install -y --no-install-recommends python3.11-venv\n"


def test_a_folder_that_is_no_environment_of_ours_is_left_alone(machine: Machine) -> None:
    machine.has_python("python3", rank=0)
    machine.venv.mkdir()
    (machine.venv / "thesis.txt").write_text("three years")
    done = machine.runs("ensure_venv")
    assert done.returncode == 1
    assert str(machine.venv) in done.stderr
    assert (machine.venv / "thesis.txt").read_text() == "three years"
    assert machine.log() == ""


def test_the_second_installation_does_nothing(machine: Machine) -> None:
    installed(machine, "test")
    again = machine.runs("ensure_installed test")
    assert (again.returncode, again.stderr) == (0, "")
    assert machine.log().count("pip install") == 1


def test_fewer_extras_than_are_there_install_nothing(machine: Machine) -> None:
    installed(machine, "test", "speed")
    assert machine.runs("ensure_installed speed").returncode == 0
    assert machine.log().count("pip install") == 1


def test_more_extras_than_are_there_are_installed(machine: Machine) -> None:
    installed(machine)
    assert machine.runs("ensure_installed test").returncode == 0
    assert f"--editable {machine.root}[test]" in machine.log()


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed(machine: Machine, name: str) -> None:
    installed(machine)
    with (machine.root / name).open("a") as file:
        file.write("# changed\n")
    assert machine.runs("ensure_installed").returncode == 0
    assert machine.log().count("pip install") == 2


def test_a_failed_installation_shows_why_and_is_tried_again(machine: Machine) -> None:
    fake_environment(machine, "echo 'no network here'; exit 3")
    failed = machine.runs("ensure_installed")
    assert failed.returncode == 1
    assert "no network here" in failed.stderr
    fake_environment(machine, "exit 0")
    assert "Installing" in machine.runs("ensure_installed").stderr


def test_the_demo_ends_with_the_code_of_the_run_and_leaves_the_rest_to_its_words(
    machine: Machine,
) -> None:
    installed(machine)
    machine.has("orchestrator", 'echo "$*"; exit 3')
    (machine.venv / "bin" / "orchestrator").symlink_to(machine.bin / "orchestrator")
    done = machine.starts(str(machine.root / "scripts" / "demo"), "--limit", "2")
    assert done.returncode == 3
    assert done.stdout.startswith("run jobs.example.yaml --emulator --time-scale 60")
    assert done.stdout.endswith(" --limit 2\n")
    assert done.stderr.splitlines()[-1].startswith("The run ended with exit code 3; ")
    assert [line for line in done.stderr.splitlines() if line][:-1] == []


def test_the_demo_gets_along_without_any_video(machine: Machine) -> None:
    installed(machine)
    machine.has("orchestrator", "exit 2")
    (machine.venv / "bin" / "orchestrator").symlink_to(machine.bin / "orchestrator")
    done = machine.starts(str(machine.root / "scripts" / "demo"))
    assert done.returncode == 2
    assert "exit code 2" in done.stderr


def test_arguments_are_handed_to_pytest(machine: Machine) -> None:
    installed(machine, "test", "speed")
    done = machine.starts(str(machine.root / "scripts" / "test"), "tests/unit", "-k", "a and b")
    assert done.returncode == 0
    assert machine.log().endswith("-m pytest tests/unit -k a and b\n")


def test_every_check_is_run_and_named_when_the_first_fails(machine: Machine) -> None:
    installed(machine, "test", "speed")
    fake_environment(machine, 'case "$*" in *format*) echo unformatted; exit 1 ;; esac')
    done = machine.starts(str(machine.root / "scripts" / "check"))
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert "unformatted" in lines
    assert [line.split()[:2] for line in lines if line.startswith(("ok", "FAILED"))] == [
        ["FAILED", "format"],
        ["ok", "lint"],
        ["ok", "types"],
        ["ok", "layers"],
    ]


@pytest.mark.parametrize(("failing", "code"), [("mypy", 1), ("pytest", 1), ("nothing", 0)])
def test_ci_fails_when_checks_or_tests_do_and_the_tests_come_last(
    machine: Machine, failing: str, code: int
) -> None:
    installed(machine, "test", "speed")
    fake_environment(machine, f'echo "$*"; case "$*" in *"{failing}"*) exit 1 ;; esac')
    done = machine.starts(str(machine.root / ".ci" / "run"))
    assert done.returncode == code
    assert done.stdout.splitlines()[-1].startswith("-m pytest")


def installed(machine: Machine, *extras: str) -> None:
    """An environment into which the project was installed with these extras."""
    fake_environment(machine, f'echo "$*" >>"{machine.bin}/log"')
    done = machine.runs(f"ensure_installed {' '.join(extras)}")
    assert done.returncode == 0, done.stderr


def fake_environment(machine: Machine, pip: str) -> None:
    """A virtual environment whose `python -m ...` runs the bash text ``pip``."""
    python = machine.venv / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    bash = shutil.which("bash")
    python.write_text(f'#!{bash}\nif [ "$1" = -m ]; then\n{pip}\nfi\n')
    python.chmod(0o755)
