"""The vendor's wire contract as values: what goes out, and what came back. Pure.

Facts are from ``docs/vendor.md``. What comes back may be anything: nothing here raises for
it. Links that are signed are :class:`SignedUrl`, a text whose ``repr`` keeps its secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from orchestrator.core.outcome import clean_words, find_task_id, usable_link
from orchestrator.model import (
    Answer,
    AudioKind,
    AvatarKind,
    FileId,
    JobSpec,
    Mode,
    TaskId,
)

MIME_TYPES: Mapping[str, str] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "bmp": "image/bmp",
    "webp": "image/webp",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "m4a": "audio/mp4",
}
"""The formats that the vendor takes, with their MIME types (docs/vendor.md)."""

LONGEST_RETRY_AFTER_S = 3600.0
"""A server's wish beyond this is cut, so that one odd header cannot end a night's work."""

_SHORT_CHARS = 500
"""What is said of words up to this length is remembered."""

_AVATAR = {
    AvatarKind.VIDEO: ("0", "videoFileId"),
    AvatarKind.PUBLIC: ("1", "aiAvatarId"),
    AvatarKind.PRIVATE: ("2", "aiAvatarId"),
    AvatarKind.IMAGE: ("3", "imageFileId"),
}
_AUDIO = {AudioKind.FILE: ("0", "audioFileId"), AudioKind.TEXT: ("1", "ttsText")}
_MODE = {Mode.AVATAR1: "0", Mode.AVATAR2: "1"}


class SignedUrl(str):
    """A link that opens without a key: whoever has it has the file. ``repr`` shows no more than
    that there is one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'<signed url>'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The right to upload one file; ``upload_url`` is used byte for byte and never stored."""

    file_id: FileId
    upload_url: str = field(repr=False)


def submit_body(
    spec: JobSpec, file_ids: Mapping[str, FileId], notice_url: str | None = None
) -> dict[str, Any]:
    """The body of a submit: only what the chosen sources need (docs/vendor.md).

    ``file_ids`` names the uploaded file of each path in ``spec.files``.

    Raises:
        KeyError: a file of the job has no file id.
    """
    avatar_from, avatar_key = _AVATAR[spec.avatar_kind]
    audio_from, audio_key = _AUDIO[spec.audio_kind]
    local = spec.files
    body: dict[str, Any] = {
        "avatarSourceFrom": avatar_from,
        avatar_key: file_ids[spec.avatar] if spec.avatar in local else spec.avatar,
        "audioSourceFrom": audio_from,
        audio_key: spec.audio if spec.audio_kind is AudioKind.TEXT else file_ids[spec.audio],
        "modeType": _MODE[spec.mode],
    }
    if spec.audio_kind is AudioKind.TEXT:
        body["voiceSpeed"] = spec.speed
        if spec.voice is not None:
            body["voiceoverId"] = spec.voice
    if spec.caption is not None:
        body["captionId"] = spec.caption
    if spec.save_avatar:
        body["isSave2CustomAiAvatar"] = True
    if notice_url is not None:
        body["noticeUrl"] = notice_url
    return body


def parse_envelope(status: int, headers: Mapping[str, str], body: bytes, now_wall: float) -> Answer:
    """Read one HTTP response of the API, whatever it is. Never raises.

    ``now_wall`` (Unix seconds) turns a ``Retry-After`` date into seconds when the response has
    no ``Date``. A task id that stands outside ``result`` is carried into it; an object without a
    code (a gateway's error, say) becomes the result as a whole, and the code stays None.
    """
    lower = {str(k).lower(): str(v) for k, v in headers.items()}
    server_time = unix_time(lower.get("date"))
    decoded = _decode(body)
    code = _code(decoded.get("code")) if isinstance(decoded, dict) else None
    return Answer(
        status=status,
        code=code,
        message=_words(decoded.get("message")) if isinstance(decoded, dict) else "",
        result=_result(decoded, code),
        detail="" if code is not None else _clue(decoded, body),
        retry_after_s=retry_after_s(lower.get("retry-after"), server_time or now_wall),
        server_time=server_time,
    )


def parse_credential(answer: Answer) -> Credential | None:
    """The upload right in the answer to a credential call; None if there is no usable one."""
    if not answer.ok or not isinstance(answer.result, Mapping):
        return None
    file_id, url = answer.result.get("fileId"), usable_link(answer.result.get("uploadUrl"))
    if not isinstance(file_id, str) or not file_id.strip() or not file_id.isprintable():
        return None
    if url is None:
        return None
    return Credential(file_id=FileId(file_id.strip()), upload_url=SignedUrl(url))


def check_result(answer: Answer) -> bool | None:
    """Whether the uploaded object is there; None if the answer does not say.

    An unknown file id (4004) is a no (docs/vendor.md).
    """
    if answer.code == "4004":
        return False
    if not answer.ok:
        return None
    if isinstance(answer.result, str):
        return {"true": True, "false": False}.get(answer.result.strip().lower())
    return answer.result if isinstance(answer.result, bool) else None


def remaining_credit(answer: Answer) -> float | None:
    """The balance in the answer to a credit call, in credits; None if it does not say."""
    value = answer.result.get("remainCredit") if isinstance(answer.result, Mapping) else None
    return _number(value)


def task_id_of(result: Any) -> TaskId | None:
    """The first non-empty task id anywhere in a reply."""
    return find_task_id(result)


def retry_after_s(text: str | None, now_wall: float) -> float | None:
    """Seconds to wait, from seconds or an HTTP date; None if there is no readable wish."""
    if text is None:
        return None
    if re.fullmatch(r"\s*\d{1,12}(\.\d{1,12})?\s*", text, re.ASCII):
        return min(float(text), LONGEST_RETRY_AFTER_S)
    at = unix_time(text)
    return None if at is None else min(max(at - now_wall, 0.0), LONGEST_RETRY_AFTER_S)


@lru_cache(maxsize=64)
def unix_time(text: str | None) -> float | None:
    """An HTTP date as Unix seconds; None if it is none.

    Remembered: hundreds of answers in a second have the same date.
    """
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return (aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def s3_error_code(body: bytes) -> str:
    """The one word that an object store's XML error starts with ("AccessDenied"), or "".

    Nothing else of it is kept: such errors quote keys and signatures.
    """
    found = re.search(rb"<Code>([A-Za-z0-9]{1,64})</Code>", body)
    return found.group(1).decode("ascii") if found else ""


def scrub(text: str, secrets: tuple[str, ...]) -> str:
    """One clean line (see ``core.outcome.clean_words``) without the secrets, nor what is left of
    one where the text was cut off."""
    return _scrubbed_before(text, secrets) if len(text) <= _SHORT_CHARS else _scrub(text, secrets)


def _scrub(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if secret:
            text = _without_start(text.replace(secret, "***"), secret)
    return clean_words(text)


_scrubbed_before = lru_cache(maxsize=64)(_scrub)
"""Remembered: nearly every answer has the same few words ("Success")."""


def _without_start(text: str, secret: str) -> str:
    """The text without a beginning of the secret (four characters or more) at its end."""
    ends = (n for n in range(len(secret) - 1, 3, -1) if text.endswith(secret[:n]))
    cut = next(ends, 0)
    return f"{text[:-cut]}***" if cut else text


def scrub_answer(answer: Answer, secrets: tuple[str, ...]) -> Answer:
    """The answer without the secrets in any words of it that people get to see."""
    result = answer.result
    if isinstance(result, dict) and isinstance(result.get("errorMsg"), str):
        result = {**result, "errorMsg": scrub(result["errorMsg"], secrets)}
    message = scrub(answer.message, secrets)
    if message == answer.message and result is answer.result:
        return answer
    return replace(answer, message=message, result=result)


def _words(value: Any) -> str:
    if isinstance(value, str) and len(value) <= _SHORT_CHARS:
        return _words_before(value)
    return clean_words(value)


_words_before: Callable[[str], str] = lru_cache(maxsize=64)(clean_words)


def _decode(body: bytes) -> Any:
    try:
        return _DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError):
        return None


def _guard(pairs: dict[str, Any]) -> dict[str, Any]:
    for key, value in pairs.items():
        if isinstance(value, str) and key.lower().endswith("url"):
            pairs[key] = SignedUrl(value)
    return pairs


_DECODER = json.JSONDecoder(object_hook=_guard)
"""What ``json.loads`` would make anew for each reply."""


def _code(value: Any) -> str | None:
    """The envelope's code as text: strings, integers and 200.0 are understood."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and abs(value) < 10**9:
        return str(value)
    if isinstance(value, str):
        return _words(value)[:40] or None
    return None


def _result(decoded: Any, code: str | None) -> Any:
    if not isinstance(decoded, dict) or code is None:
        return decoded
    result = decoded["result"] if decoded.get("result") is not None else decoded.get("data")
    if find_task_id(result) is not None or (elsewhere := find_task_id(decoded)) is None:
        return result
    return {**result, "taskId": elsewhere} if isinstance(result, dict) else decoded


def _clue(decoded: Any, body: bytes) -> str:
    """What came instead of an envelope, in a few words."""
    if isinstance(decoded, dict):
        return "JSON without a code"
    if decoded is not None:
        return "JSON that is no object"
    start = body[:1000].lstrip().lower()
    if not start:
        return "an empty body"
    return "HTML instead of JSON" if start.startswith((b"<!doctype", b"<html")) else "no JSON"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 else None
