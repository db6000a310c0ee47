"""What the vendor offers: fixed public avatars, voices, captions and ethnicities.

The ids never change, so that examples and tests may name them: the public avatar "3327", the
private sample avatar "9002", the voice ``DEFAULT_VOICE`` and the caption "cap-sample-1".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DEFAULT_VOICE = "ExampleVoice0000000000000000Abcd"
PRIVATE_SAMPLE = "9002"

_LANGUAGES = (
    "en ar bg hr cs da nl fil fi fr de el hi hu id it ja ko ms nb pl pt ro ru zh-CN sk es sv "
    "zh-Hant tr uk vi th"
)
LANGUAGES = tuple(_LANGUAGES.split())
GENDERS = ("male", "female")
AGES = ("Young", "Middle Age", "Old")
STYLES = ("UGC", "Advertisement", "Cartoon_And_Animals", "Influencer")
SCENES = ("video_avatar", "product_avatar")
_ACCENTS = ("American", "British", "African", "Australian", "Indian")
_FIRST_NAMES = (
    "Ana Ben Carla David Emma Felix Grace Henry Ines Jonas Kira Liam Mona Noah Olga Paul Quinn "
    "Rosa Samir Tara Ugo Vera Walid Xenia Yann Zoe"
)
_NAMES = tuple(_FIRST_NAMES.split())

ETHNICITIES: tuple[dict[str, Any], ...] = tuple(
    {"ethnicityId": f"e{n}", "ethnicityName": f"Sample {letter}"}
    for n, letter in enumerate("ABCDEF", start=1)
)
CAPTION_IDS = tuple(f"cap-sample-{n}" for n in range(1, 7))


@dataclass(frozen=True, slots=True, kw_only=True)
class Avatar:
    """One face of the catalogue. ``kind``: 0 traditional, 1 zero-shot, 2 photo."""

    avatar_id: str
    name: str
    gender: str | None
    ethnicity: int | None
    voice: str | None
    kind: int
    created_at: float
    sort: int

    def item(self, cdn: str) -> dict[str, Any]:
        """The avatar as the list shows it; ``cdn`` is the base URL of its pictures."""
        ethnicities = None if self.ethnicity is None else [ETHNICITIES[self.ethnicity]]
        return {
            "aiavatarId": self.avatar_id,
            "aiavatarName": self.name,
            "gender": self.gender,
            "coverUrl": f"{cdn}/catalog/avatars/{self.avatar_id}.png",
            "previewVideoUrl": f"{cdn}/catalog/avatars/{self.avatar_id}.mp4",
            "thumbnailUrl": f"{cdn}/catalog/avatars/{self.avatar_id}.png",
            "ethnicities": ethnicities,
            "voiceoverIdDefault": self.voice,
            "faceSquareConfig": {"x": 100, "y": 80, "w": 120, "h": 120} if self.kind < 2 else None,
            "type": self.kind,
        }


def _voice(number: int) -> dict[str, Any]:
    return {
        "voiceId": DEFAULT_VOICE if number == 0 else f"ExampleVoice{number:016d}Abcd",
        "voiceName": "Sample Voice" if number == 0 else f"Voice {_NAMES[number % len(_NAMES)]}",
        "bestSupportLanguage": LANGUAGES[number % len(LANGUAGES)],
        "gender": "female" if number % 2 == 0 else "male",
        "age": AGES[number % 3],
        "style": STYLES[number % 4],
        "accent": _ACCENTS[number % 5],
        "durations": 3.0,
    }


_VOICES = tuple(_voice(n) for n in range(66))
VOICE_IDS = frozenset(str(v["voiceId"]) for v in _VOICES)


def voices(cdn: str) -> list[dict[str, Any]]:
    """All voices, each with the address of its sample."""
    return [v | {"demoAudioUrl": f"{cdn}/catalog/voices/{v['voiceId']}.wav"} for v in _VOICES]


def captions(cdn: str) -> list[dict[str, Any]]:
    """All caption styles: a plain list."""
    return [{"captionId": c, "thumbnail": f"{cdn}/catalog/captions/{c}.png"} for c in CAPTION_IDS]


def _public(number: int, avatar_id: str) -> Avatar:
    # One avatar in eleven has no voice of its own, so that clients meet the case.
    own_voice = str(_VOICES[number % len(_VOICES)]["voiceId"])
    return Avatar(
        avatar_id=avatar_id,
        name=f"Sample {_NAMES[number % len(_NAMES)]}",
        gender="female" if number % 2 == 0 else "male",
        ethnicity=number % len(ETHNICITIES),
        voice=None if number % 11 == 10 else own_voice,
        kind=number % 2,
        created_at=1_700_000_000.0 + number * 3600,
        sort=number,
    )


_PUBLIC_IDS = ("3327", "9001", *(str(3400 + n) for n in range(43)))
PUBLIC = {a: _public(n, a) for n, a in enumerate(_PUBLIC_IDS)}
"""Public avatars by id, in the vendor's own order."""


def private_avatar(avatar_id: str, name: str, created_at: float, number: int) -> Avatar:
    """An avatar of the account's own."""
    return Avatar(
        avatar_id=avatar_id,
        name=name,
        gender=None,
        ethnicity=None,
        voice=None,
        kind=1,
        created_at=created_at,
        sort=number,
    )


SAMPLE_PRIVATE = private_avatar(PRIVATE_SAMPLE, "My avatar", 1_700_000_000.0, 0)
"""The one private avatar that every account has from the beginning."""
