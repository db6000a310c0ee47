"""Small real media files, made when they are needed."""

from __future__ import annotations

import math
import random
from array import array
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

FPS = 25
RATE = 16_000


def video(path: Path, duration_s: float = 1.0, size: int = 64, seed: int = 1) -> Path:
    """Noise as H.264, the index at the end: about 1.5 MB for 2 s at 320 pixels."""
    noise = random.Random(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(round(duration_s * FPS)):
            frame = av.VideoFrame(size, size, "yuv420p")
            for plane in frame.planes:
                plane.update(noise.randbytes(plane.buffer_size))
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sound(path: Path, duration_s: float = 1.0, bit_rate: int | None = None, **options: str) -> Path:
    """A tone, in the format that the name says; ``options`` are the container's."""
    codec = {"mp3": "libmp3lame", "wav": "pcm_s16le", "m4a": "aac"}[path.suffix[1:]]
    samples = array("h", (round(9000 * math.sin(i / 9)) for i in range(round(RATE * duration_s))))
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=RATE, layout="mono")
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples))
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=RATE, frame_size=stream.frame_size or 1024
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def picture(path: Path, size: int = 32) -> Path:
    """A grey square, in the format that the name says."""
    codecs = {"png": "png", "jpg": "mjpeg", "bmp": "bmp", "webp": "libwebp"}
    pixels = {"png": "rgb24", "jpg": "yuvj420p", "bmp": "bgr24", "webp": "yuv420p"}
    kind = path.suffix[1:]
    form = "webp" if kind == "webp" else "image2"
    options = {} if kind == "webp" else {"update": "1"}
    with av.open(str(path), "w", format=form, options=options) as container:
        stream: Any = container.add_stream(codecs[kind], rate=1)
        stream.width = stream.height = size
        stream.pix_fmt = pixels[kind]
        frame = av.VideoFrame(size, size, "rgb24")
        frame.planes[0].update(bytes([128]) * frame.planes[0].buffer_size)
        container.mux(stream.encode(frame.reformat(format=pixels[kind])))
        container.mux(stream.encode(None))
    return path
