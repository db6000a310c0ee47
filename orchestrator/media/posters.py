"""Posters that were made once are kept in a folder. Everything here blocks: call it in a thread."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import MediaError
from orchestrator.media.poster import make_poster

_WORKERS = 2
_FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How much work new posters may be: so many (>= 0), and none is begun after ``most_s``."""

    fresh: int
    most_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Posters:
    """JPEGs by name; ``left_out``: how many videos were not looked at for lack of patience."""

    pictures: Mapping[str, bytes]
    left_out: int


class PosterShelf:
    """Posters in one folder, each under a name that its video alone has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(
        self, videos: Mapping[str, Path], patience: Patience, stop: threading.Event
    ) -> Posters:
        """A poster for every video, by the same names; kept ones at once, new ones with patience.

        A name (a task id, say) is never used as a file's name. A video of which no picture can be
        made is left out silently: a page is better off with a gap than not at all. ``stop`` ends
        the making of new ones early.
        """
        pictures = {name: kept for name in videos if (kept := self._kept(name)) is not None}
        missing = {name: video for name, video in videos.items() if name not in pictures}
        chosen = list(missing.items())[: patience.fresh]
        ends_at = time.monotonic() + patience.most_s

        def make(entry: tuple[str, Path]) -> bytes | None:
            if stop.is_set() or time.monotonic() > ends_at:
                return None
            return self._made(*entry)

        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="poster") as pool:
            made = list(pool.map(make, chosen))
        fresh = {name: jpeg for (name, _), jpeg in zip(chosen, made, strict=True) if jpeg}
        looked_at = sum(jpeg is not None for jpeg in made)
        return Posters(pictures=pictures | fresh, left_out=len(missing) - looked_at)

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.jpg"

    def _kept(self, name: str) -> bytes | None:
        try:
            return self._path(name).read_bytes() or None
        except OSError:  # not made yet, or not readable: it is made anew
            return None

    def _made(self, name: str, video: Path) -> bytes:
        """A new poster, kept; empty if the video gives none."""
        try:
            jpeg = make_poster(video)
        except MediaError:
            return b""
        with contextlib.suppress(OSError):  # a poster that cannot be kept is made again next time
            self._keep(self._path(name), jpeg)
        return jpeg

    def _keep(self, path: Path, jpeg: bytes) -> None:
        self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
        part.write_bytes(jpeg)
        part.replace(path)
