"""What every stage of one run shares: the ports, the limits, the pace, and who is out of reach."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orchestrator.core.budget import Tariff
from orchestrator.core.outage import Breaker
from orchestrator.core.outcome import CallFate, CallVerdict, judge_call
from orchestrator.engine.flow import Flow
from orchestrator.engine.neighbours import lowest
from orchestrator.engine.pace import Pacer
from orchestrator.engine.ports import Ports
from orchestrator.engine.progress import Level
from orchestrator.model import Answer, BatchKey, Job, Limits, RunKey, Settings
from orchestrator.store.base import BatchRow, EngineStore, Purse, SlotRule

SILENT_AFTER = 2
"""So many failures in a row make a host silent, and worth a word."""
DOUBT_HOLDS_SLOT_S = 600.0
"""A submit of unknown fate holds its slot this long (scaled); then 4007 is the guard."""


@dataclass(slots=True)
class Host:
    """One host and its breaker: whoever finds it silent makes everybody wait."""

    name: str
    breaker: Breaker = field(default_factory=Breaker)

    @property
    def open_at(self) -> float:
        """Monotonic time before which nothing is sent to this host."""
        return self.breaker.open_at


@dataclass(slots=True, kw_only=True)
class Desk:
    """The shared things of one run.

    ``overwrite``: a file at the output path that this batch did not make may be replaced.
    ``run``: the row of this run. ``run_credits``: what it may cost, None for no limit of its own.
    ``vendor_zero``: the vendor's Unix time when our monotonic clock stood at 0, as its last answer
    showed it; None before the first.
    ``tariff``: what jobs cost, as far as known. ``notice_url``: the webhook's public address for
    an attempt's token; None without a webhook. ``limits`` are the ones that hold now;
    ``neighbours`` the batches of the account's other live runs.
    """

    batch: BatchRow
    settings: Settings
    store: EngineStore
    ports: Ports
    pacer: Pacer
    run: RunKey
    run_credits: float | None = None
    overwrite: bool = False
    limits: Limits = field(init=False)
    flow: Flow = field(init=False)
    neighbours: frozenset[BatchKey | None] = frozenset()
    vendor_zero: float | None = None
    tariff: Tariff = field(default_factory=Tariff)
    notice_url: Callable[[str], str] | None = None
    api: Host = field(default_factory=lambda: Host("the API"))
    objects: Host = field(default_factory=lambda: Host("the object store"))
    cdn: Host = field(default_factory=lambda: Host("the download host"))
    tell: Callable[[Level, str], None] = field(default=lambda _level, _message: None)

    def __post_init__(self) -> None:
        self.limits = self.settings.limits
        self.flow = Flow(self.limits, self.ports.random)

    async def heed_neighbours(self) -> None:
        """Where live runs of the account have different limits, the lowest holds."""
        neighbours = await self.ports.neighbours()
        self.neighbours = frozenset(note.get("batch") for note in neighbours)
        self.limits = lowest(self.settings.limits, neighbours)
        self.pacer.set_rates(submit=self.limits.submit_rate, request=self.limits.request_rate)
        self.flow.ceiling = self.limits.in_flight
        self.flow.spare.per_s = 1 / self.limits.request_rate.interval_s / (1 + len(neighbours))
        await self.flow.heed(self.store, self.batch.account, self.wall())

    @property
    def scale(self) -> float:
        """Factor for waits that depend on the vendor's pace."""
        return self.settings.limits.scale

    @property
    def slot_rule(self) -> SlotRule:
        """How the account's slots are counted."""
        return SlotRule(in_flight=self.flow.room, doubt_hold_s=DOUBT_HOLDS_SLOT_S * self.scale)

    def now(self) -> float:
        """Monotonic seconds."""
        return self.ports.clock.monotonic()

    def wall(self) -> float:
        """Unix seconds."""
        return self.ports.clock.wall()

    async def ask(
        self, call: Callable[[], Awaitable[Answer]], *, poll: bool = False
    ) -> tuple[Answer, CallVerdict]:
        """One free API call in its turn; its outcome moves the breaker of the API's host.

        ``poll``: it is one of the questions about tasks, which get what the other calls leave.
        """
        await self.pacer.turn()
        if not poll:
            self.flow.spare.other_call(self.now())
        answer = await call()
        verdict = judge_call(answer)
        self.note_clock(answer)
        silent = verdict.fate is CallFate.RETRY
        self.note(self.api, silent=silent, retry_after_s=verdict.retry_after_s, why=verdict.message)
        return answer, verdict

    def note(
        self, host: Host, *, silent: bool, retry_after_s: float | None = None, why: str = ""
    ) -> None:
        """Remember whether a host gave a usable answer."""
        before = host.breaker.failures
        if silent:
            host.breaker = host.breaker.failed(
                now=self.now(),
                scale=self.scale,
                rng=self.ports.random,
                retry_after_s=retry_after_s,
            )
        else:
            host.breaker = host.breaker.answered()
        self._tell_change(host, before, why)

    def _tell_change(self, host: Host, before: int, why: str) -> None:
        """Say once that a host is silent, and once that it answers again."""
        after = host.breaker.failures
        if before < SILENT_AFTER <= after:
            reason = f" ({why})" if why else ""
            what = f"{host.name} does not answer{reason}: everything that needs it waits"
            self.tell(Level.PROBLEM, what)
        elif after == 0 and before >= SILENT_AFTER:
            self.tell(Level.INFO, f"{host.name} answers again")

    def note_clock(self, answer: Answer) -> None:
        """Learn how far the vendor's clock is from ours."""
        if answer.server_time is not None:
            self.vendor_zero = answer.server_time - self.now()

    def vendor_wall(self) -> float:
        """Unix seconds on the vendor's clock, as far as it ever told; ours until then.

        Our wall clock may have been set since the last answer, so the time since then is taken
        from the monotonic one. (That one may stand still while the machine sleeps: then this is
        too early, which makes more of the log's tasks possible, and never hides one.)
        """
        return self.wall() if self.vendor_zero is None else self.vendor_zero + self.now()

    def purse(self, job: Job, wall: float) -> Purse:
        """What the submit of this job may cost, if it begins at ``wall`` on our clock."""
        return Purse(
            run=self.run,
            expected=self.tariff.expected(job.spec, job.audio_s),
            batch_limit=self.settings.budget_credits,
            run_limit=self.run_credits,
            clock_offset_s=self.vendor_wall() - wall,
        )

    async def until_open(self, host: Host) -> None:
        """Return when something may be sent to the host again."""
        while (wait := host.open_at - self.now()) > 0:
            await self.ports.clock.sleep(wait)
