"""What is written where: results on stdout, words on stderr, nothing torn by a closed pipe."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from orchestrator.cli import words


def out(lines: Iterable[str]) -> None:
    """Write result lines to stdout."""
    _write(sys.stdout, "".join(f"{line}\n" for line in lines))


def tell(lines: Iterable[str]) -> None:
    """Write words for people to stderr."""
    _write(sys.stderr, "".join(f"{line}\n" for line in lines))


def out_sentences(sentences: Iterable[str]) -> None:
    """Write sentences to stdout: whole, or on a terminal broken between words."""
    out(_broken(sentences, width()))


def tell_sentences(sentences: Iterable[str]) -> None:
    """Write sentences to stderr: whole, or on a terminal broken between words."""
    tell(_broken(sentences, width(sys.stderr)))


def _broken(sentences: Iterable[str], columns: int | None) -> Iterable[str]:
    lines = (line for text in sentences for line in text.split("\n"))
    return (part for line in lines for part in words.wrapped(line, "  ", columns))


def document(value: Any) -> None:
    """Write one JSON document to stdout."""
    _write(sys.stdout, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal that ``stream`` (default: stdout) is, None if it is none."""
    if not (stream or sys.stdout).isatty():
        return None
    return shutil.get_terminal_size((80, 24)).columns


def forgiving() -> None:
    """Let a character that the stream cannot encode be written as an escape, not end the run."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _write(stream: TextIO, text: str) -> None:
    """A reader that has gone (``| head``, a closed terminal) is no error of ours."""
    # Not the stand-in that a live view puts here: that one draws, and takes all of a text.
    raw = stream.buffer if isinstance(stream, io.TextIOWrapper) else None
    try:
        if isinstance(raw, io.RawIOBase):
            stream.flush()
            _write_raw(raw, text.encode(stream.encoding, stream.errors or "strict"))
        else:
            stream.write(text)
            stream.flush()
    except OSError:
        _mute(stream)


def _write_raw(raw: io.RawIOBase, data: bytes) -> None:
    """All of it: an unbuffered stream (PYTHONUNBUFFERED) may take a part and say nothing."""
    left = memoryview(data)
    while left:
        left = left[raw.write(left) or 0 :]


def _mute(stream: TextIO) -> None:
    """Lead the stream to nowhere, so that its last flush at exit is silent too."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
