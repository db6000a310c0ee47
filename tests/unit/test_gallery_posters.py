"""Posters: small, of the right shape, made once, and never the reason for a failure."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import av
import pytest
from results_kit import small_video

from orchestrator.errors import MediaError
from orchestrator.media.poster import make_poster
from orchestrator.media.posters import Patience, PosterShelf

PLENTY = Patience(fresh=100, most_s=60.0)


def picture(jpeg: bytes) -> av.VideoFrame:
    with av.open(io.BytesIO(jpeg), "r") as container:
        assert container.format.name in ("jpeg_pipe", "mjpeg")
        return next(container.decode(video=0))


def test_a_poster_keeps_the_shape_and_is_not_enlarged(tmp_path: Path) -> None:
    video = small_video(tmp_path / "v.mp4", width=96, height=160)
    frame = picture(make_poster(video, longest_px=80))
    assert (frame.width, frame.height) == (48, 80)
    frame = picture(make_poster(video))
    assert (frame.width, frame.height) == (96, 160)


def test_a_poster_is_coarsened_until_it_is_small(tmp_path: Path) -> None:
    video = small_video(tmp_path / "v.mp4", width=320, height=320)
    fine = make_poster(video, most_bytes=10**9)
    assert len(make_poster(video, most_bytes=len(fine) // 2)) <= len(fine) // 2


def test_a_poster_is_not_the_black_beginning(tmp_path: Path) -> None:
    frame = picture(make_poster(small_video(tmp_path / "v.mp4")))
    light = bytes(frame.reformat(format="gray").planes[0])
    assert sum(light) / len(light) > 60


def test_a_video_of_one_frame_has_a_poster(tmp_path: Path) -> None:
    assert picture(make_poster(small_video(tmp_path / "v.mp4", frames=1))).width == 96


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_has_no_poster(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(MediaError, match="cannot be read as a video"):
        make_poster(tmp_path / "v.mp4")


def test_sound_alone_has_no_poster(tmp_path: Path) -> None:
    path = tmp_path / "v.wav"
    path.write_bytes(b"RIFF\x34\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0")
    with path.open("ab") as file:
        file.write(b"data\x10\0\0\0" + bytes(16))
    with pytest.raises(MediaError, match="holds no picture"):
        make_poster(path)


def test_posters_are_made_once_whatever_their_names(tmp_path: Path) -> None:
    shelf = PosterShelf(tmp_path / "state" / "posters")
    videos = {"../../etc/x": small_video(tmp_path / "a.mp4"), "": small_video(tmp_path / "b.mp4")}
    first = shelf.collect(videos, PLENTY, threading.Event())
    assert first.pictures.keys() == videos.keys()
    for video in videos.values():
        video.unlink()
    again = shelf.collect(videos, Patience(fresh=0, most_s=0.0), threading.Event())
    assert again == first
    assert len(list((tmp_path / "state" / "posters").iterdir())) == 2
    assert {p.name for p in tmp_path.iterdir()} == {"state"}


def test_posters_beyond_our_patience_are_counted(tmp_path: Path) -> None:
    shelf = PosterShelf(tmp_path / "posters")
    videos = {str(n): small_video(tmp_path / f"{n}.mp4", frames=2) for n in range(3)}
    found = shelf.collect(videos, Patience(fresh=1, most_s=60.0), threading.Event())
    assert (set(found.pictures), found.left_out) == ({"0"}, 2)
    late = shelf.collect(videos, Patience(fresh=9, most_s=-1.0), threading.Event())
    assert (set(late.pictures), late.left_out) == ({"0"}, 2)
    stopped = threading.Event()
    stopped.set()
    assert shelf.collect(videos, PLENTY, stopped).left_out == 2


def test_a_broken_video_is_left_without_a_picture_and_not_counted(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"broken")
    found = PosterShelf(tmp_path / "posters").collect(
        {"v": tmp_path / "v.mp4"}, PLENTY, threading.Event()
    )
    assert (found.pictures.get("v"), found.left_out) == (None, 0)


def test_a_shelf_that_cannot_be_written_still_gives_posters(tmp_path: Path) -> None:
    (tmp_path / "posters").write_text("a file where the folder should be")
    videos = {"v": small_video(tmp_path / "v.mp4", frames=2)}
    found = PosterShelf(tmp_path / "posters").collect(videos, PLENTY, threading.Event())
    assert found.pictures.keys() == {"v"}
