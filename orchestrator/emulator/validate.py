"""The vendor's rules for a submit, as a pure function from a JSON body to a checked order.

Order of complaints: the shape of values (4000), what is missing (4003), combinations (4000),
then ids that nobody knows (4004). Empty strings and null count as absent; enums may come as
text or as integers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

VIDEO_FORMATS = frozenset({"mp4", "mov", "avi"})
IMAGE_FORMATS = frozenset({"png", "jpg", "jpeg", "bmp", "webp"})
AUDIO_FORMATS = frozenset({"mp3", "wav", "m4a"})
FORMATS = VIDEO_FORMATS | IMAGE_FORMATS | AUDIO_FORMATS

_ENUMS = {
    "avatarSourceFrom": ("1", ("0", "1", "2", "3")),
    "audioSourceFrom": ("1", ("0", "1")),
    "modeType": ("0", ("0", "1", "2")),
}
_TEXTS = (
    "videoFileId",
    "aiAvatarId",
    "imageFileId",
    "audioFileId",
    "ttsText",
    "voiceoverId",
    "captionId",
    "noticeUrl",
)
_SLOWEST, _FASTEST = 0.8, 1.2


class Refusal(Exception):
    """The call is refused with this envelope code; nothing was done."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(f"{code}: {message}")


class Known(Protocol):
    """What ids the vendor knows for this account."""

    def file_format(self, file_id: str) -> str | None:
        """The format of a file that has been uploaded; None if there is no such file."""

    def file_known(self, file_id: str) -> bool:
        """Whether a credential was given for the id, uploaded or not."""

    def avatar(self, avatar_id: str, *, private: bool) -> bool:
        """Whether the public, or this account's private, avatar exists."""

    def voice(self, voice_id: str) -> bool:
        """Whether the voice exists."""

    def caption(self, caption_id: str) -> bool:
        """Whether the caption style exists."""

    def own_voice(self, avatar_id: str) -> str | None:
        """The voice that a public avatar brings along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The switchable ones."""

    mode_2: Literal["accept", "refuse"] = "accept"
    caption_elsewhere: Literal["ignore", "refuse"] = "ignore"
    unusable_file: Literal["refuse", "fail"] = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A submit that is in order. ``error``: accepted, but the task will fail with this."""

    avatar_source: str
    audio_source: str
    mode: str
    avatar: str
    audio: str
    voice: str | None
    speed: float
    caption: str | None
    save: bool
    notice_url: str | None
    error: str | None = None

    def body(self) -> dict[str, Any]:
        """The order with absent fields left out: what is kept and shown."""
        fields: dict[str, Any] = {
            "avatarSourceFrom": self.avatar_source,
            AVATAR_FIELDS[self.avatar_source]: self.avatar,
            "audioSourceFrom": self.audio_source,
            "audioFileId" if self.audio_source == "0" else "ttsText": self.audio,
            "modeType": self.mode,
            "isSave2CustomAiAvatar": self.save,
        }
        if self.audio_source == "1":
            fields |= {"voiceoverId": self.voice, "voiceSpeed": self.speed}
        fields |= {"captionId": self.caption, "noticeUrl": self.notice_url}
        return {k: v for k, v in fields.items() if v is not None}

    def content(self, hashes: Mapping[str, str]) -> dict[str, Any]:
        """What is paid for, with files by content (``hashes``: file id to SHA-256)."""
        paid = self.body()
        paid.pop("noticeUrl", None)
        for key in ("videoFileId", "imageFileId", "audioFileId"):
            if key in paid:
                paid[key.replace("FileId", "Hash")] = hashes.get(paid.pop(key), "")
        return paid

    def identity(self) -> str:
        """Hash of the body as sent, without the notice address (which differs by attempt)."""
        return fingerprint({k: v for k, v in self.body().items() if k != "noticeUrl"})


AVATAR_FIELDS = {"0": "videoFileId", "1": "aiAvatarId", "2": "aiAvatarId", "3": "imageFileId"}


def fingerprint(value: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of ``value``, 64 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def parse_submit(body: Mapping[str, Any], known: Known, rules: Rules) -> Order:
    """Check a submit's body.

    Raises:
        Refusal: 4000, 4003 or 4004 with a sentence.
    """
    values = _shapes(body)
    _required(values, known)
    _combinations(values, rules)
    error = _ids(values, known, rules)
    avatar_source, audio_source = values["avatarSourceFrom"], values["audioSourceFrom"]
    spoken = audio_source == "1"
    return Order(
        avatar_source=avatar_source,
        audio_source=audio_source,
        mode=values["modeType"],
        avatar=values[AVATAR_FIELDS[avatar_source]],
        audio=values["ttsText" if spoken else "audioFileId"],
        voice=values["voiceoverId"] if spoken else None,
        speed=values["voiceSpeed"],
        caption=values["captionId"] if avatar_source == "1" else None,
        save=values["isSave2CustomAiAvatar"],
        notice_url=values["noticeUrl"],
        error=error,
    )


def _shapes(body: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {k: _enum(k, body.get(k)) for k in _ENUMS}
    values |= {k: _text(k, body.get(k)) for k in _TEXTS}
    spoken = values["audioSourceFrom"] == "1"
    values["voiceSpeed"] = _speed(body.get("voiceSpeed")) if spoken else 1.0
    values["isSave2CustomAiAvatar"] = flag(
        "isSave2CustomAiAvatar", body.get("isSave2CustomAiAvatar")
    )
    return values


def _enum(key: str, value: Any) -> str:
    default, allowed = _ENUMS[key]
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, str | int) or str(value) not in allowed:
        raise Refusal("4000", f"{key} must be one of {', '.join(allowed)}")
    return str(value)


def _text(key: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if key == "aiAvatarId" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise Refusal("4000", f"{key} must be a string")
    if key == "noticeUrl" and not value.startswith(("http://", "https://")):
        raise Refusal("4000", "noticeUrl must be an http or https address")
    return value


def _speed(value: Any) -> float:
    if value is None or value == "":
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal("4000", "voiceSpeed must be a number")
    if not _SLOWEST <= value <= _FASTEST:
        raise Refusal("4000", f"voiceSpeed must be between {_SLOWEST} and {_FASTEST}")
    return float(value)


def flag(key: str, value: Any) -> bool:
    """A boolean that may come as JSON or as text; absent is False."""
    if value is None or value == "":
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise Refusal("4000", f"{key} must be true or false")


def _required(values: Mapping[str, Any], known: Known) -> None:
    avatar_source, audio_source = values["avatarSourceFrom"], values["audioSourceFrom"]
    needed = [
        AVATAR_FIELDS[avatar_source],
        "audioFileId" if audio_source == "0" else "ttsText",
    ]
    if audio_source == "1" and _needs_voice(values, known):
        needed.append("voiceoverId")
    for key in needed:
        if values[key] is None:
            raise Refusal("4003", f"{key} cannot be null")
    if audio_source == "1" and not values["ttsText"].strip():
        raise Refusal("4003", "ttsText cannot be blank")


def _needs_voice(values: Mapping[str, Any], known: Known) -> bool:
    if values["avatarSourceFrom"] != "1":
        return True
    avatar = values["aiAvatarId"]
    if avatar is None or not known.avatar(avatar, private=False):
        return False
    return known.own_voice(avatar) is None


def _combinations(values: Mapping[str, Any], rules: Rules) -> None:
    source, mode = values["avatarSourceFrom"], values["modeType"]
    if mode == "2" and rules.mode_2 == "refuse":
        raise Refusal("4000", "modeType must be one of 0, 1")
    if source == "3" and mode == "0":
        raise Refusal("4000", "an image can not be used with modeType 0")
    if values["captionId"] and source != "1" and rules.caption_elsewhere == "refuse":
        raise Refusal("4000", "captionId is for public avatars only")


_KINDS = {
    "videoFileId": ("video", VIDEO_FORMATS),
    "imageFileId": ("image", IMAGE_FORMATS),
    "audioFileId": ("audio", AUDIO_FORMATS),
}


def _ids(values: Mapping[str, Any], known: Known, rules: Rules) -> str | None:
    source, spoken = values["avatarSourceFrom"], values["audioSourceFrom"] == "1"
    files = [] if source in "12" else [AVATAR_FIELDS[source]]
    files += [] if spoken else ["audioFileId"]
    errors = [_file(key, values[key], known, rules) for key in files]
    avatar = values["aiAvatarId"]
    if source in "12" and not known.avatar(avatar, private=source == "2"):
        raise Refusal("4004", f"aiAvatarId {avatar} not found")
    voice, caption = values["voiceoverId"], values["captionId"]
    if spoken and voice is not None and not known.voice(voice):
        raise Refusal("4004", f"voiceoverId {voice} not found")
    if source == "1" and caption is not None and not known.caption(caption):
        raise Refusal("4004", f"captionId {caption} not found")
    return next((e for e in errors if e), None)


def _file(key: str, file_id: str, known: Known, rules: Rules) -> str | None:
    kind, formats = _KINDS[key]
    found = known.file_format(file_id)
    if found in formats:
        return None
    missing = found is None
    problem = f"{key} {file_id} not found" if missing else f"{key} names no {kind} file"
    if rules.unusable_file == "fail" and (found or known.file_known(file_id)):
        return problem
    raise Refusal("4004" if missing else "4000", problem)
