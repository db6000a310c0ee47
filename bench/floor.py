"""The floor: bare asyncio and aiohttp make the calls of a job, and remember nothing.

    python -m bench.floor FOLDER --jobs 1000 --in-flight 50 [--durable]

For each sound file in FOLDER: credential, PUT, check, submit, query until there is a video,
download to a file. No state, no limits, no checks, no retries: whatever a tool does beyond this
is what it costs. Prints JSON: CPU seconds of the process, and seconds that passed.

``--durable`` is for comparison: the same calls, with a row on disk after each of five steps, a hash
of each sound file, each video on disk under its name before its last row, and a connection of its
own for each submit. That is the least that a tool pays which never loses or repeats anything.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import yarl

from bench.common import cpu_s, loop_factory


class Notebook:
    """What was done, a row a step, on disk before anything follows."""

    def __init__(self, path: Path) -> None:
        self._conn = sqlite3.connect(path, isolation_level=None)
        self._conn.execute("PRAGMA journal_mode = WAL")
        self._conn.execute("PRAGMA synchronous = FULL")
        self._conn.execute("CREATE TABLE steps (job TEXT, step TEXT, word TEXT)")

    def note(self, job: str, step: str, word: str = "") -> None:
        """Write down a step."""
        self._conn.execute("INSERT INTO steps VALUES (?, ?, ?)", (job, step, word))


def settle(part: Path, output: Path) -> None:
    """Give a video its name, so that it survives a power cut from then on. Blocks."""
    for path in (part, part.parent):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
        if path == part:
            part.replace(output)


class Floor:
    """The calls of one job, one after the other."""

    def __init__(self, session: aiohttp.ClientSession, env: dict[str, str], poll_s: float) -> None:
        self._session, self._base, self._poll_s = session, env["TOPVIEW_BASE_URL"], poll_s
        self._headers = {
            "Topview-Uid": env["TOPVIEW_UID"],
            "Authorization": f"Bearer {env['TOPVIEW_API_KEY']}",
        }

    async def job(self, source: Path, output: Path) -> None:
        """Make one video."""
        file_id = await self.upload(source)
        task_id = await self.submit(file_id)
        await self.download(await self.wait(task_id), output)

    async def submit(self, file_id: str) -> str:
        """Ask for a video that speaks an uploaded file; returns the task's id."""
        body = {
            "avatarSourceFrom": "1",
            "aiAvatarId": "3327",
            "audioSourceFrom": "0",
            "audioFileId": file_id,
            "modeType": "0",
        }
        task = await self._call("POST", "/v1/video_avatar/task/submit", json=body)
        return str(task["taskId"])

    async def wait(self, task_id: str) -> str:
        """Ask every ``poll_s`` until the task has a video; returns its link."""
        while True:
            params = {"taskId": task_id}
            found = await self._call("GET", "/v1/video_avatar/task/query", params=params)
            if found["outputVideoUrl"]:
                return str(found["outputVideoUrl"])
            await asyncio.sleep(self._poll_s)

    async def upload(self, source: Path) -> str:
        """Bring one file to the vendor; returns its file id."""
        params = {"format": source.suffix[1:]}
        right = await self._call("GET", "/v1/upload/credential", params=params)
        url = yarl.URL(right["uploadUrl"], encoded=True)
        async with self._session.put(url, data=source.read_bytes()) as reply:
            reply.raise_for_status()
        await self._call("GET", "/v1/upload/check", params={"fileId": right["fileId"]})
        return str(right["fileId"])

    async def download(self, link: str, output: Path) -> None:
        """Bring a video home."""
        async with self._session.get(yarl.URL(link, encoded=True)) as reply:
            reply.raise_for_status()
            with output.open("wb") as file:
                async for chunk in reply.content.iter_any():
                    file.write(chunk)

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        url = self._base + path
        async with self._session.request(method, url, headers=self._headers, **more) as reply:
            envelope = await reply.json()
        if envelope["code"] != "200":
            raise RuntimeError(f"{path}: {envelope}")
        return envelope["result"]


class DurableFloor:
    """The same calls, and a record from which a killed process could go on. ``paid`` makes the
    submits, on connections of their own."""

    def __init__(self, floor: Floor, paid: Floor, book: Notebook) -> None:
        self._floor, self._paid, self._book = floor, paid, book

    async def job(self, source: Path, output: Path) -> None:
        """Make one video, and keep on disk how far it is."""
        name, part, note = source.stem, output.with_suffix(".part"), self._book.note
        hashlib.sha256(source.read_bytes()).hexdigest()
        file_id = await self._floor.upload(source)
        note(name, "ready", file_id)
        note(name, "submitting")
        task_id = await self._paid.submit(file_id)
        note(name, "submitted", task_id)
        link = await self._floor.wait(task_id)
        note(name, "rendered")
        await self._floor.download(link, part)
        await asyncio.to_thread(settle, part, output)
        note(name, "done")


async def run(folder: Path, env: dict[str, str], args: argparse.Namespace) -> None:
    """Make the first ``args.jobs`` videos, ``args.in_flight`` at a time."""
    sources = iter(sorted(folder.glob("*.wav"))[: args.jobs])
    outputs = folder / "floor"
    outputs.mkdir(exist_ok=True)
    async with (
        aiohttp.ClientSession() as session,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as single,
    ):
        floor = Floor(session, env, args.poll_s)
        worker: Floor | DurableFloor = floor
        if args.durable:
            book = Notebook(outputs / "steps.db")
            worker = DurableFloor(floor, Floor(single, env, args.poll_s), book)
        hands = (_hand(worker, sources, outputs) for _ in range(args.in_flight))
        await asyncio.gather(*hands)


async def _hand(floor: Floor | DurableFloor, sources: Iterator[Path], outputs: Path) -> None:
    for source in sources:
        await floor.job(source, outputs / f"{source.stem}.mp4")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=50)
    parser.add_argument("--poll-s", type=float, default=0.1)
    parser.add_argument("--durable", action="store_true")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    args = parser.parse_args()
    began = time.perf_counter()
    with asyncio.Runner(loop_factory=loop_factory(args.loop)) as runner:
        runner.run(run(args.folder, dict(os.environ), args))
    print(json.dumps({"cpu_s": cpu_s(), "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
