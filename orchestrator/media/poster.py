"""A small picture of a finished video, for pages. Everything here blocks: call it in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from orchestrator.errors import MediaError

LONGEST_PX = 320
MOST_BYTES = 8_000

_QUALITIES = (4, 7, 11, 16, 24)
"""Quantisers to try, best first; the last one is taken whatever its size."""
_INTO = 0.25
"""The picture is taken after this share of the video: a first frame is often black or blank."""
_SEARCH = 150
"""Frames decoded at the most to get there."""


def make_poster(
    video: Path, *, longest_px: int = LONGEST_PX, most_bytes: int = MOST_BYTES
) -> bytes:
    """A JPEG of a frame from the video's first quarter.

    Its longer side has ``longest_px`` (>= 16) pixels at the most, a smaller video is not
    enlarged. It is coarsened until it fits into ``most_bytes`` (a few kilobytes more for a very
    busy picture).

    Raises:
        MediaError: the file cannot be read, or holds no picture.
    """
    with _opened(video) as container:
        frame = _fitted(_frame(video, container), longest_px)
        jpeg = b""
        for quantiser in _QUALITIES:
            jpeg = _encoded(frame, quantiser)
            if len(jpeg) <= most_bytes:
                break
    return jpeg


@contextmanager
def _opened(video: Path) -> Iterator[InputContainer]:
    """The container, with FFmpeg's errors translated and no way to other files or the network."""
    try:
        with av.open(str(video.absolute()), options={"protocol_whitelist": "file"}) as container:
            yield container
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise _unusable(video, f"cannot be read as a video ({why})") from error


def _unusable(video: Path, problem: str) -> MediaError:
    return MediaError(str(video), problem, "it may be damaged or cut off; fetch it again")


def _frame(video: Path, container: InputContainer) -> VideoFrame:
    """The frame at the wanted place, or the last one before it."""
    if not container.streams.video:
        raise _unusable(video, "holds no picture")
    stream = container.streams.video[0]
    wanted_s = _wanted_s(container)
    _go_to(container, wanted_s)
    found: VideoFrame | None = None
    for number, frame in enumerate(_frames(container, stream)):
        found = frame
        if number >= _SEARCH or (frame.time or 0.0) >= wanted_s:
            break
    if found is None:
        raise _unusable(video, "holds no frame")
    return found


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames as long as they decode; one from the beginning where none came from there."""
    some = False
    for frame in container.decode(stream):
        some = True
        yield frame
    if not some:
        container.seek(0)
        yield from container.decode(stream)


def _wanted_s(container: InputContainer) -> float:
    return 0.0 if container.duration is None else container.duration / av.time_base * _INTO


def _go_to(container: InputContainer, wanted_s: float) -> None:
    """To the last key frame before it; a container that cannot seek is read from its start."""
    try:
        container.seek(int(wanted_s * av.time_base) + (container.start_time or 0))
    except av.error.FFmpegError:
        return


def _fitted(frame: VideoFrame, longest_px: int) -> VideoFrame:
    share = min(1.0, longest_px / max(frame.width, frame.height))
    width, height = (max(2, int(side * share) // 2 * 2) for side in (frame.width, frame.height))
    return frame.reformat(width=width, height=height, format="yuvj420p")


def _encoded(frame: VideoFrame, quantiser: int) -> bytes:
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = frame.format.name
    frame.time_base = encoder.time_base = Fraction(1, 25)
    frame.pts = 0
    encoder.qmin = encoder.qmax = quantiser
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
