"""A look at the evidence takes its time, and the batch goes on meanwhile: nothing is mixed up."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from crash_kit import CUT_OFF, World, sweep, world
from emulator_support import eventually

from orchestrator.emulator.faults import fault
from orchestrator.model import OnDoubt, State

pytestmark = CUT_OFF
__all__ = ["sweep"]


async def test_a_task_made_while_the_log_is_read_goes_to_the_job_that_made_it(
    tmp_path: Path,
) -> None:
    """The first text never arrived. While the look for its task is at work, the second one is
    submitted and charged, and its reply is still under way: for a moment the log holds a task
    that nobody owns, and only one job is in doubt."""
    lost = fault("submit", "drop_before", nth=1)
    async with world(tmp_path, lost, charge="submit") as there:
        sent, looks = asyncio.Event(), 0
        read_again = asyncio.Event()

        async def keep_reply() -> None:
            if there.tasks():
                sent.set()
                await asyncio.wait_for(read_again.wait(), 5.0)

        async def look() -> None:
            nonlocal looks
            looks += 1
            if looks == 1:
                await asyncio.wait_for(sent.wait(), 5.0)
            else:
                read_again.set()

        there.told("first")
        there.told("second")
        hooks = {"after vendor.submit": keep_reply, "before vendor.credit_logs": look}
        await there.live(hooks=hooks)
        assert await there.states() == [State.DONE, State.DONE]
        assert len(there.tasks()) == 2
        await there.check()


async def test_a_doubt_that_arises_while_another_is_held_is_looked_for_too(
    tmp_path: Path,
) -> None:
    lost = [fault("submit", "drop_before", nth=1), fault("submit", "drop_after", nth=1)]
    async with world(tmp_path, *lost) as there:
        late = asyncio.Event()

        async def second_waits() -> None:
            if told(there, "first"):
                await asyncio.wait_for(late.wait(), 5.0)

        async def horizon_over() -> None:
            doubt = told(there, "first")
            if not late.is_set() and doubt and time.time() > doubt[0] + 0.5:
                late.set()
                await eventually(second_in_doubt)

        async def second_in_doubt() -> bool:
            return bool(told(there, "second"))

        there.set(on_doubt=OnDoubt.HOLD, doubt_horizon_s=0.6)
        there.told("first")
        there.spoken("second")
        await there.live(
            hooks={"before vendor.submit": second_waits, "before vendor.credit_logs": horizon_over}
        )
        assert late.is_set()
        assert await there.states() == [State.IN_DOUBT, State.DONE]
        await there.check()


def told(there: World, job_id: str) -> list[float]:
    """When somebody was told that the job is in doubt."""
    return [n.at for n in there.watcher.notices if n.job == job_id and "in doubt" in n.message]


async def test_looks_cost_few_requests(tmp_path: Path) -> None:
    """A night in doubt, scaled: the pauses grow, however long the horizon is."""
    async with world(tmp_path, fault("submit", "drop_before")) as there:
        there.set(on_doubt=OnDoubt.HOLD, doubt_horizon_s=0.6)
        there.told("job")
        await there.live()
        assert await there.states() == [State.IN_DOUBT]
        assert there.emulator.audit().requests["credit_logs"] <= 7
