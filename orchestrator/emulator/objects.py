"""The object store and the CDN: presigned PUTs, and downloads with ranges."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import struct
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from orchestrator.emulator import mischief, ranges, signing
from orchestrator.emulator.catalogfiles import catalog_file
from orchestrator.emulator.desk import Desk
from orchestrator.emulator.faultplan import Subject
from orchestrator.emulator.replies import Reply, read_piece, send, xml_error
from orchestrator.emulator.shelf import Content, Upload
from orchestrator.emulator.studio import Result
from orchestrator.emulator.tasks import Task
from orchestrator.emulator.video import Unusable, probe

LARGEST_PUT = 5 * 1024**3
_PIECE = 1024 * 1024


class ObjectDesk:
    """Handlers of both listeners. ``folder`` is where arriving files grow."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk = desk
        self._folder = folder

    async def store(self, request: web.Request) -> web.StreamResponse:
        """Anything that comes to the object store."""
        desk = self._desk
        desk.look_for_leaks(request, "store")
        if request.method == "PUT":
            return await self._put(request)
        if "/out/" in request.path:
            return await self._download(request)
        return await self._refuse(request, 403, "AccessDenied", "Access Denied")

    async def cdn(self, request: web.Request) -> web.StreamResponse:
        """Anything that comes to the CDN."""
        desk = self._desk
        desk.look_for_leaks(request, "cdn")
        if request.method not in {"GET", "HEAD"}:
            return await self._refuse(request, 405, "MethodNotAllowed", "GET and HEAD only")
        if request.path.startswith("/catalog/"):
            reply = await catalog_file(request.path, desk.studio)
            return await send(request, reply or xml_error(404, "NoSuchKey", "no"), desk.now())
        return await self._download(request)

    async def _refuse(
        self, request: web.Request, status: int, code: str, message: str
    ) -> web.StreamResponse:
        return await send(request, xml_error(status, code, message), self._desk.now())

    async def _put(self, request: web.Request) -> web.StreamResponse:
        desk = self._desk
        upload = self._upload_of(request)
        subject = Subject(
            key=upload.file_id if upload else "",
            files=(upload.file_id,) if upload else (),
            format=upload.format if upload else "",
        )
        fault = desk.fault("put", subject)
        if fault is not None and fault.do == "expired":
            return await send(request, _expired(desk.now()), desk.now())
        if fault is not None and fault.do == "drop_mid_body":
            await _read_half(request)
            return mischief.cut(request, reset=fault.reset)
        return await desk.answer(request, "put", lambda: self._receive(request, upload), fault)

    def _upload_of(self, request: web.Request) -> Upload | None:
        name = request.path.rpartition("/")[2].partition(".")[0]
        return self._desk.world.shelf.uploads.get(name)

    async def _receive(self, request: web.Request, upload: Upload | None) -> Reply:
        desk = self._desk
        problem = _put_problem(request, upload, desk.world.secret, desk.now())
        if problem is not None or upload is None:
            return problem or xml_error(403, "SignatureDoesNotMatch", "no such key was signed")
        content = await self._take_in(request)
        if content is None:
            return xml_error(400, "RequestTimeout", "the body was shorter than announced")
        desk.witness.add("bytes_received", content.size)
        desk.world.put(upload, content)
        await desk.store.commit()
        return Reply(headers={"ETag": f'"{content.md5}"'})

    async def _take_in(self, request: web.Request) -> Content | None:
        """Stream the body to disk; None if the client went away."""
        partial = self._folder / f"{secrets.token_hex(8)}.part"
        sink = await asyncio.to_thread(_Sink.open, partial)
        try:
            async for piece in request.content.iter_chunked(_PIECE):
                await asyncio.to_thread(sink.write, piece)
        except (web.RequestPayloadError, ConnectionError, asyncio.IncompleteReadError):
            await asyncio.to_thread(sink.discard)
            return None
        if sink.size != request.content_length:
            await asyncio.to_thread(sink.discard)
            return None
        return await asyncio.to_thread(sink.keep, self._desk.world.shelf.path(sink.sha256()))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        desk = self._desk
        task_id = request.path.rpartition("/")[2].removesuffix(".mp4")
        task = desk.world.tasks.get(task_id)
        fault = desk.fault("download", desk.subject_of(task) if task else Subject())
        kind = fault.do if fault else ""
        if kind == "expired":
            return await send(request, _expired(desk.now()), desk.now())
        if kind == "changed" and task is not None:
            task.variant += 1
        reply = None
        if kind in {"changed", "corrupt", "truncated", "no_length", "close_delimited"}:
            reply = await self._fetch(request, task, corrupt=kind == "corrupt")
        match kind:
            case "truncated" if reply:
                return await mischief.cut_in_body(request, reply)
            case "no_length" if reply:
                return await mischief.chunked(request, reply)
            case "close_delimited" if reply and fault:
                return await mischief.without_length(request, reply, half=fault.cut)
            case "changed" | "corrupt" if reply:
                return await send(request, reply, desk.now())
            case _:
                return await desk.answer(
                    request, "download", lambda: self._fetch(request, task), fault
                )

    async def _fetch(
        self, request: web.Request, task: Task | None, *, corrupt: bool = False
    ) -> Reply:
        desk = self._desk
        verdict = signing.judge(desk.world.secret, request.method, request.raw_path, desk.now())
        if verdict == "expired":
            return _expired(desk.now())
        if verdict == "wrong":
            return _mismatch()
        video = await self._video(task)
        if task is None or video is None:
            return xml_error(404, "NoSuchKey", "The specified key does not exist.")
        thing = await asyncio.to_thread(_object_of, video, task, corrupt)
        reply = _part(request, thing)
        desk.witness.add("bytes_served", reply.length or len(reply.body))
        if reply.status == 200:
            desk.witness.add("downloads")
        return reply

    async def _video(self, task: Task | None) -> Result | None:
        desk = self._desk
        if task is None or desk.world.status(task, desk.now()) != "success":
            return None
        if desk.now() >= task.end_at + desk.config.link_life_s(desk.config.keep_s):
            return None
        try:
            return await desk.studio.make(desk.world.recipe(task))
        except Unusable:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Object:
    """A stored video as the download sees it; ``data`` where it differs from the file."""

    path: Path
    size: int
    md5: str
    modified: float
    data: bytes | None = None


def _object_of(video: Result, task: Task, corrupt: bool) -> _Object:
    if not corrupt and task.variant == 0:
        return _Object(path=video.path, size=video.size, md5=video.md5, modified=task.end_at)
    data = read_piece(video.path, 0, video.size)
    # An mp4 may end in a box that players skip: another object with the same pictures.
    data = bytes(len(data)) if corrupt else data + _free_box(task.variant)
    md5 = hashlib.md5(data).hexdigest()
    modified = task.end_at + task.variant
    return _Object(path=video.path, size=len(data), md5=md5, modified=modified, data=data)


def _free_box(variant: int) -> bytes:
    return struct.pack(">I4sQ", 16, b"free", variant)


def _part(request: web.Request, thing: _Object) -> Reply:
    etag, modified = f'"{thing.md5}"', formatdate(thing.modified, usegmt=True)
    headers = {
        "ETag": etag,
        "Last-Modified": modified,
        "Accept-Ranges": "bytes",
        "Content-Type": "video/mp4",
    }
    asked, guard = request.headers.get("Range"), request.headers.get("If-Range")
    try:
        span = ranges.wanted(asked, guard, size=thing.size, etag=etag, modified=modified)
    except ranges.NotSatisfiable:
        refused = xml_error(416, "InvalidRange", "The requested range is not satisfiable")
        more = {**refused.headers, "Content-Range": f"bytes */{thing.size}"}
        return Reply(status=416, body=refused.body, headers=more, code="416")
    start, end = (0, thing.size) if span is None else (span.start, span.end)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{thing.size}"
    status = 200 if span is None else 206
    if thing.data is not None:
        return Reply(status=status, body=thing.data[start:end], headers=headers)
    return Reply(status=status, headers=headers, file=thing.path, start=start, length=end - start)


def _put_problem(
    request: web.Request, upload: Upload | None, secret: bytes, now: float
) -> Reply | None:
    """Why the object store refuses a PUT, in its order; None if it takes it."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        more = "<Header>Transfer-Encoding</Header>"
        message = "A header you provided implies functionality that is not implemented"
        return xml_error(501, "NotImplemented", message, more)
    if "Content-Length" not in request.headers:
        message = "You must provide the Content-Length HTTP header."
        return xml_error(411, "MissingContentLength", message)
    verdict = signing.judge(secret, "PUT", request.raw_path, now)
    if verdict == "expired":
        return _expired(now)
    if upload is None or verdict == "wrong" or request.raw_path != upload.target:
        return _mismatch()
    extra = sorted(h for h in request.headers if h.lower().startswith("x-amz-"))
    if extra:
        message = "There were headers present in the request which were not signed"
        return xml_error(
            403, "AccessDenied", message, f"<HeadersNotSigned>{extra[0]}</HeadersNotSigned>"
        )
    if (request.content_length or 0) > LARGEST_PUT:
        return xml_error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum")
    return None


def _expired(now: float) -> Reply:
    more = f"<ServerTime>{formatdate(now, usegmt=True)}</ServerTime>"
    return xml_error(403, "AccessDenied", "Request has expired", more)


def _mismatch() -> Reply:
    message = "The request signature we calculated does not match the signature you provided."
    return xml_error(403, "SignatureDoesNotMatch", message)


async def _read_half(request: web.Request) -> None:
    half = (request.content_length or 0) // 2
    seen = 0
    while seen < half:
        piece = await request.content.readany()
        if not piece:
            return
        seen += len(piece)


class _Sink:
    """A file that grows, with its hashes. Every method but ``sha256`` blocks."""

    def __init__(self, path: Path, file: IO[Any]) -> None:
        self._path, self._file = path, file
        self._sha, self._md5 = hashlib.sha256(), hashlib.md5()
        self.size = 0

    @classmethod
    def open(cls, path: Path) -> _Sink:
        return cls(path, path.open("wb"))

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self._sha.update(piece)
        self._md5.update(piece)
        self.size += len(piece)

    def sha256(self) -> str:
        return self._sha.hexdigest()

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def keep(self, target: Path) -> Content:
        self._file.close()
        if target.exists():
            self._path.unlink()
        else:
            self._path.replace(target)
        return Content(
            sha256=self.sha256(), md5=self._md5.hexdigest(), size=self.size, facts=probe(target)
        )
