"""What videos cost is known in the end, whichever run submitted them."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash_kit import CUT_OFF, sweep, world

from orchestrator.model import State

pytestmark = CUT_OFF
__all__ = ["sweep"]


@pytest.mark.parametrize(
    "point", ["after commit submitting submit_accepted", "after commit submitted task_succeeded"]
)
async def test_a_run_that_only_brings_videos_home_learns_what_they_cost(
    tmp_path: Path, point: str
) -> None:
    async with world(tmp_path) as there:
        there.spoken("job")
        assert await there.live(point) is None
        await there.live()
        [row] = await there.rows()
        assert (row.state, row.credits) == (State.DONE, 1.0)


async def test_what_is_known_is_not_asked_for_again(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        there.told("job")
        await there.live()
        asked = there.emulator.audit().requests["credit_logs"]
        await there.live()
        assert there.emulator.audit().requests["credit_logs"] == asked
