"""The grain of the code: small functions, modules that can be read in one sitting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "orchestrator"

LONGEST_FUNCTION = 50
LONGEST_MODULE = 500
MEDIAN_FUNCTION = 12
NINTH_DECILE = 30


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines (docstring and signature included) of every function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            where = f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
            yield where, node.end_lineno - node.lineno + 1


def all_functions() -> list[tuple[str, int]]:
    return [found for path in sorted(PACKAGE.rglob("*.py")) for found in functions(path)]


def test_no_function_is_longer_than_fifty_lines() -> None:
    assert [found for found in all_functions() if found[1] > LONGEST_FUNCTION] == []


def test_no_module_is_longer_than_five_hundred_lines() -> None:
    lengths = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_most_functions_are_small(capsys: pytest.CaptureFixture[str]) -> None:
    lengths = [length for _, length in all_functions()]
    middle, ninth = median(lengths), quantiles(lengths, n=10)[-1]
    with capsys.disabled():
        print(f"\n{len(lengths)} functions: median {middle:g} lines, nine in ten up to {ninth:g}")
    assert middle <= MEDIAN_FUNCTION
    assert ninth <= NINTH_DECILE
