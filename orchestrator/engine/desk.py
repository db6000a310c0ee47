"""What every stage of one run shares: the ports, the limits, the pace, and who is out of reach."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orchestrator.core.outage import Breaker
from orchestrator.core.outcome import CallFate, CallVerdict, judge_call
from orchestrator.engine.pace import Pacer
from orchestrator.engine.ports import Ports
from orchestrator.model import Answer, Settings
from orchestrator.store.base import BatchRow, EngineStore, SlotRule

DOUBT_HOLDS_SLOT_S = 600.0
"""A submit of unknown fate holds its slot this long (scaled); then 4007 is the guard."""


@dataclass(slots=True)
class Host:
    """One host and its breaker: whoever finds it silent makes everybody wait."""

    breaker: Breaker = field(default_factory=Breaker)

    @property
    def open_at(self) -> float:
        """Monotonic time before which nothing is sent to this host."""
        return self.breaker.open_at


@dataclass(slots=True, kw_only=True)
class Desk:
    """The shared things of one run.

    ``overwrite``: a file at the output path that this batch did not make may be replaced.
    """

    batch: BatchRow
    settings: Settings
    store: EngineStore
    ports: Ports
    pacer: Pacer
    overwrite: bool = False
    api: Host = field(default_factory=Host)
    objects: Host = field(default_factory=Host)
    cdn: Host = field(default_factory=Host)

    @property
    def scale(self) -> float:
        """Factor for waits that depend on the vendor's pace."""
        return self.settings.limits.scale

    @property
    def slot_rule(self) -> SlotRule:
        """How the account's slots are counted."""
        return SlotRule(
            in_flight=self.settings.limits.in_flight, doubt_hold_s=DOUBT_HOLDS_SLOT_S * self.scale
        )

    def now(self) -> float:
        """Monotonic seconds."""
        return self.ports.clock.monotonic()

    def wall(self) -> float:
        """Unix seconds."""
        return self.ports.clock.wall()

    async def ask(self, call: Callable[[], Awaitable[Answer]]) -> tuple[Answer, CallVerdict]:
        """One free API call in its turn; its outcome moves the breaker of the API's host."""
        await self.pacer.turn()
        answer = await call()
        verdict = judge_call(answer)
        silent = verdict.fate is CallFate.RETRY
        self.note(self.api, silent=silent, retry_after_s=verdict.retry_after_s)
        return answer, verdict

    def note(self, host: Host, *, silent: bool, retry_after_s: float | None = None) -> None:
        """Remember whether a host gave a usable answer."""
        if silent:
            host.breaker = host.breaker.failed(
                now=self.now(),
                scale=self.scale,
                rng=self.ports.random,
                retry_after_s=retry_after_s,
            )
        else:
            host.breaker = host.breaker.answered()

    async def until_open(self, host: Host) -> None:
        """Return when something may be sent to the host again."""
        while (wait := host.open_at - self.now()) > 0:
            await self.ports.clock.sleep(wait)
