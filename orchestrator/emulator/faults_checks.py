"""What is wrong with a rule for faults: every finding at once, each with the key it is about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from orchestrator.emulator.kinds import API_ENDPOINTS, ENDPOINTS, KINDS, MATCH_KEYS, Kind

TRIGGERS = (
    *("on", "do", "probability", "nth", "first", "every", "limit", "after_s", "until_s"),
    *("match", "per"),
)
"""Keys that every rule may have."""
PARAMETERS = frozenset({"effect"}.union(*(kind.takes for kind in KINDS.values())))
"""Keys that some kinds take."""

_MEANT = {
    **dict.fromkeys(("kind", "type", "fault", "what", "action", "name"), "do"),
    **dict.fromkeys(("where", "at", "endpoint", "endpoints", "stage", "call"), "on"),
}
"""Keys that people write, by the key that they mean."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, with what would be right.

    ``path``: keys and numbers of items, from the outside to where it is; () is the whole.
    ``is_key``: the key itself is wrong, not its value.
    """

    text: str
    path: tuple[str | int, ...] = ()
    is_key: bool = False

    def inside(self, *path: str | int) -> Finding:
        """The same, seen from further out."""
        return Finding(self.text, (*path, *self.path), self.is_key)


def read_rule(item: Any) -> tuple[dict[str, Any], list[Finding]]:
    """The values of one rule as a :class:`Fault` takes them, and everything wrong with them."""
    if not isinstance(item, dict):
        return {}, [Finding(f"{item!r} is not a mapping such as {{on: submit, do: drop_after}}")]
    # In YAML 1.1 a plain `on` as a key is the boolean true.
    values = {"on" if key is True else str(key): value for key, value in item.items()}
    kind = kind_of(values.get("do"))
    found = [*_key_findings(values, kind)]
    foreign = {finding.path[0] for finding in found}
    if "on" not in values and kind is not None and len(kind.on) == 1:
        values["on"] = kind.on[0]
    if "on" in values or not any(_meant(str(key), TRIGGERS) == "on" for key in foreign):
        values["on"] = _endpoints(values.get("on"))
    for key in {"nth", "fields"} & values.keys():
        given = values[key]
        values[key] = tuple(given) if isinstance(given, list) else (given,)
    if type(values.get("code")) is int:
        values["code"] = str(values["code"])
    known = {key: value for key, value in values.items() if key not in foreign}
    return values, [*found, *rule_findings(known)]


def rule_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything wrong with the values of known keys; ``on``, ``nth`` and ``fields`` are tuples."""
    do = values.get("do")
    kind = kind_of(do)
    if "do" in values and kind is None:
        yield Finding(unknown(str(do), tuple(KINDS), "do: "), ("do",))
    yield from _endpoint_findings(values, kind)
    for key, check in _CHECKS.items():
        if key in values and (words := check(values[key])):
            yield Finding(f"{key}: {words}", (key,))
    yield from _match_findings(values.get("match", {}))
    if do == "refuse" and values.get("until_s") is None:
        yield Finding("until_s: missing; a listener that refuses connections needs an end")


def kind_of(do: Any) -> Kind | None:
    """The kind of this name; None if there is none."""
    return KINDS.get(do) if isinstance(do, str) else None


def unknown(key: str, known: Sequence[str], where: str) -> str:
    """The words about a name that is not ``known``; ``where`` stands in front."""
    meant = _meant(key, known)
    hint = f"did you mean `{meant}`?" if meant else f"known are {', '.join(known)}"
    return f"{where}`{key}` is not known; {hint}"


def _meant(key: str, known: Sequence[str]) -> str | None:
    """The known key that was probably meant."""
    if _MEANT.get(key) in known:
        return _MEANT[key]
    near = get_close_matches(key, known, n=1)
    return near[0] if near else None


def _key_findings(values: Mapping[str, Any], kind: Kind | None) -> Iterator[Finding]:
    """Keys that mean nothing (here), and a missing ``do``."""
    takes = () if kind is None else (*kind.takes, *(("effect",) * (kind.effect is not None)))
    known = (*TRIGGERS, *takes)
    for key in values:
        if key in known or (kind is None and key in PARAMETERS):
            continue
        text = unknown(key, known, "")
        if key in PARAMETERS:
            text = f"{key}: means nothing for `{values['do']}`; it takes {', '.join(known)}"
        yield Finding(text, (key,), is_key=True)
    named = any(_meant(key, TRIGGERS) == "do" for key in values if key not in TRIGGERS)
    if "do" not in values and not named:
        yield Finding(f"do: missing; one of {', '.join(KINDS)}", ("do",))


def _endpoints(on: Any) -> tuple[str, ...]:
    listed = on if isinstance(on, list) else [] if on is None else [on]
    expanded = [e for item in listed for e in (API_ENDPOINTS if item == "any" else (item,))]
    return tuple(dict.fromkeys(str(e) for e in expanded))


def _endpoint_findings(values: Mapping[str, Any], kind: Kind | None) -> Iterator[Finding]:
    if "on" in values and not values["on"] and kind is not None:
        yield Finding(f"on: missing; one of {', '.join(kind.on)}", ("on",))
    for endpoint in values.get("on", ()):
        if endpoint not in ENDPOINTS:
            yield Finding(unknown(endpoint, (*ENDPOINTS, "any"), "on: "), ("on",))
        elif kind is not None and endpoint not in kind.on:
            only = f"only on {', '.join(kind.on)}"
            text = f"on: `{values['do']}` cannot happen on {endpoint}; {only}"
            yield Finding(text, ("on",))


def _match_findings(match: Any) -> Iterator[Finding]:
    if not isinstance(match, Mapping):
        yield Finding(f"match: {match!r} is not a mapping", ("match",))
        return
    for key, value in match.items():
        path = ("match", str(key))
        if key not in MATCH_KEYS:
            yield Finding(unknown(str(key), MATCH_KEYS, "match: "), path, is_key=True)
        elif not isinstance(value, str):
            told = json.dumps(value, default=str)
            yield Finding(f"match.{key}: {told} is not text; write it in quotes", path)


def _is_number(value: Any, *, whole: bool = False) -> bool:
    kinds = int if whole else int | float
    return isinstance(value, kinds) and not isinstance(value, bool)


Check = Callable[[Any], str]
"""What is wrong with a value, "" for nothing."""


def _at_least(least: int, *, whole: bool = False) -> Check:
    """A number of at least so much; None is none."""
    what = "whole number" if whole else "number"

    def check(value: Any) -> str:
        right = value is None or (_is_number(value, whole=whole) and value >= least)
        return "" if right else f"{value!r} is not a {what} of at least {least}"

    return check


def _one_of(*words: str) -> Check:
    return lambda value: "" if value in words else f"{value!r} is not one of {', '.join(words)}"


def _share(value: Any) -> str:
    right = _is_number(value) and 0 <= value <= 1
    return "" if right else f"{value!r} is not a number from 0 to 1"


def _numbers(value: Iterable[Any]) -> str:
    listed = list(value)
    right = all(_is_number(n, whole=True) and n >= 1 for n in listed)
    return "" if right else f"{listed!r} holds something that is no whole number of at least 1"


def _status(value: Any) -> str:
    right = _is_number(value, whole=True) and 200 <= value <= 599
    return "" if right else f"{value!r} is not an HTTP status from 200 to 599"


def _wish(value: Any) -> str:
    right = value is None or value == "date" or (_is_number(value) and value >= 0)
    return "" if right else f"{value!r} is neither a number of seconds nor `date`"


def _text(value: Any) -> str:
    right = value is None or isinstance(value, str)
    return "" if right else f"{value!r} is not text; write it in quotes"


_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("first", "every", "limit", "size_bytes"), _at_least(1, whole=True)),
    **dict.fromkeys(("after_s", "until_s", "interval_s", "factor", "delay_s"), _at_least(0)),
    "probability": _share,
    "nth": _numbers,
    "status": _status,
    "per": _one_of("all", "job"),
    "body": _one_of("auto", "json", "html", "xml", "empty"),
    "retry_after": _wish,
    **dict.fromkeys(("message", "word", "location", "code"), _text),
}
