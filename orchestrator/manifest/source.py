"""The bytes of a manifest (or of a text file that it names) to text, with complaints."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from orchestrator.manifest.nodes import Spot

MAX_BYTES = 256 * 1024 * 1024
"""A larger manifest is a mistake (a video, a device), not a manifest."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UTF16_OR_32 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_SAVE_AS_UTF8 = 'save the file as UTF-8 (without "BOM")'


class Unreadable(Exception):
    """The file gives no text at all; ``problem`` and ``remedy`` read like a complaint's."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(f"{problem}; {remedy}")


def read_bytes(path: Path, what: str, max_bytes: int = MAX_BYTES) -> bytes:
    """The whole file; ``what`` names it in complaints ("manifest").

    Raises:
        Unreadable: no such file, a folder, no permission, larger than ``max_bytes``.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise Unreadable(f"there is no such {what}", "check the path") from None
    except IsADirectoryError:
        raise Unreadable(f"this is a folder, not a {what}", "name a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        words = getattr(error, "strerror", None) or str(error)
        remedy = "check the path and its permissions"
        raise Unreadable(f"the {what} cannot be read: {words}", remedy) from error
    if len(data) > max_bytes:
        problem = f"this is larger than {max_bytes // 1024**2} MiB and surely not a {what}"
        raise Unreadable(problem, "check the path")
    return data


def decode(data: bytes, findings: list[tuple[Spot, str, str]]) -> str:
    """``data`` as text in which only characters remain that YAML allows.

    What had to be replaced is added to ``findings`` as (spot, problem, remedy), so that reading
    can go on and find the rest.

    Raises:
        Unreadable: this is UTF-16 or UTF-32, of which nothing would remain.
    """
    if data.startswith(_UTF16_OR_32):
        raise Unreadable("the file is UTF-16 or UTF-32, not UTF-8", _SAVE_AS_UTF8)
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
        findings.append(((1, 1), "the file begins with a byte order mark", _SAVE_AS_UTF8))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        spot = spot_at(data[: error.start].decode("utf-8"))
        problem = f"the file is not UTF-8: byte 0x{data[error.start]:02x} fits no character"
        findings.append((spot, problem, _SAVE_AS_UTF8))
        text = data.decode("utf-8", errors="replace")
    bad = _FORBIDDEN.search(text)
    if bad is None:
        return text
    problem = f"the control character U+{ord(bad[0]):04X} is not allowed"
    findings.append((spot_at(text[: bad.start()]), problem, "remove it"))
    return _FORBIDDEN.sub("\ufffd", text)


def spot_at(before: str) -> Spot:
    """Line and column of what follows ``before``."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def tab_above(data: bytes | str, line: int) -> Spot | None:
    """The first tab that indents ``line`` (from 1), or the line above it; None: there is none."""
    text = data.decode("utf-8", errors="replace") if isinstance(data, bytes) else data
    for number, written in enumerate(text.split("\n")[max(0, line - 2) : line], max(1, line - 1)):
        front = written[: len(written) - len(written.lstrip(" \t"))]
        if "\t" in front and written.strip():
            return number, front.index("\t") + 1
    return None
