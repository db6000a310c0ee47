"""The vendor's lists as values: avatars, voices, captions, ethnicities, charges. Pure but for
:func:`walk`, which asks for page after page through a function it is given.

Facts are from ``docs/vendor.md``. What comes back may be anything:
nothing here raises for it. Links are kept without their query strings, which may be signatures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from orchestrator.core.outcome import clean_words
from orchestrator.model import Answer, TaskId
from orchestrator.topview.wire import scrub

PAGE_SIZE = 100
"""Items asked for at once; larger pages are not promised (docs/vendor.md)."""
MOST_PAGES = 2000
"""A list with more pages than this is a server that makes up pages."""
LOG_KEYS = ("date", "costCredit", "taskId", "taskType")
"""All that is kept of an entry of the credit log; the rest of it holds the API key."""

T = TypeVar("T")
Item = Mapping[str, Any]
Ask = Callable[[int], Awaitable[Answer]]
"""Asks for one page, numbered from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Avatar:
    """A face that jobs can name. ``voice`` is its own voice, None if it has none."""

    id: str
    name: str
    gender: str | None = None
    ethnicities: tuple[str, ...] = ()
    voice: str | None = None
    private: bool = False
    preview: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A voice that jobs with text can name; ``language`` is the one it speaks best."""

    id: str
    name: str
    language: str | None = None
    gender: str | None = None
    age: str | None = None
    style: str | None = None
    accent: str | None = None
    private: bool = False
    sample: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A style of captions; ``picture`` shows it."""

    id: str
    picture: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ethnicity:
    """A word to filter avatars by."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One entry of the credit log. ``at`` is Unix seconds; a negative ``credits`` is a refund.

    None stands for what the entry does not say in a readable way.
    """

    at: float | None
    task_id: TaskId | None
    task_type: str
    credits: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer to a question for a list. ``total`` counts the items of all pages, None if the
    answer does not say."""

    items: tuple[Any, ...]
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk(Generic[T]):
    """What a walk over all pages brought.

    ``failed`` is the answer that ended it early, None if none did. ``complete``: everything that
    the vendor counts is here.
    """

    items: tuple[T, ...]
    total: int | None = None
    complete: bool = False
    failed: Answer | None = field(default=None, repr=False)


def read_page(answer: Answer) -> Page | None:
    """The items in an answer: of a page, or of a bare array. None if it holds no list."""
    if not answer.ok:
        return None
    result = answer.result
    if isinstance(result, Sequence) and not isinstance(result, str):
        return Page(items=tuple(result), total=len(result))
    if not isinstance(result, Mapping) or not isinstance(result.get("data"), list):
        return None
    return Page(items=tuple(result["data"]), total=_whole(result.get("total")))


async def walk(ask: Ask, read: Callable[[Any], T | None], same: Callable[[T], Hashable]) -> Walk[T]:
    """Ask for pages until the total is reached, an empty page comes, or nothing on it is new.

    ``read`` makes a value of an item, None if it is none; ``same`` names the value, so that a
    list that moves while it is read, or a vendor that ignores page numbers, brings nothing twice.
    """
    found: dict[Hashable, T] = {}
    seen, total = 0, None
    for number in range(1, MOST_PAGES + 1):
        answer = await ask(number)
        page = read_page(answer)
        if page is None:
            return Walk(items=tuple(found.values()), total=total, failed=answer)
        total = page.total if page.total is not None else total
        before = len(found)
        for item in page.items:
            if (value := read(item)) is not None:
                found.setdefault(same(value), value)
        if len(found) == before:
            break
        seen += len(page.items)
        if total is not None and seen >= total:
            break
    complete = total is None or seen >= total
    return Walk(items=tuple(found.values()), total=total, complete=complete)


def avatar(item: Any, *, private: bool) -> Avatar | None:
    """An item of the avatar query; its id is spelled ``aiavatarId`` there."""
    if not isinstance(item, Mapping) or (id_ := _id(item, "aiavatarId")) is None:
        return None
    preview = _link(item, "previewVideoUrl") or _link(item, "coverUrl")
    return Avatar(
        id=id_,
        name=clean_words(item.get("aiavatarName")),
        gender=_word(item, "gender"),
        ethnicities=_ethnicity_names(item.get("ethnicities")),
        voice=_id(item, "voiceoverIdDefault"),
        private=private,
        preview=preview,
    )


def voice(item: Any, *, private: bool) -> Voice | None:
    """An item of the voice query."""
    if not isinstance(item, Mapping) or (id_ := _id(item, "voiceId")) is None:
        return None
    return Voice(
        id=id_,
        name=clean_words(item.get("voiceName")),
        language=_word(item, "bestSupportLanguage") or _word(item, "language"),
        gender=_word(item, "gender"),
        age=_word(item, "age"),
        style=_word(item, "style"),
        accent=_word(item, "accent"),
        private=private,
        sample=_link(item, "demoAudioUrl"),
    )


def caption(item: Any) -> Caption | None:
    """An item of the caption list."""
    if not isinstance(item, Mapping) or (id_ := _id(item, "captionId")) is None:
        return None
    return Caption(id=id_, picture=_link(item, "thumbnail"))


def ethnicity(item: Any) -> Ethnicity | None:
    """An item of the ethnicity list."""
    if not isinstance(item, Mapping) or (id_ := _id(item, "ethnicityId")) is None:
        return None
    return Ethnicity(id=id_, name=clean_words(item.get("ethnicityName")) or id_)


def charge(item: Any) -> Charge | None:
    """An entry of the credit log as :func:`scrub_log` leaves it; None for an empty one."""
    if not isinstance(item, Mapping) or not item:
        return None
    task_id = _id(item, "taskId")
    return Charge(
        at=log_time(item.get("date")),
        task_id=None if task_id is None else TaskId(task_id),
        task_type=clean_words(item.get("taskType")),
        credits=_amount(item.get("costCredit")),
    )


def scrub_log(answer: Answer, secrets: tuple[str, ...]) -> Answer:
    """The answer to a question for the credit log with nothing in it but :data:`LOG_KEYS`.

    ``result`` becomes ``{"total": int or None, "data": [...]}``, or None if it holds no list. An
    entry that is no object becomes an empty one, so that entries can be counted.
    """
    page = read_page(answer)
    message = "" if answer.ok else answer.message
    if page is None:
        return replace(answer, result=None, message=message)
    entries = [_scrubbed(item, secrets) for item in page.items]
    return replace(answer, result={"total": page.total, "data": entries}, message=message)


def _scrubbed(item: Any, secrets: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {}
    kept: dict[str, Any] = {}
    for key in LOG_KEYS:
        value = item.get(key)
        if isinstance(value, str):
            kept[key] = scrub(value, secrets)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            kept[key] = value
    return kept


def log_moment(at: float) -> str:
    """Unix seconds as the credit log wants them: UTC, ``yyyy-MM-dd HH:mm:ss``, rounded down."""
    return datetime.fromtimestamp(int(at // 1), UTC).strftime("%Y-%m-%d %H:%M:%S")


def log_time(value: Any) -> float | None:
    """The time of an entry as Unix seconds: text in UTC, or a number of (milli)seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < 1e15:  # absurd, infinite or not a number
            return None
        return value / 1000 if value > 1e11 else float(value)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ethnicity_names(value: Any) -> tuple[str, ...]:
    """Names out of an array of objects, an array of names, or one name (contradicting sources)."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return ()
    names = (x.get("ethnicityName") if isinstance(x, Mapping) else x for x in value)
    return tuple(word for name in names if (word := clean_words(name)))


def _id(item: Item, key: str) -> str | None:
    """An opaque id: printable text without blanks at its ends; numbers are taken as text."""
    value = item.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not (text := value.strip()) or len(text) > 200:
        return None
    return text if text.isprintable() else None


def _word(item: Item, key: str) -> str | None:
    return clean_words(item.get(key)) or None


def _link(item: Item, key: str) -> str | None:
    link = clean_words(item.get(key)).partition("?")[0]
    return link if link.lower().startswith(("http://", "https://")) else None


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _amount(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e12 else None
