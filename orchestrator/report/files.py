"""Files that people get: where a page goes, what is never written over, and the last rename."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from orchestrator.errors import UsageError
from orchestrator.store.base import BatchRow, JobRow


def place_of_page(batch: BatchRow, rows: Sequence[JobRow], home: Path) -> Path:
    """`report-BATCH.html` beside the folder that holds all videos of the batch.

    "Beside" as long as that is within ``home`` (the manifest's folder, for a rehearsal its
    `rehearsal`), else in the folder of the videos itself.
    """
    wanted = [row.output for row in rows if not row.orphan] or [row.output for row in rows]
    folders = {Path(output).parent for output in wanted}
    common = Path(os.path.commonpath(folders)) if folders else home
    if common == Path(common.anchor):
        common = home
    folder = common.parent if common.parent.is_relative_to(home) else common
    return folder / f"report-{batch.name}.html"


def may_replace(path: Path, mark: str) -> None:
    """Refuse a target that holds something else than a file of this program (with ``mark``).

    Raises:
        UsageError: it does.
    """
    if not path.exists():
        return
    with explained(path), path.open("rb") as file:
        if mark.encode() not in file.read(1024):
            raise UsageError(
                f"{path} is there and is no report of this program, so it is not replaced; "
                "name another file with --output"
            )


def spare(path: Path, batch: BatchRow, rows: Sequence[JobRow], database: Path) -> None:
    """Refuse to write over what belongs to the batch.

    Raises:
        UsageError: the path is a video's, the manifest's, or the state store's.
    """
    text = str(path)
    if path == batch.manifest:
        whose = "the manifest"
    elif text.startswith(str(database)):
        whose = "the state store"
    elif any(row.output == text for row in rows):
        whose = "the place of a video"
    else:
        return
    raise UsageError(f"{path} is {whose} and is not written over; name another file with --output")


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file that gets its name when all of it is on disk.

    Raises:
        UsageError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with explained(path):
        try:
            with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the system's refusals into words.

    Raises:
        UsageError: a file or folder cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UsageError(
            f"{path} cannot be written ({why}); name another file with --output"
        ) from error
