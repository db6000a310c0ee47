"""Faults as data: what goes wrong, where, and when. Read from a small YAML or JSON file.

A fault names an endpoint (``on``), a kind (``do``) and a trigger: by probability, by count
(``nth``, ``first``, ``every``, ``limit``), by time (``after_s``, ``until_s``) or by job
(``match``). Without a trigger it always happens. ``kinds.KINDS`` is the list of
kinds; ``docs/emulator.md`` explains each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from orchestrator.emulator.kinds import API_ENDPOINTS, ENDPOINTS, KINDS, MATCH_KEYS, Kind
from orchestrator.errors import UsageError

_COMMON = (
    *("on", "do", "probability", "nth", "first", "every", "limit", "after_s", "until_s"),
    *("match", "per"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. It fires when all of its triggers say so; the first rule that fires wins.

    ``on``: endpoints; "any" is every API endpoint. ``probability`` 0 to 1. Counts run over the
    requests that match (``nth`` one or several, from 1; ``first`` N; ``every`` Nth), for the
    whole service or, with ``per`` "job", for each task, file or paid content by itself;
    ``limit`` is the largest number of times the rule fires. ``after_s`` and ``until_s`` are the
    vendor's seconds since the emulator was started. ``match``: all given values must fit
    (``text``: part of the spoken text; ``hash``: SHA-256 of an input file; ``task``, ``file``,
    ``avatar``: ids; ``format``: of the file).

    ``message`` of kind "fail": None is a failure without a text.
    """

    on: tuple[str, ...]
    do: str
    probability: float = 1.0
    nth: tuple[int, ...] = ()
    first: int | None = None
    every: int | None = None
    limit: int | None = None
    after_s: float | None = None
    until_s: float | None = None
    match: Mapping[str, str] = field(default_factory=dict)
    per: str = "all"
    effect: bool | None = None
    reset: bool = False
    status: int = 503
    body: str = "auto"
    retry_after: int | str | None = None
    location: str | None = None
    message: str | None = None
    code: str = "5000"
    fields: tuple[str, ...] = ()
    size_bytes: int = 200_000_000
    interval_s: float = 1.0
    word: str | None = None
    factor: float = 10.0
    delay_s: float = 60.0
    cut: bool = False

    def __post_init__(self) -> None:
        """Refuse a rule that makes no sense.

        Raises:
            FaultsError: with every problem of this rule.
        """
        problems = list(_problems(self))
        if problems:
            raise FaultsError(problems)

    @property
    def takes_effect(self) -> bool:
        """Whether the request is processed although its reply is spoilt."""
        if self.effect is not None:
            return self.effect
        return self.do == "drop_after" or bool(KINDS[self.do].effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """All rules, in order, and the seed of the dice that ``probability`` throws."""

    rules: tuple[Fault, ...] = ()
    seed: int = 0

    @classmethod
    def of(cls, *rules: Fault, seed: int = 0) -> Faults:
        """Rules written in code."""
        return cls(rules=rules, seed=seed)


class FaultsError(UsageError):
    """A fault is described wrongly; ``problems`` says each with what would be right."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def fault(on: str | Iterable[str], do: str, **more: Any) -> Fault:
    """A rule in short, with the same freedoms as the file: ``fault("submit", "drop_after")``.

    Raises:
        FaultsError: the rule makes no sense.
    """
    given = on if isinstance(on, str) else list(on)
    return parse_fault({"on": given, "do": do, **more})


def load_faults(path: Path) -> Faults:
    """Read a fault file (YAML or JSON).

    Raises:
        FaultsError: the file cannot be read, or rules are wrong: all problems at once, each
            with the place in the file's structure and what would be right.
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FaultsError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FaultsError([f"{path}: is not YAML: {error}"]) from error
    try:
        return parse_faults(data)
    except FaultsError as error:
        raise FaultsError([f"{path}: {p}" for p in error.problems]) from error


def parse_faults(data: Any) -> Faults:
    """Faults from parsed JSON or YAML: a list of rules, or ``{seed: N, faults: [...]}``.

    Raises:
        FaultsError: all problems at once.
    """
    if data is None:
        return Faults()
    if isinstance(data, list):
        data = {"faults": data}
    if not isinstance(data, dict):
        raise FaultsError(["must be a list of faults or a mapping with the key `faults`"])
    problems = [_unknown(k, ("seed", "faults"), "") for k in data if k not in {"seed", "faults"}]
    seed = data.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int):
        problems.append(f"seed: {seed!r} is not a whole number")
    listed = data.get("faults") or []
    if not isinstance(listed, list):
        raise FaultsError([*problems, "faults: must be a list"])
    rules = []
    for number, item in enumerate(listed):
        try:
            rules.append(parse_fault(item))
        except FaultsError as error:
            problems += [f"faults[{number}]: {p}" for p in error.problems]
    if problems:
        raise FaultsError(problems)
    return Faults(rules=tuple(rules), seed=seed)


def parse_fault(item: Any) -> Fault:
    """One rule from a mapping.

    Raises:
        FaultsError: all problems of this rule.
    """
    if not isinstance(item, dict):
        raise FaultsError([f"{item!r} is not a mapping such as {{on: submit, do: drop_after}}"])
    # In YAML 1.1 a plain `on` as a key is the boolean true.
    item = {"on" if key is True else key: value for key, value in item.items()}
    do = item.get("do")
    kind = KINDS.get(do) if isinstance(do, str) else None
    if kind is None:
        raise FaultsError(list(_without_kind(item)))
    problems = list(_foreign_keys(item, str(do), kind))
    values = item
    on = values.get("on", kind.on[0] if len(kind.on) == 1 else None)
    if on is None and any(_meant(str(key), _COMMON) == "on" for key in item if key not in _COMMON):
        raise FaultsError(problems)
    values["on"] = _endpoints(on, kind)
    for key in ("nth", "fields"):
        if key in values:
            given = values[key]
            values[key] = tuple(given) if isinstance(given, list) else (given,)
    if isinstance(values.get("code"), int):
        values["code"] = str(values["code"])
    if problems:
        raise FaultsError(problems)
    return Fault(**values)


_MEANT = {
    **dict.fromkeys(("kind", "type", "fault", "what", "action", "name"), "do"),
    **dict.fromkeys(("where", "at", "endpoint", "endpoints", "stage", "call"), "on"),
}
"""Keys that people write, by the key that they mean."""


def _without_kind(item: Mapping[str, Any]) -> Iterable[str]:
    """What is wrong with a rule that names no known kind."""
    if "do" in item:
        yield _unknown(str(item["do"]), tuple(KINDS), "do: ")
    wrong = [str(key) for key in item if key not in {f.name for f in fields(Fault)}]
    yield from (_unknown(key, _COMMON, "") for key in wrong)
    if "do" not in item and not any(_meant(key, _COMMON) == "do" for key in wrong):
        yield f"do: missing; one of {', '.join(KINDS)}"


def _meant(key: str, known: Sequence[str]) -> str | None:
    """The known key that was probably meant."""
    if _MEANT.get(key) in known:
        return _MEANT[key]
    near = get_close_matches(key, known, n=1)
    return near[0] if near else None


def _endpoints(on: Any, kind: Kind) -> tuple[str, ...]:
    if on is None:
        raise FaultsError([f"on: missing; one of {', '.join(kind.on)}"])
    listed = on if isinstance(on, list) else [on]
    expanded = [e for item in listed for e in (API_ENDPOINTS if item == "any" else (item,))]
    return tuple(dict.fromkeys(str(e) for e in expanded))


def _foreign_keys(item: Mapping[str, Any], do: str, kind: Kind) -> Iterable[str]:
    known = (*_COMMON, *kind.takes, *(("effect",) if kind.effect is not None else ()))
    every = {f.name for f in fields(Fault)}
    for key in item:
        if key in known:
            continue
        if key in every:
            yield f"{key}: means nothing for `{do}`; it takes {', '.join(known)}"
        else:
            yield _unknown(str(key), known, "")


def _unknown(key: str, known: tuple[str, ...], where: str) -> str:
    meant = _meant(key, known)
    hint = f"did you mean `{meant}`?" if meant else f"known are {', '.join(known)}"
    return f"{where}`{key}` is not known; {hint}"


def _problems(rule: Fault) -> Iterable[str]:
    kind = KINDS.get(rule.do)
    if kind is None:
        yield _unknown(rule.do, tuple(KINDS), "do: ")
        return
    if not rule.on:
        yield f"on: missing; one of {', '.join(kind.on)}"
    for endpoint in rule.on:
        if endpoint not in ENDPOINTS:
            yield _unknown(endpoint, (*ENDPOINTS, "any"), "on: ")
        elif endpoint not in kind.on:
            yield f"on: `{rule.do}` cannot happen on {endpoint}; only on {', '.join(kind.on)}"
    yield from _number_problems(rule)
    yield from _trigger_problems(rule)


_AT_LEAST = {
    "first": 1,
    "every": 1,
    "limit": 1,
    "after_s": 0,
    "until_s": 0,
    "size_bytes": 1,
    "interval_s": 0,
    "factor": 0,
    "delay_s": 0,
}
_WHOLE = frozenset({"first", "every", "limit", "size_bytes"})


def _number_problems(rule: Fault) -> Iterable[str]:
    for key, least in _AT_LEAST.items():
        value = getattr(rule, key)
        if value is None:
            continue
        number = int if key in _WHOLE else int | float
        if isinstance(value, bool) or not isinstance(value, number) or value < least:
            what = "whole number" if key in _WHOLE else "number"
            yield f"{key}: {value!r} is not a {what} of at least {least}"
    p = rule.probability
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
        yield f"probability: {p!r} is not a number from 0 to 1"
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in rule.nth):
        yield f"nth: {list(rule.nth)!r} holds something that is no whole number of at least 1"
    status = rule.status
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        yield f"status: {status!r} is not an HTTP status from 200 to 599"


def _trigger_problems(rule: Fault) -> Iterable[str]:
    if rule.per not in {"all", "job"}:
        yield f"per: {rule.per!r} is not one of all, job"
    if rule.body not in {"auto", "json", "html", "xml", "empty"}:
        yield f"body: {rule.body!r} is not one of auto, json, html, xml, empty"
    wish = rule.retry_after
    if wish is not None and wish != "date" and (isinstance(wish, bool | str) or wish < 0):
        yield f"retry_after: {wish!r} is neither a number of seconds nor `date`"
    for key in ("message", "word", "location", "code"):
        text = getattr(rule, key)
        if text is not None and not isinstance(text, str):
            yield f"{key}: {text!r} is not text; write it in quotes"
    if not isinstance(rule.match, Mapping):
        yield f"match: {rule.match!r} is not a mapping"
        return
    for key, value in rule.match.items():
        if key not in MATCH_KEYS:
            yield _unknown(str(key), MATCH_KEYS, "match: ")
        elif not isinstance(value, str):
            yield f"match.{key}: {json.dumps(value)} is not text; write it in quotes"
    if rule.do == "refuse" and rule.until_s is None:
        yield "until_s: missing; a listener that refuses connections needs an end"
