"""``orchestrator init``: from a folder of faces and voices, or a CSV, to a manifest."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import output, words
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything
from orchestrator.cli.options import Debug
from orchestrator.errors import UsageError
from orchestrator.starter import plain

EXAMPLES = """\b
Examples:
  orchestrator init media                  writes media/jobs.yaml
  orchestrator init rows.csv --batch spring
  orchestrator init media --output media/spring.yaml

The manifest is commented: read it, change what you like, then rehearse it."""

NAME = "jobs.yaml"
_NO_BATCH = re.compile(r"[^a-z0-9._-]+")

Source = Annotated[
    Path,
    typer.Argument(metavar="SOURCE", help="A folder of faces and voices, or a CSV of jobs."),
]
BatchName = Annotated[
    str | None,
    typer.Option("--batch", metavar="NAME", help="Name of the batch. Default: made from SOURCE."),
]
Target = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="The manifest to write; it must not exist. Default: jobs.yaml in the folder, or "
        "beside the CSV.",
    ),
]


@guarded
def init(
    source: Source, batch: BatchName = None, target: Target = None, debug: Debug = False
) -> int:
    """Write a commented manifest for a folder of faces and voices, or for a CSV."""
    from orchestrator.starter import starter_manifest

    log_everything(debug)
    path = _target(source, target)
    text = starter_manifest(source, batch or batch_name(source))
    _write_new(path, text)
    output.out([f"wrote {path}", "", *next_steps(path)])
    return 0


def next_steps(path: Path) -> list[str]:
    """What to type now."""
    steps = (
        (words.command("validate", path), "lists what is wrong in it, if anything is"),
        (words.command("run", path, "--emulator"), "a rehearsal, without an account"),
        (words.command("plan", path), "what the real run would do and cost"),
    )
    longest = max(len(command) for command, _ in steps)
    return [f"next      {command:<{longest}}  {why}" for command, why in steps]


def batch_name(source: Path) -> str:
    """A batch's name made from a folder's or file's: small letters, digits, ``.``, ``_``, ``-``."""
    whole = Path(os.path.abspath(source))  # noqa: PTH100 - keeps symlinks; "." has a name then
    stem = whole.stem if whole.is_file() else whole.name
    name = _NO_BATCH.sub("-", plain(stem).lower()).strip("._-")[:64]
    return name or "batch"


def _target(source: Path, target: Path | None) -> Path:
    """Where the manifest goes: into the folder that its paths start from.

    Raises:
        UsageError: there is no source, or the place is taken or a wrong one.
    """
    if not source.exists():
        raise UsageError(f"{source}: there is no such folder or file")
    home = source if source.is_dir() else source.parent
    path = home / NAME if target is None else target
    if os.path.realpath(path.parent) != os.path.realpath(home):
        raise UsageError(
            f"--output {path}: the paths in a manifest start from its own folder, so it must lie "
            f"in {home}; type --output {words.quoted(home / path.name)}"
        )
    if os.path.lexists(path):
        raise UsageError(f"{path} exists and is not overwritten; name another file with --output")
    return path


def _write_new(path: Path, text: str) -> None:
    """Write a file that was not there a moment ago."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{path} exists and is not overwritten; name another file with --output"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
