"""What the engine's stages need of the world besides the store: narrow Protocols by role."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.model import Answer, ContentHash, FileId, TaskId, Verify


class Clock(Protocol):
    """The one reader of the clock and the one sleeper."""

    def wall(self) -> float:
        """Unix seconds."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` (<= 0: after giving others a turn)."""

    def alarm(self, seconds: float, ring: Callable[[], None]) -> Callable[[], None]:
        """Call ``ring`` after ``seconds``; the returned function takes the alarm back."""


class Vendor(Protocol):
    """The vendor's API, one method a call. None of them raises for what the network does:

    every fate of a call is an :class:`Answer`. Only cancellation passes through.
    """

    async def credit_detail(self) -> Answer:
        """GET /user/credit/detail; ``result`` holds nothing but ``remainCredit``."""

    async def credential(self, format: str) -> Answer:
        """GET /v1/upload/credential for one file of this format."""

    async def check(self, file_id: FileId) -> Answer:
        """GET /v1/upload/check."""

    async def submit(self, body: Mapping[str, Any]) -> Answer:
        """POST /v1/video_avatar/task/submit. Costs money. Sent once, never repeated."""

    async def query(self, task_id: TaskId) -> Answer:
        """GET /v1/video_avatar/task/query."""

    async def credit_logs(
        self, task_type: str | None, start: float, end: float, page_no: int = 1
    ) -> Answer:
        """GET /user/credit/logs, one page; times in Unix seconds on the vendor's clock.
        ``result`` holds no keys."""

    async def put(self, url: str, source: Source) -> Answer:
        """PUT a local file to a presigned URL. Any 2xx: ``status`` says so.

        Raises:
            FileChanged: size or content are not those of ``source``; the object must not be used.
            MediaError: the file cannot be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A local file to upload: what it was when it was planned."""

    path: str
    size_bytes: int
    content_hash: ContentHash
    format: str


class Fetched(Protocol):
    """A finished video under its final name."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""

    @property
    def duration_s(self) -> float | None:
        """Seconds it lasts, None if it was not looked into."""

    @property
    def kept(self) -> Path | None:
        """Where an older file of that name was moved to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A download to make.

    ``keep_as``: an existing file at ``output`` with other bytes is renamed to this first; None
    means that it may be replaced. ``duration_s``: the expected length, None if unknown.
    """

    output: Path
    verify: Verify
    keep_as: Path | None
    duration_s: float | None


class Fetcher(Protocol):
    """Brings finished videos home."""

    async def fetch(self, url: str, order: Order) -> Fetched:
        """Download to ``.part`` (resuming one), verify, fsync, rename.

        Raises:
            DownloadError: see there for what the caller should do.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All that the engine touches of the world.

    ``token``: makes an unguessable token for each attempt. ``boot_id``: the machine's boot, within
    which monotonic times may be compared between processes. ``neighbours``: the limits of the
    account's other live runs on this machine.
    """

    clock: Clock
    vendor: Vendor
    fetcher: Fetcher
    random: random.Random
    token: Callable[[], str]
    boot_id: str
    neighbours: Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]
