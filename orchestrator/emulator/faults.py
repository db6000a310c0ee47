"""Faults as data: what goes wrong, where, and when. Read from a small YAML or JSON file.

A fault names an endpoint (``on``), a kind (``do``) and a trigger: by probability, by count
(``nth``, ``first``, ``every``, ``limit``), by time (``after_s``, ``until_s``) or by job
(``match``). Without a trigger it always happens. ``kinds.KINDS`` is the list of
kinds; ``docs/emulator.md`` explains each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from orchestrator.emulator.faults_checks import Finding, read_rule, rule_findings, unknown
from orchestrator.emulator.kinds import KINDS
from orchestrator.errors import UsageError


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
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        if found := list(rule_findings(values)):
            raise FaultsError(finding.text for finding in found)

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
            with file, line and column, and what would be right.
    """
    import yaml

    from orchestrator.emulator.faults_file import told_with_places

    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
    except OSError as error:
        raise FaultsError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or an impossible date
        raise FaultsError([f"{path}{_at(error)}: is not YAML: {_why(error)}"]) from error
    faults, found = _read(data)
    if found:
        raise FaultsError(told_with_places(str(path), text, found))
    return faults


def _at(error: Exception) -> str:
    """``:line:column`` of an error in YAML, if it has a place."""
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"


def _why(error: Exception) -> str:
    return getattr(error, "problem", None) or str(error)


def parse_faults(data: Any) -> Faults:
    """Faults from parsed JSON or YAML: a list of rules, or ``{seed: N, faults: [...]}``.

    Raises:
        FaultsError: all problems at once, each with its place in the structure.
    """
    faults, found = _read(data)
    if found:
        raise FaultsError(f"{_in_structure(finding)}{finding.text}" for finding in found)
    return faults


def _in_structure(finding: Finding) -> str:
    """``faults[2]: `` for what is wrong in the third rule."""
    match finding.path:
        case ["faults", int() as number, *_]:
            return f"faults[{number}]: "
        case _:
            return ""


def _read(data: Any) -> tuple[Faults, list[Finding]]:
    """All rules that are right, and everything that is wrong."""
    if data is None:
        return Faults(), []
    if isinstance(data, list):
        data = {"faults": data}
    if not isinstance(data, dict):
        return Faults(), [Finding("must be a list of faults or a mapping with the key `faults`")]
    keys = ("seed", "faults")
    found = [Finding(unknown(str(k), keys, ""), (str(k),), True) for k in data if k not in keys]
    seed = data.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int):
        found.append(Finding(f"seed: {seed!r} is not a whole number", ("seed",)))
        seed = 0
    listed = data.get("faults") or []
    if not isinstance(listed, list):
        found.append(Finding("faults: must be a list", ("faults",)))
        listed = []
    rules = []
    for number, item in enumerate(listed):
        values, problems = read_rule(item)
        found += [problem.inside("faults", number) for problem in problems]
        if not problems:
            rules.append(Fault(**values))
    return Faults(rules=tuple(rules), seed=seed), found


def parse_fault(item: Any) -> Fault:
    """One rule from a mapping.

    Raises:
        FaultsError: all problems of this rule.
    """
    values, found = read_rule(item)
    if found:
        raise FaultsError(finding.text for finding in found)
    return Fault(**values)
