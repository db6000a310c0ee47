"""Jobs in doubt against the emulator: what is adopted, what is sent anew, what is left alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import pytest
from crash_kit import CUT_OFF, World, sweep, world

from orchestrator.emulator.faults import Fault, fault
from orchestrator.model import Event, EventKind, FileId, OnDoubt, State, TaskId
from orchestrator.store.base import AppStore, BatchRow
from orchestrator.topview.client import TopViewClient

pytestmark = CUT_OFF
__all__ = ["sweep"]

OURS = "9001"
"""The avatar of our jobs, so that faults strike no other tool's."""
MADE = fault("submit", "drop_after", nth=1, match={"avatar": OURS})
NOT_MADE = fault("submit", "drop_before", nth=1, match={"avatar": OURS})
LONG = {"doubt_horizon_s": 60.0}
SLOW = {"render": "lognormal", "render_min_s": 0.3, "render_mean_s": 0.3, "render_max_s": 0.3}


@dataclass
class Shifted:
    """The vendor's clock, wrong by some seconds."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


def add(there: World, kind: str, job_id: str = "job") -> None:
    if kind == "told":
        there.told(job_id, avatar=OURS)
    else:
        there.spoken(job_id, avatar=OURS)


async def settled(there: World, state: State, *, tasks: int) -> None:
    """One more life leaves every job in this state, with so many tasks of ours at the vendor."""
    await there.live()
    assert set(await there.states()) == {state}, there.watcher.notices
    assert len(there.tasks()) == tasks
    await there.check()


# --- the reply is lost


@pytest.mark.parametrize("charge", ["success", "submit"])
@pytest.mark.parametrize("kind", ["spoken", "told"])
async def test_a_task_whose_reply_was_lost_is_found_in_the_log_and_adopted(
    tmp_path: Path, kind: str, charge: str
) -> None:
    async with world(tmp_path, MADE, charge=charge) as there:
        add(there, kind)
        await settled(there, State.DONE, tasks=1)
        [evidence] = await there.evidence()
        assert "the only" in evidence
        assert ("uploaded audio" in evidence) == (kind == "spoken")
        assert any(evidence in told for told in there.told_of())


@pytest.mark.parametrize("charge", ["success", "submit"])
async def test_a_submit_that_never_arrived_is_sent_anew_when_the_horizon_is_over(
    tmp_path: Path, charge: str
) -> None:
    async with world(tmp_path, NOT_MADE, charge=charge) as there:
        add(there, "spoken")
        add(there, "told", "other")
        await settled(there, State.DONE, tasks=2)
        cleared = [s.event for s in await there.history("job") + await there.history("other")]
        [event] = [e for e in cleared if e.kind is EventKind.DOUBT_CLEARED]
        assert event.reason == "doubt:horizon"


@pytest.mark.parametrize("lost", [MADE, NOT_MADE], ids=["made", "not made"])
@pytest.mark.parametrize("kind", ["spoken", "told"])
async def test_with_hold_nothing_is_sent_anew(tmp_path: Path, kind: str, lost: Fault) -> None:
    async with world(tmp_path, lost) as there:
        there.set(on_doubt=OnDoubt.HOLD)
        add(there, kind)
        made = lost is MADE
        await settled(there, State.DONE if made else State.IN_DOUBT, tasks=int(made))
        assert there.emulator.audit().submits == 1
        if not made:
            assert any("no trace of a task" in told for told in there.told_of())


async def test_a_task_that_fails_is_never_charged_and_its_job_is_sent_anew(tmp_path: Path) -> None:
    async with world(tmp_path, MADE, fault("task", "fail", nth=1)) as there:
        add(there, "spoken")
        await there.live()
        assert await there.states() == [State.DONE]
        assert [task.failed for task in there.tasks()] == [True, False]
        assert there.emulator.audit().credits_charged == 1.0


async def test_several_lost_replies_of_uploads_and_texts_are_all_settled(tmp_path: Path) -> None:
    lost = fault("submit", "drop_after", every=2)
    async with world(tmp_path, lost) as there:
        for n in range(3):
            there.spoken(f"s{n}", pitch=300.0 + 10 * n)
        there.told("text")
        await settled(there, State.DONE, tasks=4)


async def test_two_jobs_alike_may_have_each_others_tasks_but_not_the_same(tmp_path: Path) -> None:
    async with world(tmp_path, fault("submit", "drop_after", first=2)) as there:
        there.told("one", "The same words.")
        there.told("two", "The same words.")
        await settled(there, State.DONE, tasks=2)
        assert len({row.task_id for row in await there.rows()}) == 2


# --- the log


@pytest.mark.parametrize(
    "trouble",
    [
        fault("credit_logs", "status", status=503, first=2),
        fault("credit_logs", "html", first=2),
        fault("credit_logs", "truncated_json", first=2),
        fault("credit_logs", "wrong_types", first=2),
        fault("credit_logs", "drop_after", first=2),
    ],
    ids=lambda f: f.do,
)
async def test_a_log_that_cannot_be_read_for_a_while_is_read_later(
    tmp_path: Path, trouble: Fault
) -> None:
    async with world(tmp_path, MADE, trouble) as there:
        there.set(**LONG)
        add(there, "told")
        await settled(there, State.DONE, tasks=1)


async def test_without_a_readable_log_nothing_is_sent_anew(tmp_path: Path) -> None:
    down = fault("credit_logs", "status", status=503, limit=12)
    async with world(tmp_path, MADE, down) as there:
        add(there, "told")
        for _ in range(4):
            if await there.live() and await there.states() == [State.DONE]:
                break
            assert await there.states() == [State.IN_DOUBT]
            assert len(there.tasks()) == 1
            assert any("could not be read" in told for told in there.told_of())
        await settled(there, State.DONE, tasks=1)


async def test_half_a_log_proves_nothing_for_a_text(tmp_path: Path) -> None:
    """The first page holds another tool's task, the second one could hold ours."""
    second_page = fault("credit_logs", "status", status=503, every=2)
    async with world(tmp_path, MADE, second_page) as there:
        add(there, "told")
        there.set(on_doubt=OnDoubt.HOLD)
        assert await there.live("after commit submitting submit_unknown") is None
        await there.other_tool()
        with patch.object(TopViewClient.credit_logs, "__defaults__", (1, 1)):
            await there.live()
        assert await there.states() == [State.IN_DOUBT]
        assert sum(there.emulator.audit().faults.values()) >= 1 + 3


async def test_a_task_that_no_query_tells_of_stops_a_second_submit(tmp_path: Path) -> None:
    """Charged, but nobody can say of what: it could be this job's."""
    silent = fault("query", "status", status=503)
    async with world(tmp_path, MADE, silent) as there:
        add(there, "spoken")
        await there.live()
        assert len(there.tasks()) == 1
        assert there.emulator.audit().submits == 1
        assert await there.states() == [State.IN_DOUBT]


# --- other tools on the account


async def test_another_tools_texts_do_not_hide_an_uploads_task(tmp_path: Path) -> None:
    async with world(tmp_path, MADE) as there:
        for n in range(3):
            await there.other_tool(f"Foreign text {n}.")
        add(there, "spoken")
        await settled(there, State.DONE, tasks=1)


async def test_an_uploads_job_never_takes_another_tools_text(tmp_path: Path) -> None:
    async with world(tmp_path, NOT_MADE) as there:
        foreign = await there.other_tool()
        add(there, "spoken")
        await settled(there, State.IN_DOUBT, tasks=0)
        assert any(foreign in told for told in there.told_of())


async def test_a_text_that_cannot_be_told_from_another_tools_is_left_to_the_operator(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, MADE) as there:
        foreign = await there.other_tool()
        add(there, "told")
        await settled(there, State.IN_DOUBT, tasks=1)
        [task] = there.tasks()
        [message] = [told for told in there.told_of() if "still in doubt" in told]
        assert foreign in message and task.task_id in message
        assert there.emulator.audit().submits == 2


async def test_tasks_from_long_before_the_attempt_are_nobodys_candidates(tmp_path: Path) -> None:
    clock = Shifted()
    async with world(tmp_path, MADE, clock=clock) as there:
        clock.ahead_s = -3600.0
        await there.other_tool()
        clock.ahead_s = 0.0
        add(there, "told")
        await settled(there, State.DONE, tasks=1)


# --- clocks


@pytest.mark.parametrize("offset_s", [-5400.0, -600.0, 600.0, 5400.0])
@pytest.mark.parametrize("kind", ["spoken", "told"])
async def test_the_vendors_clock_may_be_another(tmp_path: Path, kind: str, offset_s: float) -> None:
    async with world(tmp_path, MADE, clock_offset_s=offset_s) as there:
        add(there, kind)
        await settled(there, State.DONE, tasks=1)


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
@pytest.mark.parametrize("lost", [MADE, NOT_MADE], ids=["made", "not made"])
async def test_a_wall_clock_that_jumps_while_a_job_is_in_doubt_changes_no_decision(
    tmp_path: Path, lost: Fault, jump_s: float
) -> None:
    async with world(tmp_path, lost) as there:

        async def jump() -> None:
            there.clock.ahead_s = jump_s

        add(there, "told")
        await there.live(hooks={"before vendor.credit_logs": jump})
        assert await there.states() == [State.DONE]
        assert len(there.tasks()) == 1


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
async def test_a_wall_clock_that_is_wrong_when_a_submit_begins_hides_no_task(
    tmp_path: Path, jump_s: float
) -> None:
    async with world(tmp_path, MADE) as there:

        async def jump() -> None:
            there.clock.ahead_s = jump_s

        async def back() -> None:
            there.clock.ahead_s = 0.0

        add(there, "told")
        wrong = {"after commit pending assets_live": jump, "after commit ready submit_intent": back}
        await there.live(hooks=wrong)
        assert await there.states() == [State.DONE]
        assert len(there.tasks()) == 1


async def test_a_wall_clock_that_jumps_ahead_ends_no_horizon(tmp_path: Path) -> None:
    """The task is charged when it succeeds, which is after the first looks at the log."""
    async with world(tmp_path, MADE, charge="success", **SLOW) as there:

        async def jump() -> None:
            there.clock.ahead_s = 3600.0

        add(there, "told")
        there.set(doubt_horizon_s=5.0, task_deadline_s=5.0)
        await there.live(hooks={"after commit submitting submit_unknown": jump})
        assert await there.states() == [State.DONE]
        assert len(there.tasks()) == 1


# --- webhook notices

BLIND = fault("credit_logs", "status", status=503)
"""No other evidence than notices."""


async def in_doubt(there: World, kind: str = "spoken") -> None:
    add(there, kind)
    there.set(on_doubt=OnDoubt.HOLD, **LONG)
    assert await there.live("after commit submitting submit_unknown") is None


async def hear(there: World, task_id: str, *, token: str | None = None) -> bool:
    """One life in which the engine hears a notice while it looks for the evidence in vain."""
    heard: list[bool] = []

    async def notice() -> None:
        engine = there.watcher.engine
        if engine is None or heard:
            return
        heard.append(await engine.hear(secret, TaskId(task_id)))

    secret = token or await the_token(there)
    await there.live(hooks={"after vendor.credit_logs": notice})
    return heard[0]


async def the_token(there: World) -> str:
    """The secret of the attempt in doubt."""
    async with there.looking() as (store, batch):
        [unsettled] = await store.unsettled(batch.account)
        return unsettled.attempt.token


@pytest.mark.parametrize("kind", ["spoken", "told"])
async def test_a_notice_with_the_attempts_token_names_its_task(tmp_path: Path, kind: str) -> None:
    async with world(tmp_path, MADE, BLIND) as there:
        await in_doubt(there, kind)
        [task] = there.tasks()
        assert await hear(there, task.task_id)
        assert await there.states() == [State.DONE]
        [evidence] = await there.evidence()
        assert "webhook notice" in evidence
        await there.check()


async def test_a_notice_that_contradicts_the_file_ids_is_no_evidence(tmp_path: Path) -> None:
    async with world(tmp_path, NOT_MADE, BLIND) as there:
        await in_doubt(there)
        there.set(doubt_horizon_s=0.15)
        other = await there.client.upload((tmp_path / "330.wav").read_bytes(), "wav")
        foreign = await there.client.task(
            audioSourceFrom="0", audioFileId=FileId(other), ttsText=None, voiceoverId=None
        )
        there.foreign.add(foreign)
        assert await hear(there, foreign)
        assert await there.states() == [State.IN_DOUBT]


async def test_a_notice_of_a_task_that_the_vendor_does_not_know_is_no_evidence(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, NOT_MADE, BLIND) as there:
        await in_doubt(there)
        there.set(doubt_horizon_s=0.15)
        assert await hear(there, "aa00bb11cc22dd33ee44ff5566778899")
        assert await there.states() == [State.IN_DOUBT]


async def test_a_forged_token_is_not_heard(tmp_path: Path) -> None:
    async with world(tmp_path, MADE, BLIND) as there:
        await in_doubt(there)
        there.set(doubt_horizon_s=0.15)
        [task] = there.tasks()
        assert not await hear(there, task.task_id, token="forged-token-forged-token")
        assert await there.states() == [State.IN_DOUBT]


# --- over restarts, and with operators


async def test_the_search_goes_on_over_restarts(tmp_path: Path) -> None:
    slow = {"render": "constant", "render_mean_s": 0.5}
    async with world(tmp_path, MADE, **slow) as there:
        # One at a time: else the second may be cut off before it is sent, and is in doubt for long.
        one = replace(there.settings.limits, in_flight=1)
        there.set(doubt_horizon_s=30.0, task_deadline_s=30.0, limits=one)
        add(there, "spoken")
        add(there, "told", "other")
        for point in ("after vendor.submit", "after vendor.credit_logs", "before store.log_read"):
            assert await there.live(point) is None
        await settled(there, State.DONE, tasks=2)


async def test_a_horizon_that_ended_between_two_runs_is_over(tmp_path: Path) -> None:
    vendors = Shifted()
    async with world(tmp_path, NOT_MADE, clock=vendors) as there:
        there.set(doubt_horizon_s=7200.0, task_deadline_s=7200.0)
        add(there, "spoken")
        assert await there.live("after commit submitting submit_unknown") is None
        there.clock.ahead_s = vendors.ahead_s = 7300.0
        await settled(there, State.DONE, tasks=1)


async def test_the_task_of_an_attempt_that_was_given_up_serves_the_job_that_waits(
    tmp_path: Path,
) -> None:
    """Dropped, then sent anew at the operator's wish; that submit never arrived. The log has the
    first one's task, which is right for the second: a third submit would be paid for nothing."""
    lost = [
        fault("submit", "drop_after", nth=1),
        fault("submit", "drop_before", first=1),
    ]
    async with world(tmp_path, *lost) as there:
        add(there, "told")
        assert await there.live("after commit submitting submit_unknown") is None

        async def give_up_and_resubmit(world: World, store: AppStore, batch: BatchRow) -> None:
            for kind in (EventKind.DOUBT_DROPPED, EventKind.RETRY_SUBMIT):
                [(_, job)] = await store.find_jobs("*")
                await store.move(job, Event(kind=kind, at=1.0, reason="operator"))

        await there.live(act=give_up_and_resubmit)
        assert await there.states() == [State.DONE]
        assert len(there.tasks()) == 1
