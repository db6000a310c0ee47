"""Uploaded files: the ids that were given out, and the contents that were put under them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.emulator.store import Statement, insert, update
from orchestrator.emulator.video import Facts


@dataclass(slots=True, kw_only=True)
class Upload:
    """A file id. ``sha256`` is None until something was put there.

    ``checked``: an upload check has said true. ``unchecked_use``: it was used by a submit before
    that.
    """

    file_id: str
    uid: str
    format: str
    created_at: float
    target: str
    expires_at: float
    sha256: str | None = None
    puts: int = 0
    checked: bool = False
    unchecked_use: bool = False


@dataclass(slots=True, kw_only=True)
class Content:
    """Bytes that were uploaded at least once. ``puts`` counts how often."""

    sha256: str
    md5: str
    size: int
    facts: Facts
    puts: int = 0


class Shelf:
    """All uploads and contents of every account. ``folder`` holds the contents by hash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.uploads: dict[str, Upload] = {}
        self.contents: dict[str, Content] = {}

    def load(self, files: Iterable[sqlite3.Row], contents: Iterable[sqlite3.Row]) -> None:
        """Put back what was on disk."""
        for row in files:
            upload = Upload(**dict(row))
            upload.checked, upload.unchecked_use = bool(row["checked"]), bool(row["unchecked_use"])
            self.uploads[upload.file_id] = upload
        for row in contents:
            self.contents[row["sha256"]] = _content(row)

    def path(self, sha256: str) -> Path:
        """Where the content lies."""
        return self._folder / sha256

    def content_of(self, file_id: str) -> Content | None:
        """What was put under the id; None if nothing was, or the id is unknown."""
        upload = self.uploads.get(file_id)
        if upload is None or upload.sha256 is None:
            return None
        return self.contents[upload.sha256]

    def add(self, upload: Upload) -> Statement:
        """A new file id."""
        self.uploads[upload.file_id] = upload
        return insert(
            "files",
            file_id=upload.file_id,
            uid=upload.uid,
            format=upload.format,
            created_at=upload.created_at,
            target=upload.target,
            expires_at=upload.expires_at,
        )

    def put(self, upload: Upload, content: Content) -> tuple[Statement, ...]:
        """Content has arrived under an id; it replaces what was there."""
        known = self.contents.setdefault(content.sha256, content)
        known.puts += 1
        upload.sha256, upload.puts = known.sha256, upload.puts + 1
        facts = known.facts
        return (
            insert(
                "contents",
                sha256=known.sha256,
                md5=known.md5,
                size=known.size,
                kind=facts.kind,
                has_video=facts.has_video,
                has_audio=facts.has_audio,
                duration_s=facts.duration_s,
                puts=known.puts,
            ),
            update("files", "file_id", upload.file_id, sha256=upload.sha256, puts=upload.puts),
        )

    def check(self, upload: Upload) -> tuple[Statement, ...]:
        """An upload check says true."""
        if upload.checked:
            return ()
        upload.checked = True
        return (update("files", "file_id", upload.file_id, checked=1),)

    def use(self, file_id: str) -> tuple[Statement, ...]:
        """A submit uses the file."""
        upload = self.uploads.get(file_id)
        if upload is None or upload.checked or upload.unchecked_use:
            return ()
        upload.unchecked_use = True
        return (update("files", "file_id", file_id, unchecked_use=1),)


def _content(row: sqlite3.Row) -> Content:
    facts = Facts(
        kind=row["kind"],
        has_video=bool(row["has_video"]),
        has_audio=bool(row["has_audio"]),
        duration_s=row["duration_s"],
    )
    return Content(
        sha256=row["sha256"], md5=row["md5"], size=row["size"], facts=facts, puts=row["puts"]
    )
