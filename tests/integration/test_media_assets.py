"""Local media files: what is seen of them, and what is wrong with them."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from media_samples import picture, sound, video

from orchestrator.errors import MediaError
from orchestrator.media.assets import Stamp, inspect, sniff, stamp, trustworthy
from orchestrator.media.probe import decode_ends, probe
from orchestrator.model import ContentHash, MediaFacts


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    for name in ("a.mp4", "a.mov", "a.avi"):
        video(folder / name)
    for name in ("a.mp3", "a.wav", "a.m4a"):
        sound(folder / name, 1.5)
    for name in ("a.png", "a.jpg", "a.bmp", "a.webp"):
        picture(folder / name)
    return folder


def hash_of(path: Path) -> ContentHash:
    return ContentHash(hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("name", "duration_s", "has_video", "has_audio"),
    [
        *((f"a.{kind}", 1.0, True, False) for kind in ("mp4", "mov", "avi")),
        *((f"a.{kind}", 1.5, False, True) for kind in ("mp3", "wav", "m4a")),
        *((f"a.{kind}", None, False, False) for kind in ("png", "jpg", "bmp", "webp")),
    ],
)
def test_the_facts_of_every_format(
    samples: Path, name: str, duration_s: float | None, has_video: bool, has_audio: bool
) -> None:
    path = samples / name
    facts = inspect(str(path))
    assert facts == MediaFacts(
        path=str(path),
        size_bytes=path.stat().st_size,
        content_hash=hash_of(path),
        format=path.suffix[1:],
        duration_s=facts.duration_s,
        has_video=has_video,
        has_audio=has_audio,
    )
    assert facts.duration_s == (None if duration_s is None else pytest.approx(duration_s, abs=0.01))


def test_the_extension_is_read_in_lower_case(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "A.JPEG"
    shutil.copy(samples / "a.jpg", path)
    assert inspect(str(path)).format == "jpeg"


def test_an_mp3_without_a_head_is_counted_and_not_guessed(tmp_path: Path) -> None:
    # FFmpeg would take the bit rate of the first frames for that of the whole file.
    bare = {"write_xing": "0", "id3v2_version": "0"}
    low = sound(tmp_path / "low.mp3", 5.0, 8_000, **bare)
    high = sound(tmp_path / "high.mp3", 5.0, 64_000, **bare)
    path = tmp_path / "a.mp3"
    path.write_bytes(low.read_bytes() + high.read_bytes())
    assert inspect(str(path)).duration_s == pytest.approx(10.0, abs=0.3)


def test_a_cover_picture_makes_no_video_of_a_sound(tmp_path: Path, samples: Path) -> None:
    import av

    path = tmp_path / "a.mp3"
    with av.open(str(samples / "a.mp3")) as source, av.open(str(path), "w") as target:
        tone = target.add_stream_from_template(source.streams.audio[0])
        with av.open(str(samples / "a.png")) as image:
            cover = target.add_stream_from_template(image.streams.video[0])
            cover.disposition = av.stream.Disposition.attached_pic
            packets = [p for p in image.demux() if p.size]
            for packet in packets:
                packet.stream = cover
                target.mux(packet)
        for packet in source.demux():
            if packet.size:
                packet.stream = tone
                target.mux(packet)
    assert not inspect(str(path)).has_video


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        ("a.png", "x.mp4", r"is a PNG picture but is named \.mp4; name it \.png"),
        ("a.jpg", "x.png", r"is a JPEG picture but is named \.png"),
        ("a.mp4", "x.mp3", r"is an MP4 file but is named \.mp3; name it \.mp4"),
        ("a.mp4", "x.m4a", r"is a video but is named \.m4a; name it \.mp4"),
        ("a.m4a", "x.mp4", r"is sound without a picture but is named \.mp4"),
        ("a.wav", "x.mp3", r"is a WAV sound but is named \.mp3; name it \.wav"),
        ("a.mp3", "x.wav", r"is an MP3 sound but is named \.wav"),
        ("a.mp4", "x.mkv", r"is named \.mkv, which the vendor does not take; use one of \.avi"),
        ("a.mp4", "x", r"has a name without an extension"),
    ],
)
def test_content_that_does_not_fit_its_name_is_refused(
    samples: Path, tmp_path: Path, content: str, name: str, problem: str
) -> None:
    path = tmp_path / name
    shutil.copy(samples / content, path)
    with pytest.raises(MediaError, match=problem) as caught:
        inspect(str(path))
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.mp4", b"", "is empty; make or copy it again"),
        ("a.mp4", b"\x1aE\xdf\xa3 webm", r"is a WebM or Matroska file but is named \.mp4; convert"),
        ("a.png", b"<!DOCTYPE html>", "is an HTML or XML page"),
        ("a.wav", b"just some words", "is no media file of a known kind"),
        ("a.mp3", b"\xff\xf1\x50\x80 adts", "is a raw AAC sound"),
        ("a.mp4", b"\0\0\0\x18ftypmp42 and nothing after", "cannot be read as media"),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt ", "cannot be read as media|holds no sound"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "cannot be read as media|holds no"),
    ],
)
def test_damaged_and_foreign_content_is_refused(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=problem):
        inspect(str(path))


def test_a_picture_that_is_cut_off_at_its_start_is_refused(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes((samples / "a.png").read_bytes()[:40])
    with pytest.raises(MediaError):
        inspect(str(path))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for path, problem in (
        (tmp_path / "none.mp4", "there is no such file"),
        (tmp_path, "it is a folder"),
        (pipe, "not a regular file"),
        (Path("a\0b.mp4"), "cannot be read"),
    ):
        for look in (inspect, stamp):
            with pytest.raises(MediaError, match=problem):
                look(str(path))


def test_a_stamp_changes_when_the_file_does(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    os.utime(path, ns=(5, 5))
    first = stamp(str(path))
    found = path.stat()
    assert first == Stamp(
        path=str(path),
        size_bytes=3,
        mtime_ns=5,
        inode=found.st_ino,
        ctime_ns=found.st_ctime_ns,
    )
    other = tmp_path / "b.mp4"
    other.write_bytes(b"two")
    os.utime(other, ns=(5, 5))
    other.replace(path)
    assert stamp(str(path)) != first


@pytest.mark.parametrize(
    ("now", "trusted"), [(102.0, True), (500.0, True), (101.9, False), (100.0, False), (1.0, False)]
)
def test_a_stamp_of_a_file_just_written_is_not_trusted(now: float, trusted: bool) -> None:
    mark = Stamp(path="p", size_bytes=1, mtime_ns=100_000_000_000, inode=1, ctime_ns=1)
    assert trustworthy(mark, now) is trusted


@pytest.mark.parametrize("head", [b"", b"\xff", b"B", b"RIFF", b"\0\0\0\x18ftyp"])
def test_short_heads_do_not_confuse(head: bytes) -> None:
    assert sniff(head) in (None, "iso")


def test_both_ends_of_a_whole_video_decode(samples: Path) -> None:
    for name in ("a.mp4", "a.mov", "a.avi"):
        decode_ends(str(samples / name))


def test_a_video_with_rubbish_at_its_end_does_not_decode(samples: Path, tmp_path: Path) -> None:
    content = bytearray((samples / "a.mp4").read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start + (end - start) // 4 : end] = b"\0" * (end - (start + (end - start) // 4))
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    probe(str(path))
    with pytest.raises(MediaError):
        decode_ends(str(path))


def test_a_sound_has_no_frames_to_decode(samples: Path) -> None:
    with pytest.raises(MediaError, match="holds no picture"):
        decode_ends(str(samples / "a.wav"))


def test_a_playlist_cannot_send_the_probe_to_other_files(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text(f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/{samples}/a.mp4\n")
    with pytest.raises(MediaError):
        probe(str(path))
