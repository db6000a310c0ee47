"""Make the small media files of the examples: a drawn face, twice, and two synthetic voices.

Everything is computed here, so that the files carry nobody's face, voice or rights. Run it with
the project's Python (PyAV is all it needs)::

    python examples/media/make_media.py [FOLDER]

The same version of PyAV makes the same bytes each time. The files are committed; make them anew
only to change them.
"""

from __future__ import annotations

import math
import random
import sys
from array import array
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

SIZE = 320  # the picture's width and height, in pixels
DRAWN = 2 * SIZE  # it is drawn at twice the size; scaling it down smooths the edges
FPS = 25
VIDEO_S = 2.6

Color = tuple[int, int, int]

SKY_TOP: Color = (250, 226, 199)
SKY_BOTTOM: Color = (239, 178, 152)
HALO: Color = (252, 239, 221)
HAIR: Color = (74, 45, 44)
HAIR_SHINE: Color = (98, 62, 57)
SKIN: Color = (243, 198, 167)
SKIN_SHADE: Color = (222, 168, 138)
BLUSH: Color = (240, 168, 147)
WHITE: Color = (255, 252, 247)
IRIS: Color = (69, 112, 120)
DARK: Color = (44, 31, 36)
LIPS: Color = (190, 84, 82)
TEETH: Color = (250, 243, 236)
COAT: Color = (45, 107, 112)
COAT_SHADE: Color = (35, 88, 94)
SHIRT: Color = (250, 245, 236)


class Canvas:
    """A square RGB picture that is filled span by span. Coordinates run from 0 to 1."""

    def __init__(self) -> None:
        self.rows = [bytearray(DRAWN * 3) for _ in range(DRAWN)]

    def span(self, y: int, left: float, right: float, color: Color) -> None:
        """Fill row ``y`` (a pixel row) from ``left`` to ``right`` (fractions of the width)."""
        first = max(0, round(left * DRAWN))
        end = min(DRAWN, round(right * DRAWN))
        if 0 <= y < DRAWN and first < end:
            self.rows[y][first * 3 : end * 3] = bytes(color) * (end - first)

    def gradient(self, top: Color, bottom: Color) -> None:
        for y in range(DRAWN):
            self.span(y, 0, 1, blend(top, bottom, y / DRAWN))

    def ellipse(
        self, x: float, y: float, half_width: float, half_height: float, color: Color
    ) -> None:
        for row in range(int((y - half_height) * DRAWN), int((y + half_height) * DRAWN) + 1):
            rise = (row / DRAWN - y) / half_height
            if abs(rise) < 1:
                half = half_width * math.sqrt(1 - rise * rise)
                self.span(row, x - half, x + half, color)

    def band(
        self, top: float, bottom: float, edges: Callable[[float], tuple[float, float]], color: Color
    ) -> None:
        """Fill rows from ``top`` to ``bottom``; ``edges`` gives left and right for 0..1 of it."""
        first, last = int(top * DRAWN), int(bottom * DRAWN)
        for row in range(first, last):
            self.span(row, *edges((row - first) / max(1, last - first)), color)

    def arc(
        self, x: float, y: float, half_width: float, bend: float, width: float, color: Color
    ) -> None:
        """Draw a curved stroke; ``bend`` > 0 hangs down in the middle, like a smile."""
        steps = 90
        for step in range(steps + 1):
            along = 2 * step / steps - 1
            thick = width * (0.45 + 0.55 * (1 - along * along))
            self.ellipse(
                x + along * half_width, y + bend * (1 - along * along), thick, thick, color
            )

    def frame(self) -> av.VideoFrame:
        """The picture as a video frame of the final size."""
        frame = av.VideoFrame(DRAWN, DRAWN, "rgb24")
        plane = frame.planes[0]
        padding = bytes(plane.line_size - DRAWN * 3)
        plane.update(b"".join(bytes(row) + padding for row in self.rows))
        return frame.reformat(SIZE, SIZE, "rgb24", interpolation="AREA")


def blend(one: Color, other: Color, share: float) -> Color:
    """``one`` mixed with ``share`` (0 to 1) of ``other``."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def draw(sway: float, nod: float, lids: float, mouth: float) -> av.VideoFrame:
    """Draw Anna.

    ``sway`` and ``nod`` move her head sideways and down (fractions of the picture); ``lids``
    (0 open, 1 closed) and ``mouth`` (0 a smile, 1 wide open) do what they say.
    """
    canvas = Canvas()
    canvas.gradient(SKY_TOP, SKY_BOTTOM)
    canvas.ellipse(0.5, 0.45, 0.385, 0.385, HALO)
    head = (0.5 + sway, 0.425 + nod)
    draw_hair_behind(canvas, *head)
    draw_body(canvas, sway / 3)
    draw_head(canvas, *head)
    draw_eyes(canvas, *head, lids)
    draw_mouth(canvas, *head, mouth)
    return canvas.frame()


def draw_hair_behind(canvas: Canvas, x: float, y: float) -> None:
    canvas.ellipse(x, y - 0.02, 0.232, 0.25, HAIR)
    canvas.band(y, y + 0.25, lambda t: (x - 0.232 - 0.012 * t, x + 0.232 + 0.012 * t), HAIR)
    canvas.ellipse(x - 0.132, y + 0.25, 0.112, 0.07, HAIR)
    canvas.ellipse(x + 0.132, y + 0.25, 0.112, 0.07, HAIR)


def draw_body(canvas: Canvas, lean: float) -> None:
    x = 0.5 + lean
    canvas.ellipse(0.5, 1.03, 0.39, 0.285, COAT)
    canvas.ellipse(x, 0.775, 0.135, 0.075, COAT_SHADE)
    canvas.band(0.60, 0.78, lambda t: (x - 0.078 - 0.03 * t**3, x + 0.078 + 0.03 * t**3), SKIN)
    canvas.ellipse(x, 0.625, 0.077, 0.05, SKIN_SHADE)  # the chin's shadow on the neck
    canvas.ellipse(x, 0.775, 0.108, 0.05, SKIN)
    canvas.band(0.79, 1.0, lambda t: (x - 0.078 * (1 - t), x + 0.078 * (1 - t)), SHIRT)
    canvas.ellipse(x, 0.778, 0.098, 0.042, SKIN)
    for button in (0.90, 0.955):
        canvas.ellipse(0.5, button, 0.008, 0.008, COAT_SHADE)


def draw_head(canvas: Canvas, x: float, y: float) -> None:
    for side in (-1, 1):
        canvas.ellipse(x + side * 0.178, y + 0.045, 0.026, 0.042, SKIN_SHADE)
    canvas.ellipse(x, y, 0.178, 0.19, SKIN)
    canvas.ellipse(x, y + 0.075, 0.150, 0.155, SKIN)
    for side in (-1, 1):
        canvas.ellipse(x + side * 0.105, y + 0.105, 0.036, 0.023, BLUSH)
    draw_fringe(canvas, x, y)
    canvas.arc(x, y + 0.088, 0.017, 0.009, 0.0055, SKIN_SHADE)


def draw_fringe(canvas: Canvas, x: float, y: float) -> None:
    """Hair over the forehead, parted on her right."""
    for row in range(int((y - 0.235) * DRAWN), int((y + 0.03) * DRAWN)):
        at = row / DRAWN - y
        half = 0.2 * math.sqrt(max(0.0, 1 - (at / 0.235) ** 2))
        opening = max(0.0, at + 0.145)
        parting = x - 0.055
        canvas.span(row, x - half, parting - 1.15 * math.sqrt(opening) * 0.27, HAIR)
        canvas.span(row, parting + 1.9 * math.sqrt(opening) * 0.31, x + half, HAIR)
        if opening == 0:
            canvas.span(row, x - half, x + half, HAIR)
    canvas.arc(x + 0.055, y - 0.172, 0.075, -0.018, 0.0075, HAIR_SHINE)


def draw_eyes(canvas: Canvas, x: float, y: float, lids: float) -> None:
    for side in (-1, 1):
        eye = x + side * 0.073
        canvas.arc(eye + side * 0.004, y - 0.022, 0.034, -0.011, 0.0065, HAIR)
        if lids > 0.75:
            canvas.arc(eye, y + 0.034, 0.03, 0.011, 0.0055, DARK)
            continue
        height = 0.027 * (1 - lids)
        canvas.ellipse(eye, y + 0.036, 0.034, height, WHITE)
        canvas.ellipse(eye, y + 0.037, 0.0205, min(0.0205, height), IRIS)
        canvas.ellipse(eye, y + 0.037, 0.0115, min(0.0115, height), DARK)
        canvas.ellipse(eye + 0.007, y + 0.029, 0.0055, min(0.0055, height), WHITE)
        canvas.arc(eye, y + 0.034, 0.035, -0.025 * (1 - lids), 0.0052, DARK)


def draw_mouth(canvas: Canvas, x: float, y: float, mouth: float) -> None:
    at = y + 0.148
    if mouth < 0.12:
        canvas.arc(x, at - 0.006, 0.05, 0.022, 0.0078, LIPS)
        return
    height = 0.012 + 0.026 * mouth
    width = 0.05 - 0.012 * mouth
    canvas.ellipse(x, at + 0.008, width, height, LIPS)
    canvas.ellipse(x, at + 0.008, width * 0.76, height * 0.66, DARK)
    canvas.ellipse(x, at + 0.008 - height * 0.42, width * 0.55, height * 0.24, TEETH)


def picture(path: Path) -> None:
    """Write one calm frame as PNG."""
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        prepare(stream, "rgb24")
        put_frames(container, stream, iter([draw(0, 0, 0, 0)]))


def movie(path: Path) -> None:
    """Write the talking, blinking face as H.264 in MP4, without sound."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=FPS)
        prepare(stream, "yuv420p")
        stream.options = {"crf": "27", "preset": "slow", "threads": "1"}
        put_frames(container, stream, (pose(i / FPS) for i in range(round(VIDEO_S * FPS))))


def prepare(stream: VideoStream, pixels: str) -> None:
    stream.width = stream.height = SIZE
    stream.pix_fmt = pixels
    stream.codec_context.flags |= int(av.codec.context.Flags.bitexact)


def put_frames(
    container: av.container.OutputContainer, stream: VideoStream, frames: Iterator[av.VideoFrame]
) -> None:
    for number, frame in enumerate(frames):
        frame.pts = number
        frame.time_base = Fraction(1, FPS)
        container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
    container.mux(stream.encode(None))


def pose(at_s: float) -> av.VideoFrame:
    """Anna at a moment of the film, which loops without a jump."""
    turn = 2 * math.pi * at_s / VIDEO_S
    blink = max(0.0, 1 - abs(at_s - 1.5) / 0.12)
    return draw(
        sway=0.012 * math.sin(turn),
        nod=0.006 * math.sin(2 * turn),
        lids=blink,
        mouth=max(0.0, math.sin(turn / 2)) * abs(math.sin(3.5 * turn)),
    )


# A vowel is where the voice resonates: its first two formants, in hertz.
VOWELS = {"a": (800, 1250), "e": (500, 1900), "i": (320, 2300), "o": (480, 900), "u": (330, 800)}


def speech(syllables: str, rate: int, duration_s: float, pitch_hz: float) -> array[float]:
    """Something between a hum and speech: one vowel a syllable, a space is a short rest.

    Samples at ``rate`` per second, from -1 to 1, a little fade at both ends of each syllable.
    """
    per_syllable = math.ceil(rate * duration_s / len(syllables))
    breath = random.Random(7)
    samples = array("d")
    for number, vowel in enumerate(syllables):
        melody = 1 + 0.10 * math.sin(number * 1.7) - 0.12 * number / len(syllables)
        samples.extend(syllable(vowel, rate, per_syllable, pitch_hz * melody, breath))
    return samples[: round(rate * duration_s)]


def syllable(
    vowel: str, rate: int, length: int, pitch_hz: float, breath: random.Random
) -> Iterator[float]:
    if vowel == " ":
        yield from (0.0 for _ in range(length))
        return
    harmonics = [(n, loudness(n * pitch_hz, VOWELS[vowel])) for n in range(1, 28)]
    whole = sum(strength for _, strength in harmonics)
    for i in range(length):
        phase = 2 * math.pi * pitch_hz * i / rate
        voice = sum(strength * math.sin(n * phase) for n, strength in harmonics) / whole
        swell = math.sin(math.pi * (i + 0.5) / length) ** 0.6
        yield swell * (1.3 * voice + 0.012 * breath.uniform(-1, 1))


def loudness(hertz: float, formants: tuple[int, int]) -> float:
    """How strongly a vowel lets a harmonic through."""
    peaks = sum(math.exp(-(((hertz - formant) / 160) ** 2)) for formant in formants)
    return (peaks + 0.04) / (1 + hertz / 900)


def sound(path: Path, codec: str, samples: array[float], rate: int, bit_rate: int) -> None:
    """Write mono sound; ``bit_rate`` (bits a second) matters to compressed formats only."""
    integers = array("h", (round(max(-1.0, min(1.0, sample)) * 28000) for sample in samples))
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        stream.bit_rate = bit_rate
        stream.codec_context.flags |= int(av.codec.context.Flags.bitexact)
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(integers))
        frame.planes[0].update(integers.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for part in whole_frames(frame, stream):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def whole_frames(frame: av.AudioFrame, stream: AudioStream) -> Iterator[av.AudioFrame]:
    """The sound in the sample format and in the pieces that the encoder takes."""
    resampler = av.AudioResampler(
        format=stream.format, layout="mono", rate=stream.rate, frame_size=stream.frame_size or 1024
    )
    yield from resampler.resample(frame)
    yield from resampler.resample(None)


def main(folder: Path) -> None:
    picture(folder / "anna.png")
    movie(folder / "anna.mp4")
    hello = speech("e o  i u ae o ", 16_000, 3.0, 205.0)
    sound(folder / "hello.wav", "pcm_s16le", hello, 16_000, 256_000)
    welcome = speech("e o u a o i ", 22_050, 2.0, 128.0)
    sound(folder / "welcome.mp3", "libmp3lame", welcome, 22_050, 32_000)
    for path in sorted(folder.glob("*.*")):
        if path.suffix != ".py":
            print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
