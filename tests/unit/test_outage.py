"""The gate before submits: every outcome as a row, and whole outages over virtual time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from orchestrator.core.decide import Decision, Facts, Gate, Ready, decide
from orchestrator.core.outage import STOPS, Breaker, Stop, SubmitGate
from orchestrator.core.outcome import VERDICTS, Cause
from orchestrator.core.retry import LONGEST_RETRY_AFTER_S
from orchestrator.model import JobKey, Verdict

NOW = 1000.0


class Longest(random.Random):
    """Jitter at its upper end."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


RNG = Longest()
FRESH = SubmitGate()
DOUBTFUL = SubmitGate(open_at=NOW + 5, cautious=True, probe=True, unknowns=1)
UNREACHED = SubmitGate(open_at=NOW + 5, probe=True, setbacks=2)

ROWS: list[tuple[str, SubmitGate, Cause, SubmitGate]] = [
    ("accepted: as before", FRESH, Cause.ACCEPTED, FRESH),
    (
        "accepted after doubt: two at a time again, the pause runs on",
        DOUBTFUL,
        Cause.ACCEPTED,
        SubmitGate(open_at=NOW + 5),
    ),
    ("accepted after setbacks", UNREACHED, Cause.ACCEPTED, SubmitGate(open_at=NOW + 5)),
    ("the job's own fault", FRESH, Cause.JOB, FRESH),
    (
        "the job's own fault after doubt: an answer, but no task: still one at a time",
        DOUBTFUL,
        Cause.JOB,
        replace(DOUBTFUL, probe=False),
    ),
    ("a file is unknown", UNREACHED, Cause.FILE_UNKNOWN, SubmitGate(open_at=NOW + 5)),
    ("the cap is full", FRESH, Cause.CAP_FULL, SubmitGate(open_at=NOW + 30)),
    (
        "the cap is full after doubt: the longer pause, the rest stays",
        DOUBTFUL,
        Cause.CAP_FULL,
        replace(DOUBTFUL, open_at=NOW + 30),
    ),
    ("busy", FRESH, Cause.BUSY, SubmitGate(open_at=NOW + 20, setbacks=1)),
    (
        "busy again: longer",
        SubmitGate(setbacks=1),
        Cause.BUSY,
        SubmitGate(open_at=NOW + 40, setbacks=2),
    ),
    (
        "never sent: a probe first",
        FRESH,
        Cause.NEVER_SENT,
        SubmitGate(open_at=NOW + 5, probe=True, setbacks=1),
    ),
    (
        "never sent, for a long time: a minute",
        SubmitGate(setbacks=1000),
        Cause.NEVER_SENT,
        SubmitGate(open_at=NOW + 60, probe=True, setbacks=1001),
    ),
    (
        "unknown: pause, probe, one at a time",
        FRESH,
        Cause.UNKNOWN,
        SubmitGate(open_at=NOW + 10, cautious=True, probe=True, unknowns=1),
    ),
    (
        "unknown again: a minute",
        DOUBTFUL,
        Cause.UNKNOWN,
        replace(DOUBTFUL, open_at=NOW + 60, unknowns=2),
    ),
    (
        "unknown for the third time: five minutes",
        replace(DOUBTFUL, unknowns=2),
        Cause.UNKNOWN,
        replace(DOUBTFUL, open_at=NOW + 300, unknowns=3),
    ),
    (
        "unknown for the ninth time: half an hour",
        replace(DOUBTFUL, unknowns=8),
        Cause.UNKNOWN,
        replace(DOUBTFUL, open_at=NOW + 1800, unknowns=9),
    ),
    ("no credit", FRESH, Cause.CREDIT, SubmitGate(closed=True)),
    ("credentials refused", FRESH, Cause.AUTH, SubmitGate(closed=True)),
    ("turned away by a gateway", DOUBTFUL, Cause.GATEWAY, replace(DOUBTFUL, closed=True)),
]


@pytest.mark.parametrize(
    ("before", "cause", "after"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
def test_the_gate_after(before: SubmitGate, cause: Cause, after: SubmitGate) -> None:
    assert before.after(cause, now=NOW, scale=1.0, rng=RNG) == after


def test_a_full_cap_pauses_nothing_where_the_slots_are_found_out() -> None:
    assert DOUBTFUL.after(Cause.CAP_FULL, now=NOW, scale=1.0, rng=RNG, auto=True) == DOUBTFUL


def test_every_outcome_has_its_row() -> None:
    assert {row[2] for row in ROWS} == set(Cause)


GATES = st.builds(
    SubmitGate,
    open_at=st.floats(0, 5000),
    cautious=st.booleans(),
    probe=st.booleans(),
    closed=st.booleans(),
    unknowns=st.integers(0, 10**6),
    setbacks=st.integers(0, 10**6),
)


@given(GATES, st.sampled_from(Cause), st.none() | st.floats(0, 1e12), st.integers())
def test_no_outcome_opens_what_was_closed_or_shortens_a_pause(
    gate: SubmitGate, cause: Cause, retry_after_s: float | None, seed: int
) -> None:
    rng = random.Random(seed)
    after = gate.after(cause, now=NOW, scale=1.0, rng=rng, retry_after_s=retry_after_s)
    assert after.closed or not gate.closed
    assert gate.open_at <= after.open_at <= max(gate.open_at, NOW + LONGEST_RETRY_AFTER_S)
    assert after.cautious or not gate.cautious or cause is Cause.ACCEPTED


@pytest.mark.parametrize(
    ("retry_after_s", "pause_s"), [(None, 20.0), (5.0, 20.0), (90.0, 90.0), (1e9, 3600.0)]
)
def test_a_busy_vendor_is_given_the_time_it_asks_for_up_to_an_hour(
    retry_after_s: float | None, pause_s: float
) -> None:
    after = FRESH.after(Cause.BUSY, now=NOW, scale=1.0, rng=RNG, retry_after_s=retry_after_s)
    assert after.open_at == NOW + pause_s


@pytest.mark.parametrize(
    ("cause", "pause_s"),
    [(Cause.CAP_FULL, 0.3), (Cause.BUSY, 0.2), (Cause.NEVER_SENT, 0.05), (Cause.UNKNOWN, 0.1)],
)
def test_pauses_scale_with_the_vendors_pace(cause: Cause, pause_s: float) -> None:
    after = FRESH.after(cause, now=NOW, scale=0.01, rng=RNG)
    assert after.open_at == pytest.approx(NOW + pause_s)


def test_what_the_server_asks_for_is_in_real_time_and_does_not_scale() -> None:
    after = FRESH.after(Cause.BUSY, now=NOW, scale=0.01, rng=RNG, retry_after_s=7.0)
    assert after.open_at == NOW + 7.0


def test_an_answered_probe_lets_one_submit_go() -> None:
    after = DOUBTFUL.probed(True, now=NOW, scale=1.0, rng=RNG)
    assert after.gate() == Gate(open_at=NOW + 5, at_once=1, probe=False)


def test_an_unanswered_probe_is_repeated_after_a_growing_pause() -> None:
    gate, pauses = DOUBTFUL, []
    for _ in range(6):
        after = gate.probed(False, now=gate.open_at, scale=1.0, rng=RNG)
        pauses.append(after.open_at - gate.open_at)
        gate = after
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert gate.probe


def test_a_shut_gate_stays_shut() -> None:
    assert FRESH.shut().after(Cause.ACCEPTED, now=NOW, scale=1.0, rng=RNG).gate().closed


def test_a_fresh_gate_lets_two_go_unanswered() -> None:
    assert FRESH.gate() == Gate(open_at=0.0, at_once=2)


def test_only_outcomes_that_surely_made_no_task_stop_a_run() -> None:
    assert {VERDICTS[cause] for cause in STOPS} == {Verdict.REFUSED}
    assert set(STOPS.values()) == {Stop.CREDIT, Stop.AUTH, Stop.GATEWAY}


class TestBreaker:
    def test_a_failure_makes_everybody_wait(self) -> None:
        assert Breaker().failed(now=NOW, scale=1.0, rng=RNG) == Breaker(open_at=NOW + 2, failures=1)

    def test_waits_grow_to_a_minute(self) -> None:
        breaker, now, waits = Breaker(), NOW, []
        for _ in range(8):
            breaker = breaker.failed(now=now, scale=1.0, rng=RNG)
            waits.append(breaker.open_at - now)
            now = breaker.open_at
        assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]

    def test_calls_that_fail_together_count_once(self) -> None:
        once = Breaker().failed(now=NOW, scale=1.0, rng=RNG)
        assert once.failed(now=NOW + 1, scale=1.0, rng=RNG) == once

    def test_a_crowd_told_to_come_later_counts_once_and_waits_as_long_as_it_was_told(self) -> None:
        breaker = Breaker()
        for wish_s in (5.0, 9.0, 7.0):
            breaker = breaker.failed(now=NOW, scale=1.0, rng=RNG, retry_after_s=wish_s)
        assert breaker == Breaker(open_at=NOW + 9.0, failures=1)

    def test_a_broken_wish_stops_nobody_for_longer_than_an_hour(self) -> None:
        breaker = Breaker().failed(now=NOW, scale=1.0, rng=RNG, retry_after_s=1e12)
        assert breaker.open_at == NOW + 3600.0

    def test_any_answer_closes_it(self) -> None:
        failed = Breaker().failed(now=NOW, scale=1.0, rng=RNG)
        assert failed.answered() == Breaker()

    def test_a_million_failures_overflow_nothing(self) -> None:
        breaker = Breaker(failures=10**6).failed(now=NOW, scale=1.0, rng=RNG)
        assert breaker.open_at == NOW + 60.0

    def test_waits_scale_with_the_vendors_pace(self) -> None:
        assert Breaker().failed(now=NOW, scale=0.01, rng=RNG).open_at == pytest.approx(NOW + 0.02)


@dataclass
class Trouble:
    """When and how the vendor is out of reach. Seconds from the beginning of the run.

    ``refuses``: nothing can be sent; else what is sent is lost. ``answers_questions``: free calls
    work all the same. ``wait_s``: how long a lost request keeps its sender waiting.
    """

    begins: float = 100.0
    lasts: float = 3600.0
    refuses: bool = False
    answers_questions: bool = False
    wait_s: float = 20.0
    reply_s: float = 1.0

    def at(self, now: float) -> bool:
        return self.begins <= now < self.begins + self.lasts

    def submit(self, now: float) -> tuple[float, Cause]:
        """When a submit sent now is settled, and how."""
        if self.at(now) and self.refuses:
            return now + 0.1, Cause.NEVER_SENT
        if self.at(now) or self.at(now + self.reply_s):
            return now + self.wait_s, Cause.UNKNOWN
        return now + self.reply_s, Cause.ACCEPTED

    def question(self, now: float) -> tuple[float, bool]:
        """When a free call sent now is settled, and whether it was answered."""
        silent = (self.at(now) or self.at(now + 0.2)) and not self.answers_questions
        return now + (self.wait_s if silent else 0.2), not silent


@dataclass
class Simulation:
    """The gate and the planner in virtual time, with jobs enough and slots enough."""

    trouble: Trouble
    jobs: int = 6000
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    gate: SubmitGate = FRESH
    now: float = 0.0
    sent: int = 0
    unanswered: int = 0
    probing: bool = False
    most_unanswered: int = 0
    fates: dict[Cause, int] = field(default_factory=dict)
    due: list[tuple[float, int, str, Any]] = field(default_factory=list)
    next_submit_at: float = 0.0

    def run(self, until: float) -> None:
        for _ in range(200_000):
            decision = decide(self.facts())
            self.act(decision)
            times = [t for t in (decision.wake_at, self.due[0][0] if self.due else None) if t]
            if not times or min(times) > until:
                return
            self.now = max(self.now, min(times))
            while self.due and self.due[0][0] <= self.now:
                self.settle(*heapq.heappop(self.due)[2:])
        raise AssertionError("it never comes to an end")

    def facts(self) -> Facts:
        coming = range(self.sent, min(self.sent + 4, self.jobs))
        return Facts(
            now=self.now,
            gate=replace(self.gate.gate(), open_at=max(self.gate.open_at, self.next_submit_at)),
            ready=[Ready(key=JobKey(n), visible=str(n)) for n in coming],
            slots_free=10,
            unanswered=self.unanswered,
            probing=self.probing,
        )

    def act(self, decision: Decision) -> None:
        for _ in decision.submits:
            self.sent += 1
            self.unanswered += 1
            self.next_submit_at = self.now + 1.0  # two at once: the worst that is allowed
            self.later("submit", *self.trouble.submit(self.now))
        self.most_unanswered = max(self.most_unanswered, self.unanswered)
        if decision.probe:
            self.probing = True
            self.later("probe", *self.trouble.question(self.now))

    def later(self, what: str, at: float, fate: object) -> None:
        heapq.heappush(self.due, (at, len(self.due) + self.sent * 10, what, fate))

    def settle(self, what: str, fate: Any) -> None:
        if what == "probe":
            self.probing = False
            self.gate = self.gate.probed(fate, now=self.now, scale=1.0, rng=self.rng)
            return
        self.unanswered -= 1
        self.fates[fate] = self.fates.get(fate, 0) + 1
        self.gate = self.gate.after(fate, now=self.now, scale=1.0, rng=self.rng)


quick = hypothesis_settings(max_examples=60, deadline=None)


class TestAnOutage:
    @quick
    @given(
        st.builds(
            Trouble,
            begins=st.floats(0, 200),
            lasts=st.floats(0, 3600),
            refuses=st.booleans(),
            wait_s=st.floats(0.1, 300),
            reply_s=st.floats(0.05, 30),
        ),
        st.integers(),
    )
    def test_of_an_hour_leaves_at_most_three_jobs_in_doubt(
        self, trouble: Trouble, seed: int
    ) -> None:
        simulation = Simulation(trouble, rng=random.Random(seed))
        simulation.run(until=trouble.begins + trouble.lasts + 900)
        assert simulation.fates.get(Cause.UNKNOWN, 0) <= 3
        assert simulation.most_unanswered <= 2

    @quick
    @given(st.floats(0, 3600), st.booleans(), st.integers())
    def test_over_the_batch_goes_on_by_itself_within_minutes(
        self, lasts: float, refuses: bool, seed: int
    ) -> None:
        trouble = Trouble(lasts=lasts, refuses=refuses)
        simulation = Simulation(trouble, rng=random.Random(seed))
        simulation.run(until=trouble.begins + lasts)
        before = simulation.fates.get(Cause.ACCEPTED, 0)
        simulation.run(until=trouble.begins + lasts + 400)
        assert simulation.fates[Cause.ACCEPTED] - before > 100
        assert simulation.gate.gate().at_once == 2

    def test_that_refuses_connections_puts_no_job_in_doubt_but_those_under_way(self) -> None:
        simulation = Simulation(Trouble(refuses=True))
        simulation.run(until=3700.0)
        assert simulation.fates.get(Cause.UNKNOWN, 0) <= 2

    def test_of_submits_alone_is_slowed_by_the_pauses(self) -> None:
        """Free questions are answered all the time, so that only the pauses protect."""
        simulation = Simulation(Trouble(answers_questions=True, wait_s=0.5))
        simulation.run(until=3700.0)
        assert simulation.fates[Cause.UNKNOWN] <= 5

    def test_that_never_began_costs_nothing(self) -> None:
        simulation = Simulation(Trouble(lasts=0.0))
        simulation.run(until=100.0)
        assert simulation.fates == {Cause.ACCEPTED: 200}
