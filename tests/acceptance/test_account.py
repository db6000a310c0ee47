"""The first question of a run, and what becomes of the batch when its answer is a refusal."""

from __future__ import annotations

from pathlib import Path

from fault_kit import Bench, Trial, run_trial

from orchestrator.app import Orchestrator
from orchestrator.model import State

LEFT_BEHIND = {"on": "query", "do": "code", "code": "401", "first": 1}
"""The first run ends at its first question about a task, which goes on at the vendor."""
NO_CREDIT = {"on": "credit", "do": "code", "code": "4100", "nth": 2}
"""The balance is told to the first run, and refused to the second."""


def left_behind(texts: int) -> Trial:
    """A batch of two runs, of which the second has no credit."""
    rules = (LEFT_BEHIND, NO_CREDIT)
    return Trial(texts=texts, rules=rules, limits={"in_flight": 1})


async def test_without_credit_what_is_under_way_is_fetched_and_nothing_new_begins(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, left_behind(texts=2))
    async with bench.emulator:
        owner = Orchestrator(tmp_path / "state", env=bench.emulator.environment)
        first = await owner.run(bench.manifest)
        assert (first.exit_code, first.status.counts[State.SUBMITTED]) == (8, 1)
        seen = await bench.run()
    assert (seen.states, seen.exit_code) == ("done ready", 5)
    assert (seen.submits, seen.wrong) == (1, ())
    assert "asked for the balance, the vendor says: There is not enough credit" in seen.words


async def test_a_batch_with_nothing_to_submit_needs_no_credit(tmp_path: Path) -> None:
    bench = Bench(tmp_path, left_behind(texts=1))
    async with bench.emulator:
        owner = Orchestrator(tmp_path / "state", env=bench.emulator.environment)
        assert (await owner.run(bench.manifest)).exit_code == 8
        seen = await bench.run()
    assert (seen.states, seen.exit_code, seen.wrong) == ("done", 0, ())


async def test_a_plain_refusal_is_told_at_once_as_what_it_is(tmp_path: Path) -> None:
    rule = {"on": "credit", "do": "status", "status": 403}
    seen = await run_trial(tmp_path, Trial(texts=1, rules=(rule,)))
    assert (seen.exit_code, seen.submits, seen.faults) == (1, 0, {"status@credit": 1})
    assert "the vendor refused to tell the account's balance: " in seen.words
    assert "does not answer" not in seen.words
    assert "trying again" not in seen.words
