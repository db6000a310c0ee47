"""Help for tests that talk to the emulator: small media, a plain client, a process of its own."""

from __future__ import annotations

import asyncio
import io
import json
import os
import select
import signal
import subprocess
import sys
import time
import wave
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from math import pi, sin
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

import aiohttp
import av
from yarl import URL

from orchestrator.emulator.audit import Audit
from orchestrator.emulator.catalog import DEFAULT_VOICE
from orchestrator.emulator.config import EmulatorConfig
from orchestrator.emulator.faults import Fault, Faults
from orchestrator.emulator.picture import card, png
from orchestrator.emulator.server import Emulator

SUBMIT = "/v1/video_avatar/task/submit"
QUERY = "/v1/video_avatar/task/query"
HEADERS = {"Topview-Uid": "some-uid", "Authorization": "Bearer some-key"}
TTS_BODY = {
    "avatarSourceFrom": "1",
    "aiAvatarId": "3327",
    "audioSourceFrom": "1",
    "ttsText": "Hello there.",
    "voiceoverId": DEFAULT_VOICE,
    "modeType": "0",
}


def make_wav(seconds: float = 1.0, pitch: float = 330.0) -> bytes:
    """A tone as a WAV file."""
    rate = 16_000
    samples = array("h", (round(9000 * sin(2 * pi * pitch * n / rate)) for n in range(rate)))
    whole = samples * (int(seconds) + 1)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(whole[: round(seconds * rate)].tobytes())
    return out.getvalue()


def make_png(label: str = "anna") -> bytes:
    """A picture that differs by label."""
    return png(card(label))


def make_mp4(grey: int = 120, *, width: int = 160, height: int = 120) -> bytes:
    """One second of a plain grey video without sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame(width, height, "yuv420p")
            for number, plane in enumerate(frame.planes):
                plane.update(bytes([128 if number else grey]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def duration_s(data: bytes) -> float:
    """How long a media file lasts by its container."""
    with av.open(io.BytesIO(data), "r") as container:
        assert container.duration is not None
        return container.duration / av.time_base


class Client:
    """Calls of the API without any cleverness: no retry, no judgement."""

    def __init__(self, base_url: str, headers: Mapping[str, str] = HEADERS) -> None:
        self.base_url = base_url
        self.headers = dict(headers)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.session.close()

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """The envelope of a GET."""
        url = self.base_url + path
        async with self.session.get(url, params=query, headers=self.headers) as reply:
            envelope: dict[str, Any] = await reply.json()
            return envelope

    async def post(self, path: str, body: Any) -> dict[str, Any]:
        """The envelope of a POST."""
        url = self.base_url + path
        async with self.session.post(url, json=body, headers=self.headers) as reply:
            envelope: dict[str, Any] = await reply.json()
            return envelope

    async def submit(self, **changes: Any) -> dict[str, Any]:
        """Submit ``TTS_BODY`` with these fields changed; None leaves a field out."""
        body = {k: v for k, v in {**TTS_BODY, **changes}.items() if v is not None}
        return await self.post(SUBMIT, body)

    async def task(self, **changes: Any) -> str:
        """The id of a task that is accepted."""
        envelope = await self.submit(**changes)
        assert envelope["code"] == "200", envelope
        task_id: str = envelope["result"]["taskId"]
        return task_id

    async def query(self, task_id: str, **more: str) -> dict[str, Any]:
        """The result of a query."""
        envelope = await self.get(QUERY, taskId=task_id, **more)
        assert envelope["code"] == "200", envelope
        result: dict[str, Any] = envelope["result"]
        return result

    async def finished(self, task_id: str, patience_s: float = 10.0) -> dict[str, Any]:
        """Ask until the task has ended."""
        async with asyncio.timeout(patience_s):
            while True:
                result = await self.query(task_id)
                if result["status"] not in {"init", "running"}:
                    return result
                await asyncio.sleep(0.01)

    async def credential(self, format: str) -> dict[str, Any]:
        """The result of a credential call."""
        result: dict[str, Any] = (await self.get("/v1/upload/credential", format=format))["result"]
        return result

    async def put(self, url: str, data: Any, **headers: str) -> tuple[int, str, str]:
        """PUT to an address byte for byte: status, body, ETag."""
        exact = URL(url, encoded=True)
        async with self.session.put(exact, data=data, headers=headers) as reply:
            return reply.status, await reply.text(), reply.headers.get("ETag", "")

    async def upload(self, data: bytes, format: str) -> str:
        """The id of a file that was put and checked."""
        given = await self.credential(format)
        status, text, _ = await self.put(given["uploadUrl"], data)
        assert status == 200, text
        assert (await self.get("/v1/upload/check", fileId=given["fileId"]))["result"] is True
        file_id: str = given["fileId"]
        return file_id

    async def fetch(self, url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """GET an address byte for byte: status, body, headers."""
        async with self.session.get(URL(url, encoded=True), headers=headers) as reply:
            return reply.status, await reply.read(), dict(reply.headers)


async def eventually(check: Callable[[], Awaitable[bool]], patience_s: float = 5.0) -> None:
    """Ask again and again until the answer is yes.

    Raises:
        TimeoutError: it was not within ``patience_s``.
    """
    async with asyncio.timeout(patience_s):
        while True:
            if await check():
                return
            await asyncio.sleep(0.01)


class FakeClock:
    """A wall clock that moves only when told to."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds


@asynccontextmanager
async def running(
    data: Path,
    *rules: Fault,
    clock: Callable[[], float] = time.time,
    **settings: Any,
) -> AsyncIterator[tuple[Emulator, Client]]:
    """An emulator in this process whose tasks end at once, with a client for it."""
    config = EmulatorConfig.from_mapping({"render": "zero", **settings})
    async with (
        Emulator(config, data=data, faults=Faults.of(*rules), clock=clock) as emulator,
        Client(emulator.base_url) as client,
    ):
        yield emulator, client


class EmulatorProcess:
    """The emulator as a process of its own, so that it outlives what a test kills.

    Used with ``with``; ``environment`` is what a client needs. ``kill`` and ``start`` again go on
    with the same data on the same port.
    """

    def __init__(
        self,
        data: Path,
        config: Mapping[str, Any] | None = None,
        faults: Any = None,
        *,
        patience_s: float = 20.0,
    ) -> None:
        self.data = data
        self.config = dict(config or {})
        self.faults = faults
        self.environment: dict[str, str] = {}
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """Address of the API."""
        return self.environment["TOPVIEW_BASE_URL"]

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "orchestrator.emulator", "--data", str(self.data)]
        command += ["--config", json.dumps(self.config)]
        if self.faults is not None:
            command += ["--faults-json", json.dumps(self.faults)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.environment = json.loads(self._first_line(self._process))

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM)

    def audit(self, window_s: float = 1.0) -> Audit:
        """What it saw."""
        with urlopen(f"{self.base_url}/_emulator/audit?window_s={window_s}", timeout=30) as reply:
            return Audit.from_json(json.load(reply))

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            os.kill(process.pid, number)
        process.wait(self._patience_s)
        assert process.stdout is not None
        process.stdout.close()

    def _first_line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], self._patience_s)
        line = process.stdout.readline() if readable else b""
        if not line:
            process.kill()
            process.wait()
            process.stdout.close()
            raise AssertionError("the emulator did not start; its words are on stderr")
        return line
