"""Values that users write as text and models want as something else.

Every type here says what would be right when it refuses a value; the complaint about it reads
``audio.speed is "fast"; write a number from 0.8 to 1.2``. Each one also carries what an editor
should accept in its place (``WithJsonSchema``), which is what a YAML user would write.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from orchestrator.model import Rate

_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,15}(\.[0-9]{0,15})?|\.[0-9]{1,15})([eE][+-]?[0-9]{1,2})?")
_RATE = re.compile(r"([0-9]{1,9})\s*/\s*(s|min|h)")
_RATE_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_BANDWIDTH = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(kB|MB|GB)\s*/\s*s")
_BANDWIDTH_UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}
_DURATION = re.compile(
    r"(?:(?P<h>[0-9]{1,9}(?:\.[0-9]{1,9})?)h)?"
    r"(?:(?P<m>[0-9]{1,9}(?:\.[0-9]{1,9})?)m(?!s))?"
    r"(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,9})?)s)?"
    r"(?:(?P<ms>[0-9]{1,9})ms)?"
)
_DURATION_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_URL = re.compile(r"https?://[^/\s?#@]+([/?#]\S*)?", re.IGNORECASE)
_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def refuse(expected: str) -> PydanticCustomError:
    """The error of a value that is not what was expected; ``expected`` follows "write "."""
    return PydanticCustomError("unexpected", "unexpected value", {"expected": expected})


def duration_s(text: str) -> float | None:
    """Seconds of "90s", "15m", "2h", "250ms", "1h30m"; None if ``text`` is no duration."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    return sum(float(n) * _DURATION_UNITS[unit] for unit, n in match.groupdict().items() if n)


def rate(text: str) -> Rate | None:
    """The rate of "1/s", "20/min", "100/h"; None if ``text`` is none."""
    match = _RATE.fullmatch(text)
    if match is None or int(match[1]) < 1:
        return None
    return Rate(count=int(match[1]), per_s=_RATE_UNITS[match[2]])


def bandwidth(text: str) -> float | None:
    """Bytes per second of "500kB/s", "2.5MB/s", "1GB/s"; None if ``text`` is none, or is less
    than 1kB/s. A kilobyte is 1,000 bytes."""
    match = _BANDWIDTH.fullmatch(text)
    if match is None:
        return None
    bytes_per_s = float(match[1]) * _BANDWIDTH_UNITS[match[2]]
    return bytes_per_s if bytes_per_s >= 1e3 else None


def _flag(value: Any) -> bool:
    word = value.lower() if isinstance(value, str) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise refuse("true or false")


def _duration(value: Any) -> float:
    seconds = duration_s(value) if isinstance(value, str) else None
    if seconds is None or seconds <= 0:
        raise refuse("a duration above zero such as 90s, 15m, 2h or 1h30m")
    return seconds


def _rate(value: Any) -> Rate:
    found = rate(value) if isinstance(value, str) else None
    if found is None:
        raise refuse("a rate such as 1/s, 20/min or 100/h")
    return found


def _bandwidth(value: Any) -> float:
    found = bandwidth(value) if isinstance(value, str) else None
    if found is None:
        raise refuse("a bandwidth such as 10MB/s or 500kB/s, at least 1kB/s")
    return found


def _whole(low: int | None, expected: str) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if not isinstance(value, str) or not _WHOLE.fullmatch(value):
            raise refuse(expected)
        if low is not None and int(value) < low:
            raise refuse(expected)
        return int(value)

    return convert


def _count_or_auto(value: Any) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    return _whole(1, "a whole number >= 1, or auto")(value)


def _number(low: float, high: float, expected: str) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        if not isinstance(value, str) or not _NUMBER.fullmatch(value):
            raise refuse(expected)
        if not low <= float(value) <= high:
            raise refuse(expected)
        return float(value)

    return convert


def _matching(pattern: re.Pattern[str], expected: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise refuse(expected)
        return value

    return convert


def _listen(value: Any) -> str:
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 65535:
        raise refuse("an address and a port such as 127.0.0.1:8088")
    return match[0]


def _version(value: Any) -> int:
    if value != "1":
        raise refuse('"version: 1", the one that this program reads')
    return 1


def _editor(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema)


Word = Annotated[str, _editor(type=["string", "number"])]
"""Text that a YAML user may write without quotes although it looks like a number."""
Version = Annotated[int, BeforeValidator(_version), _editor(const=1)]
Flag = Annotated[
    bool,
    BeforeValidator(_flag),
    _editor(anyOf=[{"type": "boolean"}, {"enum": ["yes", "no", "on", "off"]}]),
]
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    _editor(type="string", pattern=r"^([0-9.]+h)?([0-9.]+m)?([0-9.]+s)?([0-9]+ms)?$", minLength=2),
]
RateText = Annotated[
    Rate,
    BeforeValidator(_rate),
    _editor(type="string", pattern=r"^[0-9]+ */ *(s|min|h)$"),
]
Bandwidth = Annotated[
    float,
    BeforeValidator(_bandwidth),
    _editor(type="string", pattern=r"^[0-9]+(\.[0-9]+)? *(kB|MB|GB) */ *s$"),
]
Whole = Annotated[
    int,
    BeforeValidator(_whole(None, "a whole number")),
    _editor(type="integer"),
]
Count = Annotated[
    int,
    BeforeValidator(_whole(1, "a whole number >= 1")),
    _editor(type="integer", minimum=1),
]
CountOrAuto = Annotated[
    int | Literal["auto"],
    BeforeValidator(_count_or_auto),
    _editor(anyOf=[{"type": "integer", "minimum": 1}, {"const": "auto"}]),
]
CountOrZero = Annotated[
    int,
    BeforeValidator(_whole(0, "a whole number >= 0")),
    _editor(type="integer", minimum=0),
]
Credits = Annotated[
    float,
    BeforeValidator(_number(0.0, math.inf, "a number of credits >= 0")),
    _editor(type="number", minimum=0),
]
Speed = Annotated[
    float,
    BeforeValidator(_number(0.8, 1.2, "a number from 0.8 to 1.2")),
    _editor(type="number", minimum=0.8, maximum=1.2),
]
WebAddress = Annotated[
    str,
    BeforeValidator(_matching(_URL, "an address such as https://public.example/hook")),
    _editor(type="string", format="uri", pattern="^https?://"),
]
Listen = Annotated[
    str,
    BeforeValidator(_listen),
    _editor(type="string", pattern=":[0-9]+$"),
]
