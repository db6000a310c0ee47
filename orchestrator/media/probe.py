"""What a media file holds, seen through PyAV. Everything here blocks: call it in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import MediaError

if TYPE_CHECKING:  # PyAV takes 20 MB: it is imported when there is a file to open
    from av.container import InputContainer

_PADDING_S = 0.15
"""How much more than the music an MP3's frames may last: what encoders put before and behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a file's container says.

    ``duration_s`` is None for still pictures and where nothing in the file says it; otherwise
    right to about 10 ms. A cover picture in a sound file is no video. ``format_name`` is
    FFmpeg's ("mov,mp4,m4a,3gp,3g2,mj2", "wav", "png_pipe").
    """

    duration_s: float | None
    has_video: bool
    has_audio: bool
    format_name: str


def probe(path: str) -> Probe:
    """Open the file and read what it says of itself; nothing is decoded.

    Raises:
        MediaError: it cannot be opened as media, or is damaged at its start.
    """
    with _opened(path) as container:
        return Probe(
            duration_s=_duration_s(container),
            has_video=bool(_pictures(container)),
            has_audio=bool(container.streams.audio),
            format_name=container.format.name,
        )


def decode_first(path: str) -> None:
    """Decode the first frame of the video or picture.

    Raises:
        MediaError: there is none, or it is damaged.
    """
    with _opened(path) as container:
        stream = _first_picture(path, container)
        if next(iter(container.decode(stream)), None) is None:
            raise _damaged(path, "holds no frame")


def decode_ends(path: str) -> None:
    """Decode the first frame and everything after the last key frame.

    Raises:
        MediaError: there is no video, or one of its ends is damaged.
    """
    decode_first(path)
    with _opened(path) as container:
        stream = _first_picture(path, container)
        stream.thread_type = "AUTO"
        if container.duration is not None:
            container.seek(container.duration + (container.start_time or 0))
        if sum(1 for _ in container.decode(stream)) == 0:
            raise _damaged(path, "holds no frame at its end")


@contextmanager
def _opened(path: str) -> Iterator[InputContainer]:
    """The container, with FFmpeg's errors translated and no way to other files or the network."""
    import av
    import av.error

    options = {"protocol_whitelist": "file"}
    try:
        with av.open(str(Path(path).absolute()), options=options) as container:
            yield container
    except MediaError:
        raise
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise _damaged(path, f"cannot be read as media ({why})") from error


def _damaged(path: str, problem: str) -> MediaError:
    return MediaError(path, problem, "it may be damaged or cut off; make or copy it again")


def _pictures(container: InputContainer) -> list[Any]:
    from av.stream import Disposition

    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _first_picture(path: str, container: InputContainer) -> Any:
    streams = _pictures(container)
    if not streams:
        raise _damaged(path, "holds no picture")
    return streams[0]


def _duration_s(container: InputContainer) -> float | None:
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        return None
    told = None if container.duration is None else container.duration / _time_base()
    if told is not None and container.format.name != "mp3":
        return told if told > 0 else None
    counted = _counted_s(container)
    if told is not None and counted is not None and 0 <= counted - told <= _PADDING_S:
        return told
    return counted


def _time_base() -> int:
    """Ticks of a second in a container's duration."""
    import av

    return av.time_base


def _counted_s(container: InputContainer) -> float | None:
    """The sum of all packets of the first sound or video: for files whose head does not say.

    An MP3 without a header frame is one: FFmpeg guesses there from the first bit rate.
    """
    streams = [*container.streams.audio, *_pictures(container)]
    if not streams:
        return None
    stream = streams[0]
    ticks = sum(packet.duration or 0 for packet in container.demux(stream))
    seconds = float(ticks * stream.time_base) if stream.time_base is not None else 0.0
    return seconds if seconds > 0 else None
