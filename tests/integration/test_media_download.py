"""Downloads from a real server with bad manners: resumed, verified, and renamed only then."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from media_samples import sound, video

from orchestrator.config import Proxies
from orchestrator.errors import DownloadError
from orchestrator.media.download import Downloader, Fetched
from orchestrator.media.parts import NO_TAG, part_path, tag_of
from orchestrator.model import Verify

SIGNED = "/out/a%2Fb.mp4?Expires=1&Signature=ab%2Bc%3D&x=a+b"


@dataclass
class Manners:
    """A file server whose every habit can be switched; it remembers what it was asked."""

    content: bytes
    etag: str | None = '"v1"'
    modified: str | None = None
    ranges: bool = True
    announce: bool = True
    cut_after: int | None = None
    stall_after: int | None = None
    status: int | None = None
    extra: dict[str, str] = field(default_factory=dict)
    flip: Callable[[int], int | None] = lambda number: None
    asked: list[str | None] = field(default_factory=list)
    if_range: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[set[str]] = field(default_factory=list)
    base: str = ""

    @property
    def url(self) -> str:
        return self.base + SIGNED

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("Range"))
        self.if_range.append(request.headers.get("If-Range"))
        self.paths.append(request.raw_path)
        self.headers.append({name.lower() for name in request.headers})
        if self.status is not None:
            return web.Response(status=self.status, headers=self.extra)
        return await self._deliver(request)

    def _start(self, request: web.Request) -> int | None:
        """Where to start; None for the whole."""
        wanted = request.headers.get("Range")
        condition = request.headers.get("If-Range")
        current = condition in (None, self.etag, self.modified)
        if wanted is None or not self.ranges or not current:
            return None
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        assert match is not None
        return int(match[1])

    async def _deliver(self, request: web.Request) -> web.StreamResponse:
        start, total = self._start(request), len(self.content)
        if start is not None and start >= total:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{total}"})
        headers = dict(self.extra)
        if self.etag:
            headers["ETag"] = self.etag
        if self.modified:
            headers["Last-Modified"] = self.modified
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        response = web.StreamResponse(status=200 if start is None else 206, headers=headers)
        body = bytearray(self.content)
        if (place := self.flip(len(self.asked))) is not None:
            body[place] ^= 0xFF
        await self._stream(request, response, bytes(body[start or 0 :]))
        return response

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, body: bytes
    ) -> None:
        if self.announce:
            response.content_length = len(body)
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        stop = self.cut_after if self.cut_after is not None else self.stall_after
        await response.write(body if stop is None else body[:stop])
        if self.stall_after is not None:
            await asyncio.Event().wait()
        if self.cut_after is not None:
            await asyncio.sleep(0.02)
            assert request.transport is not None
            request.transport.abort()
            return
        await response.write_eof()


@asynccontextmanager
async def serving(manners: Manners) -> AsyncIterator[Manners]:
    app = web.Application()
    app.router.add_get("/{tail:.*}", manners.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    manners.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield manners
    finally:
        await runner.cleanup()


@dataclass(frozen=True, kw_only=True)
class Order:
    output: Path
    verify: Verify = Verify.CONTAINER
    keep_as: Path | None = None
    duration_s: float | None = 2.0


async def fetch(manners: Manners, order: Order, idle_s: float = 5.0) -> Fetched:
    """Fetch as a new process would."""
    async with Downloader(idle_s=idle_s, proxies=Proxies()) as downloader:
        return await downloader.fetch(manners.url, order)


async def failure(manners: Manners, order: Order, idle_s: float = 5.0) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        await fetch(manners, order, idle_s)
    assert "Signature" not in str(caught.value)
    return caught.value


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = video(tmp_path_factory.mktemp("film") / "film.mp4", 2.0, 320)
    content = path.read_bytes()
    assert len(content) > 1_000_000
    return content


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "job.mp4"


def names(output: Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir())


def flags(error: DownloadError) -> tuple[bool, bool, bool]:
    return error.link_dead, error.bad_content, error.disk_full


LINK_DEAD = (True, False, False)
BAD_CONTENT = (False, True, False)
DISK_FULL = (False, False, True)
NETWORK = (False, False, False)


@pytest.mark.parametrize("level", Verify)
async def test_a_video_comes_home_under_its_name_and_nothing_else(
    film: bytes, output: Path, level: Verify
) -> None:
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output, verify=level))
    seen_s = None if level is Verify.LENGTH else 2.0
    assert fetched == Fetched(size_bytes=len(film), duration_s=seen_s)
    assert output.read_bytes() == film
    assert names(output) == ["job.mp4"]


async def test_the_link_is_used_byte_for_byte_and_without_the_apis_headers(
    film: bytes, output: Path
) -> None:
    async with serving(Manners(film)) as manners:
        await fetch(manners, Order(output=output))
    assert manners.paths == [SIGNED]
    assert manners.headers == [{"host", "user-agent", "accept", "accept-encoding"}]


async def test_a_redirect_is_followed_byte_for_byte(film: bytes, output: Path) -> None:
    async with serving(Manners(film)) as there:
        here = Manners(b"", status=302, extra={"Location": there.url})
        async with serving(here):
            await fetch(here, Order(output=output))
    assert there.paths == [SIGNED]
    assert output.read_bytes() == film


@pytest.mark.parametrize("announce", [True, False])
async def test_a_cut_download_is_resumed_by_a_new_process(
    film: bytes, output: Path, announce: bool
) -> None:
    async with serving(Manners(film, cut_after=700_000, announce=announce)) as manners:
        error = await failure(manners, Order(output=output))
        assert flags(error) == NETWORK
        held = part_path(output, tag_of('"v1"')).stat().st_size
        assert 0 < held <= 700_000
        manners.cut_after = None
        fetched = await fetch(manners, Order(output=output))
    assert fetched == Fetched(size_bytes=len(film), duration_s=2.0, resumed_from=held)
    assert manners.asked == [None, f"bytes={held - 1}-"]
    assert manners.if_range == [None, None]
    assert output.read_bytes() == film
    assert names(output) == ["job.mp4"]


@pytest.mark.parametrize(
    ("etag", "modified", "validator"),
    [
        ('"v1"', "Thu, 01 Jan 1970 00:00:00 GMT", '"v1"'),
        (None, "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ('W/"v1"', "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ],
)
async def test_the_same_process_says_which_bytes_it_has(
    film: bytes, output: Path, etag: str | None, modified: str | None, validator: str
) -> None:
    manners = Manners(film, etag=etag, modified=modified, cut_after=600_000)
    async with serving(manners), Downloader(proxies=Proxies()) as downloader:
        with pytest.raises(DownloadError):
            await downloader.fetch(manners.url, Order(output=output))
        manners.cut_after = None
        fetched = await downloader.fetch(manners.url, Order(output=output))
    assert fetched.resumed_from > 0
    assert manners.if_range == [None, validator]


async def test_a_part_of_other_bytes_is_never_continued(film: bytes, output: Path) -> None:
    async with serving(Manners(b"\0" * 900_000, etag='"v0"', cut_after=700_000)) as old:
        await failure(old, Order(output=output))
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output))
    assert len(manners.asked) == 2
    assert fetched == Fetched(size_bytes=len(film), duration_s=2.0)
    assert names(output) == ["job.mp4"]


async def test_without_a_validator_it_starts_over(film: bytes, output: Path) -> None:
    async with serving(Manners(film, etag=None, cut_after=700_000)) as manners:
        await failure(manners, Order(output=output))
        assert part_path(output, NO_TAG).exists()
        manners.cut_after = None
        fetched = await fetch(manners, Order(output=output))
    assert (fetched.resumed_from, manners.asked) == (0, [None, None])
    assert names(output) == ["job.mp4"]


async def test_a_server_without_ranges_sends_the_whole_again(film: bytes, output: Path) -> None:
    async with serving(Manners(film, ranges=False, cut_after=700_000)) as manners:
        await failure(manners, Order(output=output))
        manners.cut_after = None
        fetched = await fetch(manners, Order(output=output))
    assert (fetched.resumed_from, len(manners.asked)) == (0, 2)
    assert output.read_bytes() == film


def leave_part(output: Path, content: bytes, validator: str = '"v1"') -> Path:
    output.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(output, tag_of(validator))
    part.write_bytes(content)
    return part


async def test_a_complete_part_needs_one_byte_more(film: bytes, output: Path) -> None:
    leave_part(output, film)
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output))
    assert fetched == Fetched(size_bytes=len(film), duration_s=2.0, resumed_from=len(film))
    assert manners.asked == [f"bytes={len(film) - 1}-"]


async def test_a_part_longer_than_the_video_is_thrown_away(film: bytes, output: Path) -> None:
    leave_part(output, film + b"more")
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output))
    assert (fetched.resumed_from, manners.asked) == (0, [f"bytes={len(film) + 3}-", None])
    assert output.read_bytes() == film


@pytest.mark.parametrize("size", [0, 1])
async def test_a_part_of_nothing_or_a_byte_starts_over(
    film: bytes, output: Path, size: int
) -> None:
    leave_part(output, film[:size])
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output))
    assert fetched.resumed_from == 0
    assert output.read_bytes() == film


async def test_the_wrong_piece_is_not_appended(film: bytes, output: Path) -> None:
    leave_part(output, film[:1000])
    wrong = {"Content-Range": f"bytes 5-{len(film) - 1}/{len(film)}"}
    async with serving(Manners(film, ranges=False, status=206, extra=wrong)) as manners:
        error = await failure(manners, Order(output=output))
    assert flags(error) == NETWORK
    assert not output.exists()


async def test_a_cancelled_download_keeps_its_part(film: bytes, output: Path) -> None:
    async with serving(Manners(film, stall_after=600_000)) as manners:
        task = asyncio.ensure_future(fetch(manners, Order(output=output)))
        part = part_path(output, tag_of('"v1"'))
        async with asyncio.timeout(5):
            while not part.exists() or part.stat().st_size == 0:  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert film.startswith(part.read_bytes())


async def test_a_download_that_stands_still_is_ended_and_kept(film: bytes, output: Path) -> None:
    async with serving(Manners(film, stall_after=600_000)) as manners:
        error = await failure(manners, Order(output=output), idle_s=0.3)
    assert flags(error) == NETWORK
    assert "stood still" in str(error)
    assert part_path(output, tag_of('"v1"')).stat().st_size == 600_000


async def test_a_part_of_another_output_is_left_alone(film: bytes, output: Path) -> None:
    other = leave_part(output.with_name("job.mp4.x"), b"other")
    async with serving(Manners(film)) as manners:
        await fetch(manners, Order(output=output))
    assert names(output) == [other.name, "job.mp4"]


async def test_a_long_name_has_a_short_part(film: bytes, tmp_path: Path) -> None:
    output = tmp_path / ("ä" * 120 + ".mp4")
    async with serving(Manners(film, cut_after=700_000)) as manners:
        await failure(manners, Order(output=output))
        manners.cut_after = None
        fetched = await fetch(manners, Order(output=output))
    assert fetched.resumed_from > 0
    assert names(output) == [output.name]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((s, LINK_DEAD) for s in (400, 401, 403, 404, 410)),
        *((s, NETWORK) for s in (204, 304, 408, 416, 429, 500, 503)),
    ],
)
async def test_what_a_refusal_means(
    output: Path, status: int, kind: tuple[bool, bool, bool]
) -> None:
    async with serving(Manners(b"", status=status)) as manners:
        error = await failure(manners, Order(output=output))
    assert flags(error) == kind
    assert names(output) == []


@pytest.mark.parametrize(
    "url", ["no address", "http://", "ftp://h/a.mp4", "http://[", "http://h/\r\nX: y", ""]
)
async def test_a_link_that_is_no_address_is_dead(output: Path, url: str) -> None:
    async with Downloader(proxies=Proxies()) as downloader:
        with pytest.raises(DownloadError) as caught:
            await downloader.fetch(url, Order(output=output))
    assert flags(caught.value) == LINK_DEAD


async def test_an_unreachable_server_is_the_networks_fault(film: bytes, output: Path) -> None:
    manners = Manners(film)
    async with serving(manners):
        pass
    error = await failure(manners, Order(output=output))
    assert flags(error) == NETWORK
    assert "cannot be reached" in str(error)


async def test_a_video_without_an_announced_length_is_looked_at(film: bytes, output: Path) -> None:
    async with serving(Manners(film, announce=False)) as manners:
        fetched = await fetch(manners, Order(output=output, verify=Verify.LENGTH))
        assert fetched.duration_s == 2.0
        manners.content = b"<!DOCTYPE html>"
        error = await failure(manners, Order(output=output, verify=Verify.LENGTH))
    assert flags(error) == BAD_CONTENT


async def test_a_compressed_video_is_not_taken(film: bytes, output: Path) -> None:
    manners = Manners(film, extra={"Content-Encoding": "gzip"})
    async with serving(manners):
        error = await failure(manners, Order(output=output))
    assert flags(error) == NETWORK


@pytest.mark.parametrize("level", [Verify.CONTAINER, Verify.DECODE])
@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html>", b"\0" * 1000, b"#EXTM3U\nhttp://127.0.0.1:9/a.mp4\n"]
)
async def test_what_is_no_video_is_refused_and_removed(
    output: Path, content: bytes, level: Verify
) -> None:
    async with serving(Manners(content)) as manners:
        error = await failure(manners, Order(output=output, verify=level))
    assert flags(error) == BAD_CONTENT
    assert names(output) == []


@pytest.mark.parametrize("level", Verify)
async def test_an_empty_file_is_refused(output: Path, level: Verify) -> None:
    async with serving(Manners(b"")) as manners:
        error = await failure(manners, Order(output=output, verify=level))
    assert flags(error) == BAD_CONTENT
    assert names(output) == []


async def test_a_sound_is_no_video(tmp_path: Path, output: Path) -> None:
    content = sound(tmp_path / "a.m4a", 2.0).read_bytes()
    async with serving(Manners(content)) as manners:
        error = await failure(manners, Order(output=output))
    assert flags(error) == BAD_CONTENT
    assert "no video stream" in str(error)


@pytest.mark.parametrize(
    ("expected_s", "good"),
    [(None, True), (1.5, True), (2.5, True), (1.49, False), (2.51, False), (60.0, False)],
)
async def test_the_length_must_be_about_what_was_expected(
    film: bytes, output: Path, expected_s: float | None, good: bool
) -> None:
    order = Order(output=output, duration_s=expected_s)
    async with serving(Manners(film)) as manners:
        if good:
            assert (await fetch(manners, order)).duration_s == 2.0
        else:
            assert flags(await failure(manners, order)) == BAD_CONTENT
            assert names(output) == []


def damaged(film: bytes) -> bytes:
    """The same film with rubbish for its pictures: the container still opens."""
    start, end = film.index(b"mdat") + 4, film.rindex(b"moov") - 4
    return film[: start + 5000] + b"\0" * (end - start - 5000) + film[end:]


async def test_frames_are_looked_at_where_that_was_asked_for(film: bytes, output: Path) -> None:
    async with serving(Manners(damaged(film))) as manners:
        error = await failure(manners, Order(output=output, verify=Verify.DECODE))
        assert flags(error) == BAD_CONTENT
        await fetch(manners, Order(output=output, verify=Verify.CONTAINER))


def md5(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


async def test_damage_in_transit_is_seen_by_the_md5_and_repaired(film: bytes, output: Path) -> None:
    manners = Manners(film, etag=md5(film), flip=lambda number: 500_000 if number == 1 else None)
    async with serving(manners):
        await fetch(manners, Order(output=output))
    assert manners.asked == [None, None]
    assert output.read_bytes() == film


async def test_damage_each_time_is_bad_content(film: bytes, output: Path) -> None:
    manners = Manners(film, etag=md5(film), flip=lambda number: 500_000 + number)
    async with serving(manners):
        error = await failure(manners, Order(output=output))
    assert flags(error) == BAD_CONTENT
    assert names(output) == []


async def test_a_resumed_video_is_hashed_as_a_whole(film: bytes, output: Path) -> None:
    leave_part(output, b"\0" * 1000, md5(film))
    async with serving(Manners(film, etag=md5(film))) as manners:
        await fetch(manners, Order(output=output))
    assert manners.asked == ["bytes=999-", None]
    assert output.read_bytes() == film


async def test_an_etag_that_only_looks_like_an_md5_refuses_nothing(
    film: bytes, output: Path
) -> None:
    async with serving(Manners(film, etag=f'"{"0" * 32}"')) as manners:
        await fetch(manners, Order(output=output))
    assert len(manners.asked) == 2
    assert output.read_bytes() == film


@pytest.mark.parametrize(
    ("etag", "extra"),
    [
        (f'"{"0" * 32}"', {"x-amz-server-side-encryption": "aws:kms"}),
        (f'"{"0" * 32}-2"', {}),
        (f'W/"{"0" * 32}"', {}),
    ],
)
async def test_an_etag_that_is_surely_no_md5_costs_nothing(
    film: bytes, output: Path, etag: str, extra: dict[str, str]
) -> None:
    async with serving(Manners(film, etag=etag, extra=extra)) as manners:
        await fetch(manners, Order(output=output))
    assert len(manners.asked) == 1


async def test_no_room_is_the_disks_fault(film: bytes, output: Path) -> None:
    manners = Manners(film)
    deliver = manners.handle

    async def handle(request: web.Request) -> web.StreamResponse:
        part_path(output, tag_of('"v1"')).symlink_to("/dev/full")
        return await deliver(request)

    manners.handle = handle  # type: ignore[method-assign]
    async with serving(manners):
        error = await failure(manners, Order(output=output))
    assert flags(error) == DISK_FULL
    assert "There is no room for" in str(error)


async def test_more_bytes_than_the_disk_has_are_not_even_begun(output: Path) -> None:
    headers = {"Content-Length": str(10**17), "ETag": '"v1"'}

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    manners = Manners(b"")
    manners.handle = handle  # type: ignore[method-assign]
    async with serving(manners):
        error = await failure(manners, Order(output=output))
    assert flags(error) == DISK_FULL
    assert names(output) == []


async def test_a_folder_that_cannot_be_made_is_the_disks_fault(film: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with serving(Manners(film)) as manners:
        error = await failure(manners, Order(output=tmp_path / "file" / "job.mp4"))
    assert flags(error) == DISK_FULL
    assert "check the folder" in str(error)


async def test_other_bytes_under_the_name_are_kept(film: bytes, output: Path) -> None:
    output.parent.mkdir()
    output.write_bytes(b"old")
    keep = output.with_name("job.1234abcd.mp4")
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output, keep_as=keep))
    assert fetched.kept == keep
    assert (keep.read_bytes(), output.read_bytes()) == (b"old", film)


async def test_nothing_that_is_kept_is_ever_overwritten(film: bytes, output: Path) -> None:
    output.parent.mkdir()
    output.write_bytes(b"old")
    keep = output.with_name("job.1234abcd.mp4")
    keep.write_bytes(b"older")
    second = output.with_name("job.1234abcd.2.mp4")
    second.write_bytes(b"oldest")
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output, keep_as=keep))
    assert fetched.kept == output.with_name("job.1234abcd.3.mp4")
    assert fetched.kept.read_bytes() == b"old"
    assert (keep.read_bytes(), second.read_bytes()) == (b"older", b"oldest")


async def test_what_is_kept_already_is_not_kept_twice(film: bytes, output: Path) -> None:
    output.parent.mkdir()
    keep = output.with_name("job.1234abcd.mp4")
    for path in (output, keep):
        path.write_bytes(b"old")
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output, keep_as=keep))
    assert fetched.kept == keep
    assert names(output) == ["job.1234abcd.mp4", "job.mp4"]


async def test_the_same_bytes_under_the_name_are_not_kept(film: bytes, output: Path) -> None:
    output.parent.mkdir()
    output.write_bytes(film)
    keep = output.with_name("kept.mp4")
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output, keep_as=keep))
    assert fetched.kept is None
    assert names(output) == ["job.mp4"]


async def test_without_a_name_to_keep_it_the_old_file_is_replaced(
    film: bytes, output: Path
) -> None:
    output.parent.mkdir()
    output.write_bytes(b"old")
    async with serving(Manners(film)) as manners:
        fetched = await fetch(manners, Order(output=output))
    assert (fetched.kept, output.read_bytes()) == (None, film)


async def test_an_old_file_stays_until_the_new_one_is_good(film: bytes, output: Path) -> None:
    output.parent.mkdir()
    output.write_bytes(b"old")
    order = Order(output=output, keep_as=output.with_name("kept.mp4"))
    async with serving(Manners(b"no video at all")) as manners:
        await failure(manners, order)
    assert (names(output), output.read_bytes()) == (["job.mp4"], b"old")
