"""What a user may ask of a list, as a question for the vendor and as a filter of a copy. Pure.

Words are taken in any case and sent in the vendor's spelling. A word that is close to one that
the vendor documents is taken for a slip and refused with that word; any other is the vendor's to
judge, whose lists may grow.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from orchestrator.errors import UsageError
from orchestrator.topview.catalog import Avatar, Ethnicity, Voice

GENDERS = ("male", "female")
AGES = ("Young", "Middle Age", "Old")
STYLES = ("UGC", "Advertisement", "Cartoon_And_Animals", "Influencer")
LANGUAGES = (
    *("en", "ar", "bg", "hr", "cs", "da", "nl", "fil", "fi", "fr", "de", "el", "hi", "hu", "id"),
    *("it", "ja", "ko", "ms", "nb", "pl", "pt", "ro", "ru", "zh-CN", "sk", "es", "sv", "zh-Hant"),
    *("tr", "uk", "vi", "th"),
)
_SPAN = re.compile(r"(\d{1,5})\s*(m|h|d|w)")
_SPAN_UNITS_S = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question for a list: which, and with what parameters (without those of paging)."""

    kind: str
    params: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """The question in one line, by which its answer is kept."""
        return f"{self.kind}?{urlencode(sorted(self.params))}" if self.params else self.kind

    @property
    def plain(self) -> Question:
        """The same list without filters; private items stay a list of their own."""
        kept = tuple(pair for pair in self.params if pair[0] == "isCustom")
        return Question(kind=self.kind, params=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class AvatarFilter:
    """Which avatars are wanted. ``ethnicities`` are names or ids, any may match; ``name`` is
    part of a name in any case."""

    gender: str | None = None
    ethnicities: tuple[str, ...] = ()
    private: bool = False
    name: str | None = None

    def question(self, ethnicities: Sequence[Ethnicity]) -> Question:
        """What to ask the vendor; ``ethnicities`` are those that were found for the names."""
        return _question(
            "avatars",
            gender=known_word("--gender", self.gender, GENDERS),
            ethnicityIdList=",".join(e.id for e in ethnicities) or None,
            isCustom="true" if self.private else None,
        )

    def matches(self, avatar: Avatar, ethnicities: Sequence[Ethnicity]) -> bool:
        """Whether an avatar of an unfiltered copy is wanted, as far as it tells."""
        names = {e.name.casefold() for e in ethnicities}
        if names and not names & {n.casefold() for n in avatar.ethnicities}:
            return False
        return _same(self.gender, avatar.gender)

    def names(self, avatar: Avatar) -> bool:
        """Whether the avatar is called so."""
        return _called(self.name, avatar.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceFilter:
    """Which voices are wanted; ``name`` is part of a name in any case."""

    language: str | None = None
    gender: str | None = None
    age: str | None = None
    style: str | None = None
    accent: str | None = None
    private: bool = False
    name: str | None = None

    def question(self) -> Question:
        """What to ask the vendor."""
        return _question(
            "voices",
            language=known_word("--language", self.language, LANGUAGES),
            gender=known_word("--gender", self.gender, GENDERS),
            age=known_word("--age", self.age, AGES),
            style=known_word("--style", self.style, STYLES),
            accent=_titled(self.accent),
            isCustom="true" if self.private else None,
        )

    def matches(self, voice: Voice) -> bool:
        """Whether a voice of an unfiltered copy is wanted, as far as it tells."""
        wanted = (
            (self.language, voice.language),
            (self.gender, voice.gender),
            (self.age, voice.age),
            (self.style, voice.style),
            (self.accent, voice.accent),
        )
        return all(_same(word, value) for word, value in wanted)

    def names(self, voice: Voice) -> bool:
        """Whether the voice is called so."""
        return _called(self.name, voice.name)


def known_word(flag: str, word: str | None, known: Sequence[str]) -> str | None:
    """The vendor's spelling of ``word``; the word itself if nothing is like it.

    Raises:
        UsageError: it looks like a slip.
    """
    if word is None:
        return None
    plain = {_plain(k): k for k in known}
    if _plain(word) in plain:
        return plain[_plain(word)]
    close = [plain[n] for n in near(_plain(word), plain)]
    if close:
        raise UsageError(f"{flag} {word}: did you mean {or_list(close)}?")
    return word.strip()


def find_ethnicities(names: Iterable[str], known: Sequence[Ethnicity]) -> list[Ethnicity]:
    """The ethnicities that are called so, or have that id.

    Raises:
        UsageError: there is none; the message names those that are close, or all.
    """
    found: list[Ethnicity] = []
    for name in names:
        plain = _plain(name)
        mine = [e for e in known if _plain(e.name) == plain or e.id == name.strip()]
        if not mine:
            raise UsageError(_no_ethnicity(name, known))
        found.extend(e for e in mine if e not in found)
    return found


def _no_ethnicity(name: str, known: Sequence[Ethnicity]) -> str:
    plain = {_plain(e.name): e.name for e in known}
    close = [plain[n] for n in near(_plain(name), plain)]
    if close:
        return f"--ethnicity {name}: did you mean {or_list(close)}?"
    names = ", ".join(sorted(plain.values())) or "nothing"
    return f"--ethnicity {name}: the vendor knows {names}"


def near(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """What is spelled like ``word``: begins or ends with it, or differs in little; best first."""
    options = list(dict.fromkeys(known))
    part_of = [k for k in options if len(word) > 2 and (k.startswith(word) or k.endswith(word))]
    return list(dict.fromkeys([*difflib.get_close_matches(word, options, most, 0.6), *part_of]))[
        :most
    ]


def or_list(words: Sequence[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def span_s(flag: str, text: str) -> float:
    """Seconds of a span of time such as 90m, 24h, 7d or 2w.

    Raises:
        UsageError: it is none, or it is zero.
    """
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"{flag} {text}: write a span of time such as 90m, 24h, 7d or 2w")
    return int(match[1]) * _SPAN_UNITS_S[match[2]]


def _question(kind: str, **params: str | None) -> Question:
    given: Mapping[str, str] = {k: v for k, v in params.items() if v is not None}
    return Question(kind=kind, params=tuple(given.items()))


def _titled(word: str | None) -> str | None:
    """Accents are written like names ("American"); one that has capitals is left as it is."""
    if word is None:
        return None
    return word.strip().title() if word.islower() else word.strip()


def _plain(word: str) -> str:
    return " ".join(word.replace("_", " ").replace("-", " ").casefold().split())


def _same(wanted: str | None, value: str | None) -> bool:
    return wanted is None or (value is not None and _plain(wanted) == _plain(value))


def _called(part: str | None, name: str) -> bool:
    return part is None or part.casefold() in name.casefold()
