"""Local media files: what they are, and whether they are still what they were.

Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import MediaError
from orchestrator.media.probe import Probe, decode_first, probe
from orchestrator.model import ContentHash, MediaFacts

_CHUNK_BYTES = 1024 * 1024
_SETTLED_S = 2.0

PICTURES = frozenset({"png", "jpg", "jpeg", "bmp", "webp"})
SOUNDS = frozenset({"mp3", "wav", "m4a"})
VIDEOS = frozenset({"mp4", "mov", "avi"})

_KIND_OF: Mapping[str, str] = {
    "png": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "bmp": "bmp",
    "webp": "webp",
    "mp3": "mp3",
    "wav": "wav",
    "m4a": "iso",
    "mp4": "iso",
    "mov": "iso",
    "avi": "avi",
}
"""What :func:`sniff` must say for each extension that the vendor takes. MP4, MOV and M4A are
one family, whose brands nobody sets with care: there the streams decide."""

_SHOWN: Mapping[str, tuple[str, str]] = {
    "png": ("a PNG picture", ".png"),
    "jpeg": ("a JPEG picture", ".jpg"),
    "bmp": ("a BMP picture", ".bmp"),
    "webp": ("a WebP picture", ".webp"),
    "mp3": ("an MP3 sound", ".mp3"),
    "wav": ("a WAV sound", ".wav"),
    "iso": ("an MP4 file", ".mp4 (or .mov, or .m4a for sound alone)"),
    "avi": ("an AVI video", ".avi"),
}
_FOREIGN: Mapping[str, str] = {
    "webm": "a WebM or Matroska file",
    "ogg": "an Ogg file",
    "flac": "a FLAC sound",
    "aac": "a raw AAC sound",
    "gif": "a GIF picture",
    "heic": "a HEIC or AVIF picture",
    "tiff": "a TIFF picture",
    "pdf": "a PDF document",
    "markup": "an HTML or XML page",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Identity of a local file's bytes without reading them."""

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int
    ctime_ns: int


def stamp(path: str) -> Stamp:
    """Look at a file without reading it.

    Raises:
        MediaError: there is no readable, regular, non-empty file of this name.
    """
    found = _regular(path)
    return Stamp(
        path=path,
        size_bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
        inode=found.st_ino,
        ctime_ns=found.st_ctime_ns,
    )


def trustworthy(stamp: Stamp, now: float) -> bool:
    """Whether an equal stamp later on will mean equal bytes; ``now`` in Unix seconds.

    Not if the file was written within 2 s before ``now``, or "after" it: file systems count
    time coarsely, and the next write could bear the same time.
    """
    return now - stamp.mtime_ns / 1e9 >= _SETTLED_S


def inspect(path: str) -> MediaFacts:
    """Hash and probe a file that a job needs.

    Raises:
        MediaError: it is missing, unreadable, empty, damaged, or not what its name says.
    """
    _regular(path)
    extension = Path(path).suffix.lower().removeprefix(".")
    content_hash, size_bytes, head = _hashed(path)
    if size_bytes == 0:
        raise _empty(path)
    _require_fit(path, extension, sniff(head))
    if extension in PICTURES:
        decode_first(path)
        return MediaFacts(
            path=path, size_bytes=size_bytes, content_hash=content_hash, format=extension
        )
    found = probe(path)
    _require_streams(path, extension, found)
    return MediaFacts(
        path=path,
        size_bytes=size_bytes,
        content_hash=content_hash,
        format=extension,
        duration_s=found.duration_s,
        has_video=found.has_video,
        has_audio=found.has_audio,
    )


def sniff(head: bytes) -> str | None:
    """What a file is by its first bytes (16 are enough, 512 find more); None if unknown."""
    return next((kind for kind, fits in _MARKS if fits(head)), None)


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _riff(kind: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[:4] in (b"RIFF", b"RF64") and head[8:12] == kind


def _is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"hevc")


def _is_iso(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def _is_mp3(head: bytes) -> bool:
    """A sync word with layer III, or a tag in front of one."""
    return head[:3] == b"ID3" or (
        len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 == 0x02
    )


def _is_adts(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0


def _is_markup(head: bytes) -> bool:
    return (
        head.lstrip(b"\xef\xbb\xbf \t\r\n")[:5].lower().startswith((b"<html", b"<!doc", b"<?xml"))
    )


_MARKS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("png", _starts(b"\x89PNG\r\n\x1a\n")),
    ("jpeg", _starts(b"\xff\xd8\xff")),
    ("webp", _riff(b"WEBP")),
    ("wav", _riff(b"WAVE")),
    ("avi", _riff(b"AVI ")),
    ("heic", _is_heic),
    ("iso", _is_iso),
    ("webm", _starts(b"\x1aE\xdf\xa3")),
    ("ogg", _starts(b"OggS")),
    ("flac", _starts(b"fLaC")),
    ("gif", _starts(b"GIF8")),
    ("tiff", _starts(b"II*\x00", b"MM\x00*")),
    ("pdf", _starts(b"%PDF")),
    ("markup", _is_markup),
    ("aac", _is_adts),
    ("mp3", _is_mp3),
    ("bmp", _starts(b"BM")),
)


def _regular(path: str) -> os.stat_result:
    try:
        found = Path(path).stat()
    except FileNotFoundError as error:
        raise MediaError(path, "there is no such file", "check the path and its case") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise MediaError(path, f"it is {what}", "name a media file")
    if found.st_size == 0:
        raise _empty(path)
    return found


def _empty(path: str) -> MediaError:
    return MediaError(path, "the file is empty", "make or copy it again")


def _unreadable(path: str, error: OSError | ValueError) -> MediaError:
    why = getattr(error, "strerror", None) or str(error)
    return MediaError(path, f"the file cannot be read ({why})", "make it readable and run again")


def _hashed(path: str) -> tuple[ContentHash, int, bytes]:
    """SHA-256, size and the first 512 bytes, of the same one reading."""
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                head = head or chunk[:512]
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise _unreadable(path, error) from error
    return ContentHash(digest.hexdigest()), size, head


def _require_fit(path: str, extension: str, kind: str | None) -> None:
    wanted = _KIND_OF.get(extension)
    if wanted is None:
        known = ", ".join(f".{e}" for e in sorted(_KIND_OF))
        named = f"is named .{extension}" if extension else "has a name without an extension"
        raise MediaError(path, f"{named}, which the vendor does not take", f"use one of {known}")
    if kind == wanted:
        return
    if kind is not None and kind in _SHOWN:
        shown, right = _SHOWN[kind]
        raise MediaError(path, f"is {shown} but is named .{extension}", f"name it {right}")
    shown = _FOREIGN.get(kind or "", "no media file of a known kind")
    raise MediaError(path, f"is {shown} but is named .{extension}", f"convert it to .{extension}")


def _require_streams(path: str, extension: str, found: Probe) -> None:
    if extension in VIDEOS and not found.has_video:
        what = "is sound without a picture" if found.has_audio else "holds neither sound nor video"
        raise MediaError(path, f"{what} but is named .{extension}", "use a video, or name it .m4a")
    if extension in SOUNDS and found.has_video:
        raise MediaError(path, f"is a video but is named .{extension}", "name it .mp4")
    if extension in SOUNDS and not found.has_audio:
        raise MediaError(path, "holds no sound", "make or copy it again")
    if extension == "mp3" and found.format_name != "mp3":
        raise MediaError(
            path, f"is {found.format_name} sound but is named .mp3", "convert it to .mp3"
        )
