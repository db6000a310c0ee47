"""The example media are what their names say, small, and can be made anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import pytest

MEDIA = Path(__file__).resolve().parents[2] / "examples" / "media"
LARGEST_BYTES = 100_000

# Name: codecs of its streams, and its length in seconds (None for a picture).
FILES: dict[str, tuple[list[str], float | None]] = {
    "anna.mp4": (["h264"], 2.6),
    "anna.png": (["png"], None),
    "hello.wav": (["pcm_s16le"], 3.0),
    "welcome.mp3": (["mp3float"], 2.0),
}


def look_at(path: Path) -> tuple[list[str], float | None]:
    with av.open(str(path)) as container:
        codecs = [stream.codec_context.name for stream in container.streams]
        return codecs, container.duration and container.duration / av.time_base


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_small_and_what_its_name_says(name: str) -> None:
    codecs, duration_s = look_at(MEDIA / name)
    assert codecs == FILES[name][0]
    assert duration_s == pytest.approx(FILES[name][1], abs=0.05)
    assert (MEDIA / name).stat().st_size <= LARGEST_BYTES


def test_the_examples_can_be_made_anew(tmp_path: Path) -> None:
    script = [sys.executable, str(MEDIA / "make_media.py"), str(tmp_path)]
    subprocess.run(script, check=True, capture_output=True, timeout=60)
    made = {name: look_at(tmp_path / name) for name in FILES}
    assert made == {name: look_at(MEDIA / name) for name in FILES}
