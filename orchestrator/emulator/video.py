"""Real videos with PyAV: a still face, the voice under it, exactly as long as the voice.

Everything here blocks; the emulator runs it in worker threads.
"""

from __future__ import annotations

import io
import os
import wave
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from math import pi, sin
from pathlib import Path
from typing import Any, Literal

import av
import av.error

from orchestrator.emulator import picture

LARGEST_PX = 320
SOUND_RATE = 24_000
_BLOCK = 1024
_STRIP_ROWS = 6

MediaKind = Literal["video", "image", "audio", "none"]


class Unusable(Exception):
    """The media cannot be decoded; the message is the vendor's words for a failed task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a file holds. ``duration_s`` is None for images and where nothing tells."""

    kind: MediaKind
    has_video: bool = False
    has_audio: bool = False
    duration_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A result to make. ``face``: a picture or video file, or None for a card with ``label``.

    ``sound``: an audio file, or None for a tone of ``tone_s`` seconds that differs by
    ``key``. ``comment`` and ``title`` go into the container.
    """

    key: str
    face: Path | None
    label: str
    sound: Path | None
    tone_s: float
    title: str
    comment: str


def probe(path: Path) -> Facts:
    """Look into a file; one that is no media has the kind "none"."""
    try:
        with av.open(str(path)) as container:
            return _facts(container)
    except (av.error.FFmpegError, OSError, ValueError):
        return Facts(kind="none")


def _facts(container: Any) -> Facts:
    pictures = [s for s in container.streams.video if _decodes(container, s)]
    voices = [s for s in container.streams.audio if _decodes(container, s)]
    duration = None if container.duration is None else container.duration / av.time_base
    name = container.format.name
    kind: MediaKind = "none"
    if name.endswith("_pipe") or name in {"image2", "png", "webp"}:
        kind, duration = ("image" if pictures else "none"), None
    elif name.startswith(("mov", "avi", "matroska")) and pictures:
        kind = "video"
    elif voices:
        kind = "audio"
    return Facts(kind=kind, has_video=bool(pictures), has_audio=bool(voices), duration_s=duration)


def _decodes(container: Any, stream: Any) -> bool:
    try:
        if container.format.name.startswith("mov"):
            container.seek(0)  # the stream looked at before has moved the reader
        return next(iter(container.decode(stream)), None) is not None
    except (av.error.FFmpegError, ValueError):
        return False


def render(recipe: Recipe, target: Path) -> None:
    """Make the result under its final name, all at once.

    Raises:
        Unusable: the face or the sound cannot be decoded.
    """
    partial = target.with_suffix(f".{os.getpid()}.{id(recipe)}.tmp")
    try:
        _render(recipe, partial)
        partial.replace(target)
    except (av.error.FFmpegError, ValueError) as error:
        raise Unusable(f"the media could not be rendered: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _render(recipe: Recipe, target: Path) -> None:
    face = _card(recipe.label) if recipe.face is None else _first_frame(recipe.face)
    seconds = recipe.tone_s if recipe.sound is None else sound_seconds(recipe.sound)
    with av.open(str(target), "w", format="mp4") as out:
        out.metadata["title"] = recipe.title
        out.metadata["comment"] = recipe.comment
        count, rate = _frame_plan(seconds)
        pictures = _video_stream(out, face, rate)
        sound = out.add_stream("aac", rate=SOUND_RATE)
        sound.layout = "mono"
        sound.bit_rate = 48_000
        blocks = _tone(recipe.key, seconds) if recipe.sound is None else _decoded(recipe.sound)
        _interleave(out, _Track(pictures, _moving(face, count)), _Track(sound, blocks), rate)


@dataclass(slots=True)
class _Track:
    stream: Any
    frames: Iterator[Any]


def _interleave(out: Any, pictures: _Track, sound: _Track, rate: Fraction) -> None:
    """Write pictures as their time comes up in the sound, then whatever is left."""
    shown = samples = 0
    for block in sound.frames:
        block.pts, block.time_base = samples, Fraction(1, SOUND_RATE)
        samples += block.samples
        out.mux(sound.stream.encode(block))
        while shown / rate <= samples / SOUND_RATE and _show(out, pictures, shown, rate):
            shown += 1
    while _show(out, pictures, shown, rate):
        shown += 1
    out.mux(sound.stream.encode(None))
    out.mux(pictures.stream.encode(None))


def _show(out: Any, pictures: _Track, number: int, rate: Fraction) -> bool:
    frame = next(pictures.frames, None)
    if frame is None:
        return False
    frame.pts, frame.time_base = number, 1 / rate
    out.mux(pictures.stream.encode(frame))
    return True


def _frame_plan(seconds: float) -> tuple[int, Fraction]:
    """How many frames, and the frame rate that makes them last exactly ``seconds``."""
    per_second = 5 if seconds <= 120 else 1
    count = max(1, round(seconds * per_second))
    milliseconds = max(1, round(seconds * 1000))
    return count, Fraction(count * 1000, milliseconds).limit_denominator(60_000)


def _video_stream(out: Any, face: Any, rate: Fraction) -> Any:
    name = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "30"} if name[0] == "l" else {}
    stream = out.add_stream(name, rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = face.width, face.height, "yuv420p"
    stream.codec_context.time_base = 1 / rate
    stream.codec_context.thread_count = 1
    return stream


def _card(label: str) -> Any:
    canvas = picture.card(label)
    frame = av.VideoFrame(canvas.width, canvas.height, "rgb24")
    _fill(frame.planes[0], bytes(canvas.pixels), canvas.width * 3)
    return frame.reformat(format="yuv420p")


def _fill(plane: Any, packed: bytes, width: int) -> None:
    """Write rows of ``width`` bytes into a plane, whose own rows may be longer."""
    if plane.line_size != width:
        padding = bytes(plane.line_size - width)
        rows = (packed[at : at + width] + padding for at in range(0, len(packed), width))
        packed = b"".join(rows)
    plane.update(packed)


def _packed(plane: Any, width: int, height: int) -> bytes:
    """The rows of a plane without what stands between them."""
    data, stride = bytes(plane), plane.line_size
    return b"".join(data[y * stride : y * stride + width] for y in range(height))


def _first_frame(path: Path) -> Any:
    with av.open(str(path)) as container:
        frame = next(iter(container.decode(video=0)), None)
        if frame is None:
            raise Unusable("the avatar's picture cannot be decoded")
        scale = min(1.0, LARGEST_PX / max(frame.width, frame.height))
        width, height = (max(16, round(n * scale / 2) * 2) for n in (frame.width, frame.height))
        return frame.reformat(width=width, height=height, format="yuv420p")


def _moving(face: Any, count: int) -> Iterator[Any]:
    """The face ``count`` times, with a strip at the bottom that grows: a player sees it run."""
    width, height = face.width, face.height
    luma = _packed(face.planes[0], width, height)
    chroma = [_packed(plane, width // 2, height // 2) for plane in face.planes[1:]]
    for number in range(count):
        rows, lit = bytearray(luma), width * (number + 1) // count
        for y in range(height - _STRIP_ROWS, height):
            rows[y * width : y * width + lit] = b"\xeb" * lit
        frame = av.VideoFrame(width, height, "yuv420p")
        _fill(frame.planes[0], bytes(rows), width)
        for plane, data in zip(frame.planes[1:], chroma, strict=True):
            _fill(plane, data, width // 2)
        yield frame


def sound_seconds(path: Path) -> float:
    """How long the sound lasts, by counting its samples.

    Raises:
        Unusable: nothing can be decoded.
    """
    samples: int = sum(block.samples for block in _decoded(path))
    if samples == 0:
        raise Unusable("the audio cannot be decoded")
    return samples / SOUND_RATE


def _decoded(path: Path) -> Iterator[Any]:
    """Blocks of mono sound; a file that breaks off in the middle ends there."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise Unusable("the audio file holds no sound")
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=SOUND_RATE)
        frames = container.decode(audio=0)
        while True:
            try:
                frame = next(frames, None)
            except av.error.FFmpegError:
                frame = None
            yield from resampler.resample(frame)
            if frame is None:
                return


def _tone(key: str, seconds: float) -> Iterator[Any]:
    """A tone in syllables; pitch and rhythm follow from the key."""
    seed = sha256(key.encode()).digest()
    pitch = 3 + seed[0] % 8  # whole waves in a block, so that blocks join without a click
    loud = [_wave(pitch, 0.05 + 0.25 * (seed[n] / 255)) for n in range(1, 9)]
    left = round(seconds * SOUND_RATE)
    number = 0
    while left > 0:
        length = min(_BLOCK, left)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=length)
        frame.sample_rate = SOUND_RATE
        data = loud[number // 4 % len(loud)][: length * 4]
        plane = frame.planes[0]
        plane.update(data.ljust(plane.buffer_size, b"\x00"))
        yield frame
        left -= length
        number += 1


def _wave(periods: int, volume: float) -> bytes:
    step = 2 * pi * periods / _BLOCK
    return array("f", (volume * sin(step * n) for n in range(_BLOCK))).tobytes()


def sample_wav(label: str) -> bytes:
    """Three seconds of a tone that differs by label, as a WAV file."""
    pitch = 3 + sha256(label.encode()).digest()[0] % 8
    step = 2 * pi * pitch / _BLOCK
    block = array("h", (round(6000 * sin(step * n)) for n in range(_BLOCK))).tobytes()
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes(block * (3 * SOUND_RATE // _BLOCK))
    return out.getvalue()
