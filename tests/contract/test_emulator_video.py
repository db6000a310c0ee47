"""Result videos and media facts, seen through PyAV; addresses signed and judged."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest
from emulator_support import duration_s, make_mp4, make_png, make_wav

from orchestrator.emulator import picture, signing
from orchestrator.emulator.video import Facts, Recipe, Unusable, probe, render


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "key": "k",
        "face": None,
        "label": "3327",
        "sound": None,
        "tone_s": 1.0,
        "title": "avatar 3327",
        "comment": "Hello.",
    }
    return Recipe(**{**values, **changes})  # type: ignore[arg-type]


def rendered(made: Recipe, folder: Path) -> bytes:
    target = folder / "out.mp4"
    render(made, target)
    assert [p.name for p in folder.glob("out*")] == ["out.mp4"]
    return target.read_bytes()


def pixels(data: bytes) -> bytes:
    with av.open(io.BytesIO(data), "r") as container:
        return bytes(next(iter(container.decode(video=0))).planes[0])


@pytest.mark.parametrize("seconds", [0.05, 1.0, 3.37, 12.2, 125.5])
def test_a_result_lasts_as_long_as_its_sound(tmp_path: Path, seconds: float) -> None:
    data = rendered(recipe(tone_s=seconds), tmp_path)
    with av.open(io.BytesIO(data)) as container:
        kinds = sorted(stream.type for stream in container.streams)
    assert kinds == ["audio", "video"]
    assert duration_s(data) == pytest.approx(seconds, abs=0.15)


@pytest.mark.parametrize(
    ("name", "face"), [("a.mp4", make_mp4()), ("a.png", make_png()), ("b.mp4", make_mp4(width=90))]
)
def test_an_uploaded_face_and_an_uploaded_voice_become_one_video(
    tmp_path: Path, name: str, face: bytes
) -> None:
    (tmp_path / name).write_bytes(face)
    (tmp_path / "voice").write_bytes(make_wav(2.345))
    made = recipe(face=tmp_path / name, sound=tmp_path / "voice")
    data = rendered(made, tmp_path)
    assert duration_s(data) == pytest.approx(2.345, abs=0.15)


def test_the_picture_comes_from_the_upload(tmp_path: Path) -> None:
    (tmp_path / "dark").write_bytes(make_mp4(40))
    (tmp_path / "light").write_bytes(make_mp4(200))
    dark = pixels(rendered(recipe(face=tmp_path / "dark"), tmp_path))
    light = pixels(rendered(recipe(face=tmp_path / "light"), tmp_path))
    assert abs(dark[50] - 40) < 12
    assert abs(light[50] - 200) < 12


def test_large_pictures_are_made_small(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(make_mp4(width=1280, height=720))
    with av.open(io.BytesIO(rendered(recipe(face=tmp_path / "big"), tmp_path))) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (320, 180)


def test_the_container_tells_what_it_was_made_of(tmp_path: Path) -> None:
    with av.open(io.BytesIO(rendered(recipe(), tmp_path))) as container:
        assert container.metadata["comment"] == "Hello."
        assert container.metadata["title"] == "avatar 3327"


def test_different_avatars_look_different() -> None:
    assert picture.png(picture.card("3327")) == picture.png(picture.card("3327"))
    assert picture.png(picture.card("3327")) != picture.png(picture.card("3328"))


@pytest.mark.parametrize("data", [b"", b"nonsense" * 100, make_png()])
def test_what_cannot_be_decoded_is_unusable_and_leaves_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "voice").write_bytes(data)
    with pytest.raises(Unusable):
        render(recipe(sound=tmp_path / "voice"), tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*"))


def test_a_sound_that_breaks_off_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "voice").write_bytes(make_wav(4.0)[: 44 + 32_000 * 2])
    data = rendered(recipe(sound=tmp_path / "voice"), tmp_path)
    assert duration_s(data) == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (make_mp4(), Facts(kind="video", has_video=True, duration_s=1.0)),
        (make_png(), Facts(kind="image", has_video=True)),
        (make_wav(1.5), Facts(kind="audio", has_audio=True, duration_s=1.5)),
        (b"text", Facts(kind="none")),
        (b"", Facts(kind="none")),
    ],
)
def test_a_file_is_known_by_its_content(tmp_path: Path, data: bytes, facts: Facts) -> None:
    (tmp_path / "nameless").write_bytes(data)
    assert probe(tmp_path / "nameless") == facts


SECRET = b"secret"


def test_an_s3_address_is_good_until_it_ends_and_for_its_verb() -> None:
    target = signing.s3_target(SECRET, "t1", 1000.0, 1060.0)
    assert "X-Amz-Expires=60" in target
    assert signing.judge(SECRET, "GET", target, 1059.9) == "good"
    assert signing.judge(SECRET, "GET", target, 1060.0) == "expired"
    assert signing.judge(SECRET, "PUT", target, 1000.0) == "wrong"
    assert signing.judge(b"other", "GET", target, 1000.0) == "wrong"
    assert signing.judge(SECRET, "GET", target.replace("t1", "t2"), 1000.0) == "wrong"


def test_a_cdn_address_is_good_for_get_and_head() -> None:
    target = signing.cdn_target(SECRET, "t1", 1060.0)
    assert [signing.judge(SECRET, v, target, 1000.0) for v in ("GET", "HEAD", "PUT")] == [
        "good",
        "good",
        "wrong",
    ]
    assert signing.judge(SECRET, "GET", target, 1061.0) == "expired"


@pytest.mark.parametrize("target", ["", "/x", "/x?Signature=", "/x?a=b&Signature=é"])
def test_an_unsigned_address_is_wrong(target: str) -> None:
    assert signing.judge(SECRET, "GET", target, 0.0) == "wrong"
