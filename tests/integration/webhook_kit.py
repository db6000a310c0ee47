"""Help for tests of the webhook receiver: a receiver with a book of what it heard, raw requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestrator.config import Secret
from orchestrator.web.receiver import HeardNotice, Receiver

TOKEN = "Zm9vYmFyLXRva2VuLXRva2VuLXRva2Vu"
FORGED = "Rk9SR0VELUZPUkdFRC1GT1JHRUQtRk9S"
TASK = "aa00bb11cc22dd33ee44ff5566778899"
UUID = "11112222333344445555666677778888"
UID = "sample-uid"
PLACE = f"/hook/{TOKEN}"
_PATIENCE_S = 8.0


@dataclass
class Book:
    """Keeps what was heard for known tokens, as the engine would."""

    known: frozenset[str] = frozenset({TOKEN})
    heard: list[HeardNotice] = field(default_factory=list)
    asked: int = 0

    async def keep(self, notice: HeardNotice) -> bool:
        self.asked += 1
        if notice.token not in self.known:
            return False
        self.heard.append(notice)
        return True


@asynccontextmanager
async def hearing(
    book: Book, *, path: str = "/hook", uid: str | None = UID, **settings: Any
) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine."""
    secret = Secret(uid) if uid is not None else None
    receiver = Receiver("127.0.0.1:0", path, secret, book.keep, **settings)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()


def notice(**changes: Any) -> bytes:
    """The vendor's example of a notice with these fields changed."""
    result = {"taskId": TASK, "status": "success", "errorMsg": None}
    fields = {"uuid": UUID, "bizType": "ZERO_SHOT_AVATAR", "taskId": TASK, "status": "success"}
    return json.dumps({**fields, "errorMsg": None, "result": result, **changes}).encode()


def request(body: bytes = b"", *, path: str = PLACE, method: str = "POST", **headers: str) -> bytes:
    """A whole request as bytes; ``Topview_Uid="x"`` sends the header ``Topview-Uid: x``."""
    named = {"Host": "h", "Content-Length": str(len(body)), "Topview-Uid": UID}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in named.items() if v)]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def connect(receiver: Receiver) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = receiver.address.rsplit(":", 1)
    return await asyncio.open_connection(host.strip("[]"), int(port))


async def ask(receiver: Receiver, sent: bytes) -> bytes:
    """All that comes back for these bytes until the receiver closes; b"" if it only closes."""
    reader, writer = await connect(receiver)
    try:
        writer.write(sent)
        async with asyncio.timeout(_PATIENCE_S):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def status(reply: bytes) -> int:
    """The HTTP status of a reply; 0 if there was none."""
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/") else 0


def said(reply: bytes) -> Any:
    """The JSON body of a reply."""
    return json.loads(reply.partition(b"\r\n\r\n")[2])
