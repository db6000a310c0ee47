"""Drawn cards for avatars without a picture of their own: a face, colours and the id. Pure.

No font and no imaging library: rows of pixels and a 3 x 5 dot alphabet.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from dataclasses import dataclass

SIZE = 256
"""Width and height of a card in pixels."""

_DOTS = {
    "0": "75557",
    "A": "25755",
    "B": "65656",
    "C": "34443",
    "D": "65556",
    "E": "74647",
    "F": "74644",
    "G": "34553",
    "H": "55755",
    "I": "72227",
    "J": "11152",
    "K": "55655",
    "L": "44447",
    "M": "57755",
    "N": "65555",
    "O": "25552",
    "P": "65644",
    "Q": "25563",
    "R": "65655",
    "S": "34216",
    "T": "72222",
    "U": "55557",
    "V": "55552",
    "W": "55775",
    "X": "55255",
    "Y": "55222",
    "Z": "71247",
    "1": "26227",
    "2": "61247",
    "3": "61216",
    "4": "55711",
    "5": "74616",
    "6": "34757",
    "7": "71222",
    "8": "75757",
    "9": "75716",
    "-": "00700",
}
_ROWS, _COLUMNS = 5, 3

Colour = tuple[int, int, int]


@dataclass(slots=True)
class Canvas:
    """Rows of RGB pixels."""

    width: int
    height: int
    pixels: bytearray

    @classmethod
    def plain(cls, width: int, height: int, colour: Colour) -> Canvas:
        """A canvas of one colour."""
        return cls(width, height, bytearray(bytes(colour) * (width * height)))

    def span(self, y: int, left: int, right: int, colour: Colour) -> None:
        """Paint one row from ``left`` up to but not including ``right``."""
        left, right = max(0, left), min(self.width, right)
        if not 0 <= y < self.height or left >= right:
            return
        start = (y * self.width + left) * 3
        self.pixels[start : start + (right - left) * 3] = bytes(colour) * (right - left)

    def box(self, left: int, top: int, width: int, height: int, colour: Colour) -> None:
        """Paint a rectangle."""
        for y in range(top, top + height):
            self.span(y, left, left + width, colour)

    def ellipse(self, x: int, y: int, rx: int, ry: int, colour: Colour) -> None:
        """Paint an ellipse around ``x``, ``y``."""
        for row in range(-ry, ry + 1):
            half = round(rx * math.sqrt(1 - (row / ry) ** 2))
            self.span(y + row, x - half, x + half, colour)

    def write(self, text: str, left: int, top: int, dot: int, colour: Colour) -> None:
        """Write letters and digits with dots of ``dot`` pixels; others become blanks."""
        for index, letter in enumerate(text.upper()):
            x = left + index * (_COLUMNS + 1) * dot
            for row, bits in enumerate(_DOTS.get(letter, "00000")):
                for column in range(_COLUMNS):
                    if int(bits) >> (_COLUMNS - 1 - column) & 1:
                        self.box(x + column * dot, top + row * dot, dot, dot, colour)


def card(label: str) -> Canvas:
    """A face with the label under it; the same label always looks the same."""
    seed = hashlib.sha256(label.encode()).digest()
    canvas = Canvas.plain(SIZE, SIZE, _pastel(seed[0:3]))
    for stripe in range(4):
        canvas.box(seed[8 + stripe] % SIZE, 0, 10, SIZE, _pastel(seed[12 + stripe :]))
    hair, light = _dark(seed[3:6]), 100 + seed[6] % 156
    skin = (238 * light // 255, 200 * light // 255, 168 * light // 255)
    middle = SIZE // 2
    canvas.ellipse(middle, 250, 92, 62, _dark(seed[20:23]))
    canvas.ellipse(middle, 104, 64 + seed[7] % 14, 78, hair)
    canvas.ellipse(middle, 116, 52, 64, skin)
    for eye in (-20, 20):
        canvas.ellipse(middle + eye, 104, 8, 6, (250, 250, 250))
        canvas.ellipse(middle + eye, 104, 4, 5, _dark(seed[23:26]))
    canvas.box(middle - 2, 112, 4, 16, _darker(skin))
    canvas.ellipse(middle, 148, 18, 4 + seed[26] % 6, (168, 40, 50))
    _label(canvas, label)
    return canvas


def png(canvas: Canvas) -> bytes:
    """The canvas as a PNG file."""
    stride = canvas.width * 3
    rows = b"".join(
        b"\x00" + bytes(canvas.pixels[y * stride : (y + 1) * stride]) for y in range(canvas.height)
    )
    header = struct.pack(">IIBBBBB", canvas.width, canvas.height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def _label(canvas: Canvas, label: str) -> None:
    text = label[-12:]
    dot = 6 if len(text) <= 8 else 4
    width = (len(text) * (_COLUMNS + 1) - 1) * dot
    left = (SIZE - width) // 2
    height = _ROWS * dot
    top = SIZE - 16 - height
    canvas.box(left - 8, top - 6, width + 16, height + 12, (250, 250, 250))
    canvas.write(text, left, top, dot, (20, 20, 30))


def _pastel(seed: bytes) -> Colour:
    return (150 + seed[0] % 90, 150 + seed[1] % 90, 150 + seed[2] % 90)


def _dark(seed: bytes) -> Colour:
    return (20 + seed[0] % 90, 20 + seed[1] % 90, 20 + seed[2] % 90)


def _darker(colour: Colour) -> Colour:
    return (colour[0] * 3 // 4, colour[1] * 3 // 4, colour[2] * 3 // 4)
