"""Durations, rates and their like: what is understood and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from orchestrator.manifest.scalars import Credits, Flag, Listen, WebAddress, Whole, duration_s, rate
from orchestrator.model import Rate


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("15m", 900.0),
        ("2h", 7200.0),
        ("250ms", 0.25),
        ("1h30m", 5400.0),
        ("1h1m1s1ms", 3661.001),
        ("1.5h", 5400.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_understood(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "90", "1:30", "s", "1d", "1 h", "30m1h", "1h1h", "-1s", "1,5h", "1.s", ".5s", "٣s", "1S"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert duration_s(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/s", Rate(count=1, per_s=1.0)),
        ("20/min", Rate(count=20, per_s=60.0)),
        ("100/h", Rate(count=100, per_s=3600.0)),
        ("3 / s", Rate(count=3, per_s=1.0)),
    ],
)
def test_a_rate_is_understood(text: str, expected: Rate) -> None:
    assert rate(text) == expected


@pytest.mark.parametrize(
    "text", ["", "1", "/s", "0/s", "0.5/s", "1/m", "1/2s", "-1/s", "1/S", "²/s"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    assert rate(text) is None


@given(st.text(alphabet="0123456789.hms/ in٣", max_size=12))
def test_no_text_breaks_duration_and_rate(text: str) -> None:
    seconds, found = duration_s(text), rate(text)

    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))
    assert found is None or found.count >= 1


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Flag, "true", True),
        (Flag, "Yes", True),
        (Flag, "ON", True),
        (Flag, "false", False),
        (Flag, "no", False),
        (Flag, "off", False),
        (Whole, "-5", -5),
        (Whole, "+5", 5),
        (Credits, "0", 0.0),
        (Credits, ".5", 0.5),
        (Credits, "1e3", 1000.0),
        (Listen, "127.0.0.1:8088", "127.0.0.1:8088"),
        (Listen, "[::1]:0", "[::1]:0"),
        (WebAddress, "http://127.0.0.1:80/x?y", "http://127.0.0.1:80/x?y"),
    ],
)
def test_other_values_are_understood(kind: type, text: str, value: object) -> None:
    assert TypeAdapter(kind).validate_python(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Flag, "1"),
        (Flag, ""),
        (Flag, ["yes"]),
        (Whole, "1_000"),
        (Whole, "0x10"),
        (Whole, "9" * 5000),
        (Whole, "²"),
        (Credits, "nan"),
        (Credits, "inf"),
        (Credits, "-0.1"),
        (Credits, " 1"),
        (Listen, "127.0.0.1:99999"),
        (Listen, ":80"),
        (WebAddress, "ftp://public.example"),
        (WebAddress, "https://user:word@public.example/"),
        (WebAddress, "https://"),
    ],
)
def test_other_values_are_refused(kind: type, text: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(text)
