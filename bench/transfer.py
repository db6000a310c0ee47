"""A large file up and down against `curl`, to and from the same emulator, and the memory it takes.

    python -m bench.transfer [--mb 512] [--rounds 3]

Uploads go through ``topview.client`` (hashed while they are sent), downloads through
``media.download`` (with ``verify: length``, fsync and the final name). The best of the rounds
counts, taken in turn. Downloads come from a static server of ours, since the emulator's videos
are small; both sides read from the same one.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from bench.common import Row, child, emulator, report, say, scratch

MB = 1_000_000
TARGET = 0.8
CONSTANT_MB = 40.0
"""Memory that a transfer may add, however large the file is: buffers, and nothing that grows."""


def make_file(path: Path, size_bytes: int) -> str:
    """A file that opens like an MP4, and its SHA-256."""
    block = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 4095
    digest, left = hashlib.sha256(), size_bytes
    with path.open("wb") as file:
        while left > 0:
            piece = block[:left]
            file.write(piece)
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def credential(env: Mapping[str, str]) -> str:
    """A presigned address for one upload."""
    request = urllib.request.Request(
        f"{env['TOPVIEW_BASE_URL']}/v1/upload/credential?format=mp4",
        headers={
            "Topview-Uid": env["TOPVIEW_UID"],
            "Authorization": f"Bearer {env['TOPVIEW_API_KEY']}",
        },
    )
    with urllib.request.urlopen(request) as reply:
        return str(json.load(reply)["result"]["uploadUrl"])


def curl(*arguments: str) -> float:
    """Seconds that curl says it took."""
    done = subprocess.run(
        ["curl", "--silent", "--fail", "--write-out", "\n%{time_total}", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])


def ours(what: str, url: str, path: Path, digest: str = "") -> dict[str, float]:
    """Seconds and added memory in bytes of our own transfer, in a process of its own."""
    return child("bench.transfer", what, "--url", url, "--path", str(path), "--digest", digest)


async def upload(url: str, path: Path, digest: str) -> None:
    """Send the file once."""
    from orchestrator.config import Proxies, Secret, VendorSettings
    from orchestrator.engine.ports import Source
    from orchestrator.model import ContentHash
    from orchestrator.topview.client import TopViewClient

    settings = VendorSettings(base_url="http://127.0.0.1", uid="bench", api_key=Secret("bench"))
    source = Source(
        path=str(path),
        size_bytes=path.stat().st_size,
        content_hash=ContentHash(digest),
        format="mp4",
    )
    async with TopViewClient(settings, proxies=Proxies()) as client:
        answer = await client.put(url, source)
    if answer.status != 200:
        raise SystemExit(f"the upload came to {answer}")


async def download(url: str, path: Path) -> None:
    """Fetch the file once."""
    from orchestrator.config import Proxies
    from orchestrator.engine.ports import Order
    from orchestrator.media.download import Downloader
    from orchestrator.model import Verify

    order = Order(output=path, verify=Verify.LENGTH, keep_as=None, duration_s=None)
    async with Downloader(proxies=Proxies()) as downloader:
        await downloader.fetch(url, order)


def once(what: str, url: str, path: Path, digest: str) -> None:
    """One transfer of this process; its last line is the result."""
    peak = _peak_bytes()
    began = time.perf_counter()
    asyncio.run(upload(url, path, digest) if what == "upload" else download(url, path))
    took_s = time.perf_counter() - began
    print(json.dumps({"seconds": took_s, "added_bytes": _peak_bytes() - peak}))


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@asynccontextmanager
async def static(folder: Path) -> AsyncIterator[str]:
    """A server of the folder's files."""
    application = web.Application()
    application.router.add_static("/", folder)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def compared(what: str, curl_s: float, results: Sequence[Mapping[str, float]], size: int) -> Row:
    """Our best against curl's best."""
    best = min(result["seconds"] for result in results)
    added = max(result["added_bytes"] for result in results) / MB
    ratio = curl_s / best
    return Row(
        what=f"{what} of a file of {size / MB:,.0f} MB against curl",
        target=f">= {TARGET:g} of its speed, memory constant",
        measured=f"{ratio:.2f}, {added:.0f} MB added",
        how=f"{size / MB / best:.0f} MB/s against {size / MB / curl_s:.0f} MB/s",
        met=ratio >= TARGET and added <= CONSTANT_MB,
    )


def measure_uploads(path: Path, digest: str, env: Mapping[str, str], rounds: int) -> Row:
    """PUTs to the emulator's object store, in turn."""
    theirs, mine = [], []
    for _ in range(rounds):
        theirs.append(curl("--upload-file", str(path), credential(env)))
        mine.append(ours("upload", credential(env), path, digest))
    return compared("Upload", min(theirs), mine, path.stat().st_size)


async def measure_downloads(path: Path, rounds: int) -> Row:
    """GETs from a static server, in turn."""
    theirs, mine = [], []
    target = path.with_name("out.mp4")
    async with static(path.parent) as address:
        url = f"{address}/{path.name}"
        for _ in range(rounds):
            theirs.append(await asyncio.to_thread(curl, "--output", str(target), url))
            target.unlink()
            mine.append(await asyncio.to_thread(ours, "download", url, target))
            target.unlink()
    return compared("Download", min(theirs), mine, path.stat().st_size)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    args = _arguments(argv)
    if args.what is not None:
        once(args.what, args.url, args.path, args.digest)
        return
    with scratch() as folder:
        path = folder / "large.mp4"
        digest = make_file(path, args.mb * MB)
        say(f"uploads of {args.mb} MB")
        with emulator(folder / "vendor") as vendor:
            rows = [measure_uploads(path, digest, vendor.env, args.rounds)]
        say("downloads")
        rows.append(asyncio.run(measure_downloads(path, args.rounds)))
    report(rows)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["upload", "download"], help=argparse.SUPPRESS)
    parser.add_argument("--mb", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, default=Path(), help=argparse.SUPPRESS)
    parser.add_argument("--digest", default="", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
