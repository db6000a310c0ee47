"""Whether a downloaded file is the video it should be. Everything here blocks."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import DownloadError, MediaError
from orchestrator.media.assets import sniff
from orchestrator.media.probe import decode_ends, probe
from orchestrator.model import Verify

_VIDEO_KINDS = frozenset({"iso", "webm", "avi"})
_SLACK_S = 0.5
_SLACK_SHARE = 0.05


def verify_video(path: Path, level: Verify, expected_s: float | None) -> float | None:
    """Look at a complete download; returns its length in seconds, None if it was not looked at
    or does not say.

    ``expected_s`` None: any length will do.

    Raises:
        DownloadError: ``bad_content``; it is no such video.
    """
    if level is Verify.LENGTH:
        return None
    try:
        duration_s = _container(path, expected_s)
        if level is Verify.DECODE:
            decode_ends(str(path))
    except MediaError as error:
        raise _bad(error.problem) from error
    return duration_s


def _container(path: Path, expected_s: float | None) -> float | None:
    # By its first bytes: a playlist, say, would send the decoder to other files.
    with path.open("rb") as file:
        kind = sniff(file.read(512))
    if kind not in _VIDEO_KINDS:
        raise _bad(f"is no video but {kind or 'something unknown'}")
    found = probe(str(path))
    if not found.has_video:
        raise _bad("has no video stream")
    if expected_s is not None:
        _require_length(found.duration_s, expected_s)
    return found.duration_s


def _require_length(duration_s: float | None, expected_s: float) -> None:
    if duration_s is None:
        raise _bad(f"does not say how long it is; {expected_s:.1f} s were expected")
    if abs(duration_s - expected_s) > max(_SLACK_S, _SLACK_SHARE * expected_s):
        raise _bad(f"is {duration_s:.1f} s long, {expected_s:.1f} s were expected")


def _bad(problem: str) -> DownloadError:
    return DownloadError(f"The downloaded file {problem}", bad_content=True)
