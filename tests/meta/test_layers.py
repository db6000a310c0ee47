"""Arrows go down only: who may import whom, the purity of the middle, and the quick start."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "orchestrator"

BOTTOM = {"model", "errors"}
VALUES = {"model", "errors", "config"}
MIDDLE = {"core", "manifest", *VALUES}
FACES = {"report", "engine.progress", *VALUES}
ROOMS = {"store", "topview", "media", "engine", "report", "emulator", *MIDDLE}

MAY_IMPORT: dict[str, set[str]] = {
    # A room is the first name under `orchestrator`; every room may import itself. A dotted name
    # allows that one module and nothing else of its room.
    "model": set(),
    "errors": {"model"},
    "config": BOTTOM,
    "core": BOTTOM,
    "manifest": BOTTOM,
    "store": MIDDLE,
    "topview": MIDDLE,
    "media": MIDDLE,
    "engine": {"core", "store.base", "topview.wire", "topview.catalog", *BOTTOM},
    "report": {"core", "store.base", *BOTTOM},
    "emulator": BOTTOM,
    # The application level: each of these composes rooms; `app` is the facade on top of them.
    "rehearsal": {"engine", "emulator", *MIDDLE},
    "wishes": {"store.base", *MIDDLE},
    "choice": BOTTOM,
    "planning": {"choice", "wishes", "store.base", "media", "report.views", *MIDDLE},
    "readings": {"planning", "wishes", "store.base", *MIDDLE},
    "starter": MIDDLE,
    "approval": {"report.views", *BOTTOM},
    "options": {"approval", "choice", "rehearsal", *BOTTOM},
    "saved": ROOMS,
    "account": ROOMS,
    "hearing": {"web.receiver", *ROOMS},
    "occupied": ROOMS,
    "outlook": {"wishes", *ROOMS},
    "session": {
        *("account", "approval", "choice", "hearing", "options", "planning", "results", "saved"),
        *("wishes", *ROOMS),
    },
    "operate": {"planning", *ROOMS},
    "catalogues": ROOMS,
    "doctor": {"planning", "catalogues", *ROOMS},
    "results": {"planning", "rehearsal", "saved", *ROOMS},
    "app": {
        *("approval", "choice", "occupied", "options", "outlook", "planning", "readings"),
        *("rehearsal", "session", "operate", "catalogues", *ROOMS),
    },
    # What a running engine tells its watchers is a module of values and Protocols.
    # What people are told about a manifest is sorted and summed up where it is found.
    "cli": {
        *("app", "approval", "catalogues", "doctor", "starter", "operate", "results", "session"),
        *("manifest.complaints", *FACES),
    },
    "web": {"app", *FACES},
    "__init__": {"app", "session", "rehearsal", *ROOMS},
    "__main__": {"cli"},
}

PURE = ("model.py", "errors.py", "core/*.py", "topview/wire.py", "engine/progress.py")
IMPURE_MODULES = {
    *("aiofiles", "aiohttp", "asyncio", "av", "concurrent", "glob", "http", "io", "logging"),
    *("multiprocessing", "os", "secrets", "select", "shutil", "signal", "socket", "sqlite3"),
    *("sqlite_utils", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request"),
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "breakpoint"}
IMPURE_METHODS = {
    *("cwd", "exists", "glob", "home", "is_dir", "is_file", "iterdir", "mkdir", "now", "open"),
    *("read_bytes", "read_text", "resolve", "rglob", "rmdir", "stat", "today", "touch", "unlink"),
    *("utcnow", "uuid1", "uuid4", "write_bytes", "write_text"),
}

GLOBAL_RANDOM = {
    *("SystemRandom", "betavariate", "choice", "choices", "expovariate", "gauss", "getrandbits"),
    *("normalvariate", "randbytes", "randint", "random", "randrange", "sample", "seed"),
    *("shuffle", "triangular", "uniform"),
}

HEAVY = {"aiohttp", "sqlite_utils", "pydantic", "yaml", "av", "apprise", "jinja2"}

Import = tuple[int, str]
"""A line number and a dotted name below `orchestrator` ("" is the package itself)."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Dotted name below the package: "core.state", "core" for its __init__, "__init__"."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def own_imports(tree: ast.AST, package: str) -> Iterator[Import]:
    """Imports of the project itself, wherever they stand in the module.

    ``package`` is the dotted package that relative imports start from.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name == "orchestrator" or name.startswith("orchestrator."):
                yield node.lineno, name.removeprefix("orchestrator").removeprefix(".")


def allowed(room: str, target: str) -> bool:
    permitted = {room, *MAY_IMPORT[room]}
    return any(target == name or target.startswith(name + ".") for name in permitted)


def violations(name: str, source: str, package: str) -> list[str]:
    room = name.split(".")[0]
    return [
        f"{name}:{line} imports {target or 'the package itself'}"
        for line, target in own_imports(ast.parse(source), package)
        if not allowed(room, target)
    ]


def package_of(path: Path) -> str:
    return ".".join(("orchestrator", *path.relative_to(PACKAGE).parts[:-1]))


def test_every_room_has_a_place_in_the_layer_table() -> None:
    rooms = {name_of(path).split(".")[0] for path in modules()}
    assert rooms <= MAY_IMPORT.keys()


def test_imports_go_down_only() -> None:
    found = [v for p in modules() for v in violations(name_of(p), p.read_text(), package_of(p))]
    assert found == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("core.plan", "from orchestrator.store.base import EngineStore"),
        ("core.plan", "def f():\n    import orchestrator.app"),
        ("core.plan", "from ..store import sqlite"),
        ("engine.runner", "from orchestrator.store.sqlite import Store"),
        ("engine.runner", "from orchestrator import media"),
        ("emulator.server", "from orchestrator.topview.wire import Query"),
        ("cli.run", "from orchestrator.store.sqlite import Store"),
        ("report.html", "import orchestrator"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_found(name: str, source: str) -> None:
    assert len(violations(name, source, "orchestrator." + name.split(".")[0])) == 1


def impurities(source: str) -> Iterator[str]:
    """What a pure module must not do, with its line."""
    for node in ast.walk(ast.parse(source)):
        for fault in filter(None, (_impure_syntax(node), _impure_call(node))):
            yield f"line {getattr(node, 'lineno', 0)}: {fault}"


def _impure_syntax(node: ast.AST) -> str | None:
    if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
        return "waits"
    if isinstance(node, ast.Import):
        return next((f"imports {a.name}" for a in node.names if _is_impure(a.name)), None)
    if isinstance(node, ast.ImportFrom) and not node.level:
        if _is_impure(node.module or ""):
            return f"imports {node.module}"
        if node.module == "random" and any(alias.name != "Random" for alias in node.names):
            return "uses the global random generator"
    return None


def _impure_call(node: ast.AST) -> str | None:
    match node:
        case ast.Attribute(value=ast.Name(id="random"), attr=name) if name in GLOBAL_RANDOM:
            return f"uses the global random generator: random.{name}"
        case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
            return f"calls {name}()"
        case ast.Call(func=ast.Attribute(attr=name)) if name in IMPURE_METHODS:
            return f"calls .{name}()"
    return None


def _is_impure(module: str) -> bool:
    return any(module == name or module.startswith(name + ".") for name in IMPURE_MODULES)


def test_the_middle_is_pure() -> None:
    paths = [path for pattern in PURE for path in sorted(PACKAGE.glob(pattern))]
    found = {name_of(path): faults for path in paths if (faults := [*impurities(path.read_text())])}
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "async def f(): pass",
        "import time",
        "from os import path",
        "def f(p):\n    return p.read_text()",
        "f = open('x')",
        "import random\nx = random.uniform(0, 1)",
        "from random import choice",
        "import datetime\nx = datetime.datetime.now()",
    ],
)
def test_an_impure_line_is_found(source: str) -> None:
    assert len([*impurities(source)]) >= 1


def test_a_generator_as_an_argument_is_pure() -> None:
    source = "import random\ndef f(r: random.Random) -> float:\n    return r.uniform(0, 1)"
    assert [*impurities(source)] == []


def loaded_by(code: str, watched: set[str]) -> list[str]:
    """Which of ``watched`` are imported after ``code`` has run in a fresh interpreter."""
    report = f"import sys; sys.stderr.write(repr(sorted({watched!r} & sys.modules.keys())))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = ast.literal_eval(done.stderr.splitlines()[-1])
    assert isinstance(loaded, list)
    return loaded


@pytest.mark.parametrize("module", ["orchestrator", "orchestrator.cli.main"])
def test_importing_the_faces_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}", HEAVY | {"rich", "aiofiles"}) == []


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from orchestrator.cli.main import main\n"
        "sys.argv = ['orchestrator', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
    )
    assert loaded_by(code, HEAVY) == []
