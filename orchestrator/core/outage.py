"""How submits behave when the vendor refuses, is busy, or cannot be reached.

One immutable value, :class:`SubmitGate`, goes from outcome to outcome. What it protects: at most
two submits are unanswered at any time; after one of unknown fate the next waits for a pause and
for a free question to be answered, and then they go one at a time until one is accepted. So an
outage of an hour leaves at most three jobs in doubt.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from orchestrator.core.decide import Gate
from orchestrator.core.outcome import Cause
from orchestrator.core.retry import CAP_PAUSE_S, Backoff, doubt_pause_s, heeded_s

BUSY = Backoff(first_s=20.0, ceiling_s=120.0)
"""After 5003 or HTTP 429: 10 to 20 s at first, as the vendor advises."""
UNREACHED = Backoff(first_s=5.0, ceiling_s=60.0)
"""After a submit that surely never left: nothing is at stake but patience."""


class Stop(StrEnum):
    """Why a run ends before every job rests."""

    CREDIT = "credit"  # the vendor says 4100: not enough credit
    BUDGET = "budget"  # budget.credits or --max-credits does not cover the next job
    AUTH = "auth"  # the vendor refused the credentials
    GATEWAY = "gateway"  # something between us and the vendor's application refuses the path
    WINDOW = "window"  # --max-time or --until: the time is up, and jobs are left
    STREAK = "streak"  # stop_after failures in a row for one reason
    SIGINT = "sigint"
    SIGTERM = "sigterm"
    STORE = "store"  # checkpoints cannot be written
    BUG = "bug"  # an unexpected error


STOPS: dict[Cause, Stop] = {
    Cause.CREDIT: Stop.CREDIT,
    Cause.AUTH: Stop.AUTH,
    Cause.GATEWAY: Stop.GATEWAY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitGate:
    """What the outcomes so far allow. Times are monotonic seconds.

    ``unknowns`` and ``setbacks`` count outcomes in a row (unknown; busy or never sent).
    """

    open_at: float = 0.0
    cautious: bool = False
    probe: bool = False
    closed: bool = False
    unknowns: int = 0
    setbacks: int = 0

    def gate(self) -> Gate:
        """The part that the planner needs."""
        at_once = 1 if self.cautious else 2
        return Gate(open_at=self.open_at, at_once=at_once, probe=self.probe, closed=self.closed)

    def after(
        self,
        cause: Cause,
        *,
        now: float,
        scale: float,
        rng: random.Random,
        retry_after_s: float | None = None,
        auto: bool = False,
    ) -> SubmitGate:
        """The gate after one more outcome. ``scale`` stretches waits with the vendor's pace.

        ``auto``: a full cap is heeded by ``core.slots``, which knows how many tasks may be in
        flight, so that nothing needs to pause here.
        """
        match cause:
            case Cause.ACCEPTED:
                return replace(self, cautious=False, probe=False, unknowns=0, setbacks=0)
            case Cause.JOB | Cause.FILE_UNKNOWN:
                return replace(self, probe=False, setbacks=0)
            case Cause.CAP_FULL if auto:
                return self
            case Cause.CAP_FULL:
                return self._pause(now + CAP_PAUSE_S * scale)
            case Cause.BUSY:
                wait = BUSY.wait_s(self.setbacks + 1, rng) * scale
                return self._setback(now + max(wait, heeded_s(retry_after_s)), probe=False)
            case Cause.NEVER_SENT:
                wait = UNREACHED.wait_s(self.setbacks + 1, rng) * scale
                return self._setback(now + wait, probe=True)
            case Cause.UNKNOWN:
                pause = doubt_pause_s(self.unknowns + 1, scale)
                doubtful = replace(self, cautious=True, probe=True, unknowns=self.unknowns + 1)
                return doubtful._pause(now + pause)
            case Cause.CREDIT | Cause.AUTH | Cause.GATEWAY:
                return replace(self, closed=True)
            case _:
                assert_never(cause)

    def probed(self, answered: bool, *, now: float, scale: float, rng: random.Random) -> SubmitGate:
        """The gate after the free question that a probe asks."""
        if answered:
            return replace(self, probe=False)
        wait = UNREACHED.wait_s(self.setbacks + 1, rng) * scale
        return self._setback(now + wait, probe=True)

    def shut(self) -> SubmitGate:
        """No more submits in this run."""
        return replace(self, closed=True)

    def _pause(self, until: float) -> SubmitGate:
        return replace(self, open_at=max(self.open_at, until))

    def _setback(self, until: float, *, probe: bool) -> SubmitGate:
        paused = self._pause(until)
        return replace(paused, setbacks=self.setbacks + 1, probe=probe or self.probe)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One for each host: free calls and transfers back off together while it does not answer."""

    open_at: float = 0.0
    failures: int = 0

    def failed(
        self,
        *,
        now: float,
        scale: float,
        rng: random.Random,
        retry_after_s: float | None = None,
    ) -> Breaker:
        """After a call without a usable answer. Failures seen while already open do not add up."""
        asked_for = now + heeded_s(retry_after_s)
        if now < self.open_at:
            return replace(self, open_at=max(self.open_at, asked_for))
        wait = Backoff(first_s=2.0, ceiling_s=60.0).wait_s(self.failures + 1, rng) * scale
        return Breaker(open_at=max(asked_for, now + wait), failures=self.failures + 1)

    def answered(self) -> Breaker:
        """After any answer: the host is there."""
        return self if self.failures == 0 else Breaker()
