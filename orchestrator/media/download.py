"""Finished videos come home: streamed to a part, resumed, verified, renamed.

A download has an HTTP session of its own, without the API's headers, and follows redirects; a
link is used byte for byte. Links are secrets, so no error quotes one, and errors are not chained
to those of the HTTP library, which do.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import aiohttp
import yarl

from orchestrator.config import Proxies
from orchestrator.core.limits import Throttle
from orchestrator.errors import DownloadError, UsageError
from orchestrator.media.offer import Offer, read_offer
from orchestrator.media.parts import Part, Parts, md5_of, settle, tag_of
from orchestrator.media.receiving import append, flowing
from orchestrator.media.verify import verify_video
from orchestrator.model import Verify

_READ_BUFFER_BYTES = 256 * 1024
_SOCKETS = 100


class OrderLike(Protocol):
    """A download to make; see ``engine.ports.Order``."""

    @property
    def output(self) -> Path: ...
    @property
    def verify(self) -> Verify: ...
    @property
    def keep_as(self) -> Path | None: ...
    @property
    def duration_s(self) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A finished video under its final name.

    ``resumed_from``: bytes that were already here. ``kept``: where an older file was moved to.
    """

    size_bytes: int
    duration_s: float | None
    resumed_from: int = 0
    kept: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """A part to its end; ``md5`` is None where the offer has none.

    ``fetched``: what became of it, where nothing spoke against it: verified, with its final name.
    """

    path: Path
    size_bytes: int
    resumed_from: int
    md5: str | None
    offer: Offer
    fetched: Fetched | None = None

    @property
    def plausible(self) -> bool:
        """Whether size and hash are what the server announced."""
        return (
            self.size_bytes > 0
            and self.offer.total_bytes in (None, self.size_bytes)
            and self.md5 == self.offer.md5
        )


class Downloader:
    """Satisfies ``engine.ports.Fetcher``. An async context manager; use it inside."""

    def __init__(
        self,
        *,
        connect_s: float = 15.0,
        idle_s: float = 60.0,
        proxies: Proxies | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        """``idle_s``: how long less than ``receiving.SLOWEST_BYTES`` may come; a whole download has
        no limit.

        ``proxies`` None: as the environment says. ``throttle``: the bandwidth of all downloads
        together; None is no limit.
        """
        self._throttle = throttle
        self._connect_s, self._idle_s = connect_s, idle_s
        self._proxies = Proxies.from_env(os.environ) if proxies is None else proxies
        self._parts = Parts()

    async def __aenter__(self) -> Self:
        context = await asyncio.to_thread(ssl.create_default_context)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=_SOCKETS),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=self._connect_s, sock_read=self._idle_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "avatar-orchestrator", "Accept-Encoding": "identity"},
            auto_decompress=False,
            requote_redirect_url=False,
            read_bufsize=_READ_BUFFER_BYTES,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def fetch(self, url: str, order: OrderLike) -> Fetched:
        """Download to a part (resuming one), verify, fsync, rename.

        One fetch at a time for one output.

        Raises:
            DownloadError: see there for what to do. What has come is kept for the next fetch,
                unless the content is bad.
        """
        try:
            return await self._fetch(url, order)
        except OSError as error:
            # The network's errors were translated where they arise: this one is the disk's.
            raise _disk_error(error, order.output) from error

    async def _fetch(self, url: str, order: OrderLike) -> Fetched:
        whole = await self._intact(url, order)
        if whole.fetched is not None:
            return whole.fetched
        return await asyncio.to_thread(self._finish, whole, order)

    def _finish(self, whole: _Whole, order: OrderLike) -> Fetched:
        """Verify a complete part and give it its name. Blocks."""
        level = order.verify
        if level is Verify.LENGTH and whole.offer.total_bytes is None:
            level = Verify.CONTAINER  # there is no announced length to compare with
        try:
            duration_s = verify_video(whole.path, level, order.duration_s)
        except DownloadError:
            self._parts.remove(order.output)
            raise
        kept = settle(whole.path, order.output, order.keep_as)
        self._parts.settled(order.output, whole.path)
        return Fetched(
            size_bytes=whole.size_bytes,
            duration_s=duration_s,
            resumed_from=whole.resumed_from,
            kept=kept,
        )

    async def _intact(self, url: str, order: OrderLike) -> _Whole:
        """A complete part with the MD5 that the ETag says, where it says one.

        Some stores have ETags that look like an MD5 and are none. A damage in transit does not
        come twice the same, so bytes that do are the object's.
        """
        first = await self._whole(url, order)
        if first.plausible:
            return first
        await self._forget(order.output)
        second = await self._whole(url, order)
        if second.md5 in (second.offer.md5, first.md5):
            return second
        await self._forget(order.output)
        raise DownloadError("The video arrives damaged, each time otherwise", bad_content=True)

    async def _whole(self, url: str, order: OrderLike) -> _Whole:
        """A complete part: resumed if the server has the rest of it, else from the beginning."""
        part, output = None, order.output
        if not self._parts.none_of(output):
            part = await asyncio.to_thread(self._prepare, output)
        whole = None if part is None else await self._request(url, order, part)
        if whole is None:
            if not self._parts.none_of(output):
                await self._forget(output)
            whole = await self._request(url, order, None)
        if whole is None:
            raise DownloadError("The server sends a piece of the video instead of the whole")
        if whole.size_bytes == 0:
            await self._forget(output)
            raise DownloadError("The link delivers an empty file", bad_content=True)
        return whole

    def _prepare(self, output: Path) -> Part | None:
        """See that there is a folder, and a part that can be resumed. Blocks."""
        output.parent.mkdir(parents=True, exist_ok=True)
        return self._parts.find(output)

    async def _request(self, url: str, order: OrderLike, part: Part | None) -> _Whole | None:
        """One request and what it brings; None if what it offers does not fit the part.

        Raises:
            DownloadError: the link is refused, or the network failed.
        """
        address = _address(url)
        try:
            async with self._session.get(
                address,
                headers=_range_headers(part),
                proxy=self._proxies.for_url(url),
            ) as reply:
                if reply.status == 416 and part is not None:
                    return None
                _require_video(reply.status, reply.headers)
                offer = read_offer(reply.status, reply.headers)
                if offer is None or not _fits(offer, part):
                    return None
                return await self._receive(reply, order, offer, part)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise _no_address() from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DownloadError(_network_words(error)) from None
        except UsageError as error:
            raise DownloadError(str(error)) from error

    async def _receive(
        self, reply: aiohttp.ClientResponse, order: OrderLike, offer: Offer, part: Part | None
    ) -> _Whole:
        hashed = offer.md5 is not None and not offer.start
        digest = hashlib.md5(usedforsecurity=False) if hashed else None
        held = part.size_bytes if part is not None and offer.start else 0

        def conclude(path: Path, size: int) -> _Whole:
            """Blocks. A part that is what was announced is verified and named at once."""
            md5 = None
            if offer.md5 is not None:
                md5 = digest.hexdigest() if digest else md5_of(path)
            whole = _Whole(path=path, size_bytes=size, resumed_from=held, md5=md5, offer=offer)
            return replace(whole, fetched=self._finish(whole, order)) if whole.plausible else whole

        pieces = flowing(reply.content, self._idle_s, self._throttle)
        begin = partial(self._begin, order.output, offer)
        whole = await append(pieces, begin, offer.start, offer.total_bytes, digest, then=conclude)
        if offer.total_bytes not in (None, whole.size_bytes):
            await self._refuse_size(order.output, whole.size_bytes, offer.total_bytes)
        return whole

    def _begin(self, output: Path, offer: Offer) -> Path:
        """Where to write what is offered, with room for it. Blocks.

        Raises:
            OSError: there is not enough room.
        """
        try:
            _require_room(output.parent, offer)
        except FileNotFoundError:
            output.parent.mkdir(parents=True, exist_ok=True)
            _require_room(output.parent, offer)
        return self._parts.begin(output, offer.validator)

    async def _refuse_size(self, output: Path, size: int, total: int) -> None:
        if size < total:
            raise DownloadError(
                f"The connection ended after {size} of {total} bytes; "
                "the next try goes on from there"
            )
        await self._forget(output)
        raise DownloadError(f"The server announced {total} bytes and sent more")

    async def _forget(self, output: Path) -> None:
        await asyncio.to_thread(self._parts.remove, output)


def _address(url: str) -> yarl.URL:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _no_address()
    try:
        return yarl.URL(url, encoded=True)
    except ValueError:
        raise _no_address() from None


def _no_address() -> DownloadError:
    return DownloadError("The link is no web address", link_dead=True)


def _range_headers(part: Part | None) -> dict[str, str]:
    """Ask from the last byte we have: so even a complete part gets an answer with a validator,
    and not a 416 without one."""
    if part is None:
        return {}
    headers = {"Range": f"bytes={part.size_bytes - 1}-"}
    return headers if part.validator is None else {**headers, "If-Range": part.validator}


def _require_video(status: int, headers: Mapping[str, str]) -> None:
    """Raise unless the response brings bytes of the video."""
    if status in (200, 206):
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DownloadError("The server sends the video compressed, which nobody asked for")
        return
    if 400 <= status <= 499 and status not in (408, 416, 425, 429):
        raise DownloadError(f"The link is refused with HTTP {status}", link_dead=True)
    raise DownloadError(f"The server of the video answered with HTTP {status}")


def _fits(offer: Offer, part: Part | None) -> bool:
    """Whether the offer starts where we can write: at the beginning, or at the end of a part
    of the same bytes."""
    if offer.start == 0:
        return True
    return (
        part is not None
        and offer.start == part.size_bytes - 1
        and tag_of(offer.validator) == part.tag
    )


def _require_room(folder: Path, offer: Offer) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if offer.total_bytes is not None and free_bytes < offer.total_bytes - offer.start:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _network_words(error: Exception) -> str:
    """What went wrong, by kind: the errors' own words quote the link."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "The certificate of the video's server is not trusted; see SSL_CERT_FILE"
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return "The server of the video cannot be reached"
        case TimeoutError():
            return "The download stood still or crept; the next try goes on from there"
        case _:
            return f"The download broke off ({type(error).__name__}); the next try goes on"


def _disk_error(error: OSError, output: Path) -> DownloadError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        words = f"There is no room for {output}; make room and run again"
    else:
        why = error.strerror or type(error).__name__
        words = f"{output} cannot be written ({why}); check the folder and run again"
    return DownloadError(words, disk_full=True)
