"""Words that do not belong into files that others will read, and files that hold no words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Put together from pieces, so that this file does not hold what it looks for.
REGISTRIES = [
    host.replace("-dot-", ".")
    for host in (
        *("pypi-dot-org", "pythonhosted-dot-org", "registry-dot-npmjs", "npmjs-dot-com"),
        *("deb-dot-debian-dot-org", "archive-dot-ubuntu-dot-com", "proxy-dot-golang-dot-org"),
        *("index-dot-crates-dot-io", "conda-dot-anaconda-dot-org"),
    )
]
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:work|root|opt/\w+|home/\w+|Users/\w+)/")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is in git or would be added by `git add .`."""
    done = subprocess.run(
        [
            "git",
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in done.stdout.split("\0") if name)
    return tuple(sorted({path for path in paths if path.is_file()}))


def lines() -> Iterator[tuple[str, str]]:
    """Place ("file:line") and text of every line of every text file."""
    for path in tracked():
        if is_binary(path):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def is_binary(path: Path) -> bool:
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return b"\0" in data


def test_no_file_names_a_package_registry() -> None:
    assert [place for place, line in lines() if any(host in line for host in REGISTRIES)] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [(place, line) for place, line in lines() if MACHINE_PATH.search(line)] == []


def test_nothing_in_the_package_is_left_for_later() -> None:
    places = [p for p, line in lines() if p.startswith("orchestrator/") and UNFINISHED.search(line)]
    assert places == []


def test_every_file_is_text_or_an_example() -> None:
    binary = [path.relative_to(ROOT) for path in tracked() if is_binary(path)]
    assert [path for path in binary if path.parts[:2] != ("examples", "media")] == []


def test_text_ends_with_a_newline_and_has_unix_line_ends() -> None:
    texts = [(path, path.read_bytes()) for path in tracked() if not is_binary(path)]
    untidy = [path for path, data in texts if b"\r" in data or (data and not data.endswith(b"\n"))]
    assert [path.relative_to(ROOT) for path in untidy] == []
