"""What a check found, and what all of them come to. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

REFUSED = 8
"""Exit code for credentials that are missing or refused, as of every other command."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # a batch can run, and may not go as wished
    FAULT = "fault"  # a batch cannot run, or not to its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. ``remedy`` says what to do, "" where nothing is to be done."""

    name: str
    level: Level
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks, in the order in which somebody would read them."""

    checks: tuple[Check, ...]

    @property
    def faults(self) -> int:
        """How many checks found a fault."""
        return sum(c.level is Level.FAULT for c in self.checks)

    @property
    def warnings(self) -> int:
        """How many checks found something worth a warning."""
        return sum(c.level is Level.WARNING for c in self.checks)

    @property
    def exit_code(self) -> int:
        """0 without a fault, 8 if the credentials are at fault, else 1."""
        names = {c.name for c in self.checks if c.level is Level.FAULT}
        if "credentials" in names:
            return REFUSED
        return 1 if names else 0

    def to_json(self) -> dict[str, Any]:
        """The document of ``doctor --json``."""
        rows = [asdict(check) for check in self.checks]
        return {"faults": self.faults, "warnings": self.warnings, "checks": rows}


def ok(name: str, message: str) -> Check:
    """All is well."""
    return Check(name=name, level=Level.OK, message=message)


def warning(name: str, message: str, remedy: str) -> Check:
    """Something to know."""
    return Check(name=name, level=Level.WARNING, message=message, remedy=remedy)


def fault(name: str, message: str, remedy: str) -> Check:
    """Something to mend."""
    return Check(name=name, level=Level.FAULT, message=message, remedy=remedy)
