"""The frame around every handler: errors become one clear message and an exit code."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import typer

from orchestrator.cli import output, words
from orchestrator.cli.complain import advice, complaint_lines, tally
from orchestrator.errors import ManifestError, OrchestratorError
from orchestrator.manifest.complaints import in_order, to_json
from orchestrator.model import Complaint

P = ParamSpec("P")

INTERRUPTED = 130
_FIRST_THAT_APPLIES = (2, 9, 7, 8, 130, 143, 5, 6, 4, 3, 1)


def guarded(handler: Callable[P, int]) -> Callable[P, NoReturn]:
    """End the command with the handler's exit code, or with that of the error it raised."""

    @functools.wraps(handler)
    def call(*args: P.args, **kwargs: P.kwargs) -> NoReturn:
        as_json = kwargs.get("as_json") is True
        debug = kwargs.get("debug") is True
        manifest = kwargs.get("manifest")
        try:
            code = handler(*args, **kwargs)
        except KeyboardInterrupt:
            code = interrupted(INTERRUPTED, as_json=as_json)
        except Exception as error:  # noqa: BLE001 -- the last frame: nothing is above it
            path = manifest if isinstance(manifest, Path) else None
            code = report(error, as_json=as_json, debug=debug, manifest=path)
        raise typer.Exit(code)

    return call


def interrupted(code: int, *, as_json: bool) -> int:
    """A signal came before there was a result to show; with JSON say so on stdout."""
    if as_json:
        output.document({"error": {"code": code, "message": "interrupted", "complaints": []}})
    return code


def report(error: Exception, *, as_json: bool, debug: bool, manifest: Path | None = None) -> int:
    """Say what happened, on stderr and (with JSON) on stdout; return the exit code.

    ``manifest``: the one that the command is about, as it was typed.
    """
    known = expected(error)
    if debug:
        output.tell(["".join(traceback.format_exception(error)).rstrip()])
    output.tell_sentences(explain(known, manifest) if known else [_unexpected(error, debug)])
    code = known.exit_code if known else 1
    if as_json:
        output.document(error_document(code, known or error))
    return code


def expected(error: BaseException) -> OrchestratorError | None:
    """The error that we raised on purpose: this one, or the gravest one inside a group."""
    found = [e for e in _leaves(error) if isinstance(e, OrchestratorError)]
    return min(found, key=lambda e: _FIRST_THAT_APPLIES.index(e.exit_code), default=None)


def explain(error: OrchestratorError, manifest: Path | None = None) -> list[str]:
    """The lines for a person: every complaint by itself and how many, else the message."""
    if not isinstance(error, ManifestError) or not error.complaints:
        return [f"orchestrator: {error}"]
    found = error.complaints
    return [*complaint_lines(found, manifest), tally(found), *advice(found, manifest)]


def error_document(code: int, error: Exception) -> dict[str, Any]:
    """What ``--json`` puts on stdout instead of a result."""
    complaints: tuple[Complaint, ...] = ()
    message = str(error) or type(error).__name__
    if isinstance(error, ManifestError):
        complaints, message = in_order(error.complaints), tally(error.complaints)
    elif not isinstance(error, OrchestratorError):
        message = _sentence(error)
    rows = [to_json(c) for c in complaints]
    return {"error": {"code": code, "message": message, "complaints": rows}}


def _unexpected(error: Exception, debug: bool) -> str:
    advice = "" if debug else " Run again with --debug for the traceback."
    return f"orchestrator: unexpected error, a fault of this program: {_sentence(error)}{advice}"


def _sentence(error: BaseException) -> str:
    first = next(iter(_leaves(error)))
    text = words.one_line(str(first)).rstrip(".")
    return f"{type(first).__name__}: {text}." if text else f"{type(first).__name__}."


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
