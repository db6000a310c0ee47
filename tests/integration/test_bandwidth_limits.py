"""A bandwidth is shared by all transfers of its kind, at real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

from client_raw_server import Exchange, replies, serving

from orchestrator.config import Proxies, Secret, VendorSettings
from orchestrator.core.limits import BURST_BYTES, Throttle
from orchestrator.engine.ports import Order
from orchestrator.media.download import Downloader
from orchestrator.model import ContentHash, Verify
from orchestrator.topview.client import TopViewClient

PER_S = 2_000_000.0
SIZE = 600_000
LEAST_S = (2 * SIZE - BURST_BYTES) / PER_S
"""Two transfers of SIZE bytes take at least so long."""


@dataclass(frozen=True)
class File:
    path: str
    size_bytes: int
    content_hash: ContentHash
    format: str = "mp4"


def file_of(path: Path) -> File:
    content = b"x" * SIZE
    path.write_bytes(content)
    return File(str(path), SIZE, ContentHash(hashlib.sha256(content).hexdigest()))


async def test_two_uploads_share_the_bandwidth(tmp_path: Path) -> None:
    settings = VendorSettings(base_url="http://api.invalid", uid="uid-1", api_key=Secret("key"))
    throttle = Throttle(PER_S, time.monotonic)
    file = file_of(tmp_path / "a.mp4")
    async with (
        serving(replies(b"")) as server,
        TopViewClient(settings, proxies=Proxies(), throttle=throttle) as client,
    ):
        before = time.monotonic()
        answers = await asyncio.gather(*(client.put(server.url + "/x", file) for _ in range(2)))
        took_s = time.monotonic() - before
    assert [answer.status for answer in answers] == [200, 200]
    assert took_s >= LEAST_S


async def test_two_downloads_share_the_bandwidth(tmp_path: Path) -> None:
    async def sends(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"
        exchange.writer.write(head.encode() + b"x" * SIZE)

    throttle = Throttle(PER_S, time.monotonic)
    orders = [
        Order(output=tmp_path / name, verify=Verify.LENGTH, keep_as=None, duration_s=None)
        for name in ("a.mp4", "b.mp4")
    ]
    async with (
        serving(sends) as server,
        Downloader(proxies=Proxies(), throttle=throttle) as downloader,
    ):
        before = time.monotonic()
        await asyncio.gather(*(downloader.fetch(server.url + "/v", order) for order in orders))
        took_s = time.monotonic() - before
    assert [order.output.stat().st_size for order in orders] == [SIZE, SIZE]
    assert took_s >= LEAST_S


async def test_waiting_for_the_own_bandwidth_is_no_idleness(tmp_path: Path) -> None:
    """SLOWEST_BYTES do not come within ``idle_s`` here, but that is our own wish."""
    size = 30_000

    async def sends(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"
        exchange.writer.write(head.encode() + b"x" * size)

    order = Order(output=tmp_path / "a.mp4", verify=Verify.LENGTH, keep_as=None, duration_s=None)
    async with (
        serving(sends) as server,
        Downloader(
            proxies=Proxies(), idle_s=0.05, throttle=_Slow(20_000.0, time.monotonic)
        ) as downloader,
    ):
        fetched = await downloader.fetch(server.url + "/v", order)
    assert fetched.size_bytes == size


class _Slow(Throttle):
    """Every piece waits 0.1 s."""

    def wait_s(self, size_bytes: int) -> float:
        return 0.1
