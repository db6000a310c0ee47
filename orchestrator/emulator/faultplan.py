"""Which fault a request meets: counting, matching and throwing the dice."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.emulator.faults import Fault, Faults
from orchestrator.emulator.kinds import NEEDS_SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a request is about, as far as the emulator can tell before it acts.

    ``key`` names it for counts per job; ``hashes`` are the SHA-256 of its input files;
    ``ready``: the task that is asked about has a video to show.
    """

    key: str = ""
    text: str = ""
    hashes: tuple[str, ...] = ()
    task: str = ""
    files: tuple[str, ...] = ()
    format: str = ""
    avatar: str = ""
    ready: bool = False


@dataclass(slots=True)
class Count:
    """How often a rule has been looked at for a key, and how often it fired."""

    seen: int = 0
    fired: int = 0


@dataclass(slots=True)
class FaultPlan:
    """The rules at work. Counts live here; ``changed`` collects those to be kept on disk.

    ``starts`` is how often the emulator has been started on its folder: the dice of each start
    differ, so that a restart does not repeat the fate of the last one.
    """

    faults: Faults
    starts: int = 0
    counts: dict[str, Count] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Seed the dice."""
        self._dice = random.Random(f"{self.faults.seed}:{self.starts}")

    def pick(self, endpoint: str, subject: Subject, elapsed_s: float) -> Fault | None:
        """The first rule that fires for this request; None: it goes through unharmed.

        ``elapsed_s``: the vendor's seconds since the emulator was started. Rules behind the one
        that fires do not count the request.
        """
        for number, rule in enumerate(self.faults.rules):
            if endpoint in rule.on and self._fires(number, rule, endpoint, subject, elapsed_s):
                return rule
        return None

    def down(self, elapsed_s: float) -> frozenset[str]:
        """The listeners that refuse connections now."""
        rules = [r for r in self.faults.rules if r.do == "refuse" and _in_time(r, elapsed_s)]
        return frozenset(listener for r in rules for listener in r.on)

    def turning_points(self) -> Iterable[float]:
        """The vendor's seconds at which a listener goes down or comes back."""
        for rule in self.faults.rules:
            if rule.do == "refuse":
                yield rule.after_s or 0.0
                yield rule.until_s or 0.0

    def _fires(
        self, number: int, rule: Fault, endpoint: str, subject: Subject, elapsed_s: float
    ) -> bool:
        if not _in_time(rule, elapsed_s) or not _matches(rule, subject):
            return False
        if endpoint == "query" and rule.do in NEEDS_SUCCESS and not subject.ready:
            return False
        scope = subject.key if rule.per == "job" else ""
        key = f"{number}:{rule.do}:{scope}"
        count = self.counts.setdefault(key, Count())
        count.seen += 1
        self.changed.add(key)
        if not _counted(rule, count) or self._dice.random() >= rule.probability:
            return False
        count.fired += 1
        return True


def _in_time(rule: Fault, elapsed_s: float) -> bool:
    if rule.after_s is not None and elapsed_s < rule.after_s:
        return False
    return rule.until_s is None or elapsed_s < rule.until_s


def _counted(rule: Fault, count: Count) -> bool:
    if rule.nth and count.seen not in rule.nth:
        return False
    if rule.first is not None and count.seen > rule.first:
        return False
    if rule.every is not None and count.seen % rule.every:
        return False
    return rule.limit is None or count.fired < rule.limit


def _matches(rule: Fault, subject: Subject) -> bool:
    return all(_fits(key, value, subject) for key, value in rule.match.items())


def _fits(key: str, value: str, subject: Subject) -> bool:
    match key:
        case "text":
            return value in subject.text
        case "hash":
            return value in subject.hashes
        case "task":
            return value == subject.task
        case "file":
            return value in subject.files
        case "format":
            return value == subject.format
        case _:
            return value == subject.avatar
