"""What a store promises of money: charges, what was spent, budgets, what jobs cost.

Over the same fixture as ``test_store_contract.py``: it holds for every implementation.
"""

from __future__ import annotations

import asyncio

import pytest
import store_kit
from store_kit import NOW, WAY, World, as_known, charge, event, facts, make_world, new, wanted

from orchestrator.errors import StaleJob
from orchestrator.model import EventKind, Job, State
from orchestrator.store.base import Change, ChangeKind, ClaimRefusal, Cost, Purse, SlotRule

E = EventKind
world = store_kit.world

ACCEPTED = [E.SUBMIT_ACCEPTED]
RENDERED = [E.SUBMIT_ACCEPTED, E.TASK_SUCCEEDED]


async def ready(world: World, *job_ids: str) -> list[Job]:
    return [await world.store.move(job, event(E.ASSETS_LIVE)) for job in await world.add(*job_ids)]


async def purse(
    world: World,
    expected: float = 2.0,
    *,
    batch: float | None = None,
    run: float | None = None,
) -> Purse:
    """A purse of a run of its own, so that runs do not mix."""
    key = await world.run()
    return Purse(run=key, expected=expected, batch_limit=batch, run_limit=run)


# --- what was spent

SPENT = [
    ("under way", [], 2.0),
    ("refused", [E.SUBMIT_REFUSED], 0.0),
    ("postponed or never sent", [E.SUBMIT_POSTPONED], 0.0),
    ("file unknown", [E.SUBMIT_FILE_UNKNOWN], 0.0),
    ("in doubt", [E.SUBMIT_UNKNOWN], 2.0),
    ("interrupted", [E.SUBMIT_INTERRUPTED], 2.0),
    ("in doubt, dropped", [E.SUBMIT_UNKNOWN, E.DOUBT_DROPPED], 2.0),
    ("in doubt, cancelled", [E.SUBMIT_UNKNOWN, E.CANCELLED], 2.0),
    ("in doubt, cleared", [E.SUBMIT_UNKNOWN, E.DOUBT_CLEARED], 0.0),
    ("in doubt, adopted", [E.SUBMIT_UNKNOWN, E.DOUBT_ADOPTED], 2.0),
    ("rendering", ACCEPTED, 2.0),
    ("overdue", [*ACCEPTED, E.TASK_OVERDUE], 2.0),
    ("cancelled while rendering", [*ACCEPTED, E.CANCELLED], 2.0),
    ("cancelled, then rendered", [*ACCEPTED, E.CANCELLED, E.TASK_SUCCEEDED], 2.0),
    ("cancelled, then failed", [*ACCEPTED, E.CANCELLED, E.TASK_FAILED], 0.0),
    ("rendered, not in the log yet", RENDERED, 2.0),
    ("failed", [*ACCEPTED, E.TASK_FAILED], 0.0),
    ("lost", [*ACCEPTED, E.TASK_LOST], 0.0),
    ("made again", [*ACCEPTED, E.RENDER_AGAIN], 0.0),
    ("rendered once, gone now", [*RENDERED, E.DOWNLOAD_FAILED, E.RETRY_POLL, E.TASK_LOST], 2.0),
]


@pytest.mark.parametrize(("what", "events", "credits"), SPENT, ids=[row[0] for row in SPENT])
async def test_what_an_attempt_without_a_charge_counts(
    world: World, what: str, events: list[EventKind], credits: float
) -> None:
    money = await purse(world)
    job = await world.reach("job", State.SUBMITTING, purse=money)
    await world.drive(job, events)
    spent = [await world.store.spent(world.batch, run) for run in (None, money.run)]
    assert spent == [credits, credits], what


@pytest.mark.parametrize("end", [E.TASK_SUCCEEDED, E.TASK_FAILED, E.TASK_LOST, E.TASK_OVERDUE])
async def test_a_charge_counts_instead_of_what_was_expected(world: World, end: EventKind) -> None:
    job = await world.reach("job", State.SUBMITTED, purse=await purse(world))
    await world.store.move(job, event(end))
    await world.charge("task-job-1", 0.75)
    assert await world.store.spent(world.batch, None) == 0.75


async def test_a_charge_of_nothing_counts_nothing(world: World) -> None:
    await world.reach("job", State.RENDERED, purse=await purse(world))
    await world.charge("task-job-1", 0.0)
    assert await world.store.spent(world.batch, None) == 0.0


async def test_a_run_is_counted_by_its_own_attempts_and_a_batch_by_all(world: World) -> None:
    yesterday, today = await purse(world, 2.0), await purse(world, 3.0)
    await world.reach("old", State.SUBMITTED, purse=yesterday)
    job = await world.reach("job", State.SUBMITTED, purse=yesterday)
    job = await world.drive(job, [E.RENDER_AGAIN, E.SUBMIT_INTENT], purse=today)
    await world.charge("task-job-1", 0.5)
    spent = [await world.store.spent(world.batch, r) for r in (None, yesterday.run, today.run)]
    assert spent == [5.5, 2.5, 3.0]


async def test_batches_have_purses_of_their_own(world: World) -> None:
    other = await make_world(world.store, name="autumn")
    await other.reach("job", State.SUBMITTED, purse=await purse(other))
    assert await world.store.spent(world.batch, None) == 0.0
    assert await world.store.spent(other.batch, None) == 2.0


async def test_without_a_purse_an_attempt_counts_at_the_estimate(world: World) -> None:
    await world.plan(new("long", "x" * 401))
    [job] = await world.store.pending(world.batch, 1)
    await world.drive(job, WAY[State.SUBMITTED])
    assert await world.store.spent(world.batch, None) == 2.0


# --- budgets


async def test_a_claim_within_both_limits_is_granted_to_the_last_credit(world: World) -> None:
    for job in await ready(world, "a", "b"):
        claim = await world.claim(job, purse=await purse(world, 2.0, batch=4.0, run=2.0))
        assert claim.refusal is None


@pytest.mark.parametrize("limits", [{"batch": 3.9}, {"run": 3.9}, {"batch": 99.0, "run": 3.9}])
async def test_a_claim_over_a_limit_is_refused_and_changes_nothing(
    world: World, limits: dict[str, float]
) -> None:
    first, second = await ready(world, "first", "second")
    money = await purse(world, 2.0, **limits)
    assert (await world.claim(first, purse=money)).refusal is None
    before = await world.job("second"), await world.store.events(world.batch, second.job_id)
    claim = await world.claim(second, purse=money)
    assert (claim.refusal, claim.job, claim.attempt) == (ClaimRefusal.BUDGET, second, None)
    assert before == (
        await world.job("second"),
        await world.store.events(world.batch, second.job_id),
    )
    assert await world.store.attempts(second.key) == []


async def test_a_limit_of_zero_is_a_limit(world: World) -> None:
    [job] = await ready(world, "job")
    claim = await world.claim(job, purse=await purse(world, batch=0.0))
    assert claim.refusal is ClaimRefusal.BUDGET


async def test_the_limit_of_a_run_does_not_see_other_runs(world: World) -> None:
    first, second = await ready(world, "first", "second")
    for job in (first, second):
        claim = await world.claim(job, purse=await purse(world, 2.0, run=2.0))
        assert claim.refusal is None


async def test_a_budget_has_room_again_when_a_task_failed_or_cost_less(world: World) -> None:
    failing, cheap, job, more = await ready(world, "failing", "cheap", "job", "more")
    money = await purse(world, 2.0, batch=4.0)
    failing = await world.drive(failing, [E.SUBMIT_INTENT, *ACCEPTED], purse=money)
    await world.drive(cheap, [E.SUBMIT_INTENT, *ACCEPTED], purse=money)
    assert (await world.claim(job, purse=money)).refusal is ClaimRefusal.BUDGET
    await world.store.move(failing, event(E.TASK_FAILED))
    assert (await world.claim(job, purse=money)).refusal is None
    assert (await world.claim(more, purse=money)).refusal is ClaimRefusal.BUDGET
    await world.charge("task-cheap-1", 0.0)
    assert (await world.claim(more, purse=money)).refusal is None


async def test_prices_that_no_computer_sums_exactly_fill_a_budget_to_its_end(world: World) -> None:
    money = await purse(world, 0.1, batch=0.3, run=0.3)  # 0.1 + 0.1 + 0.1 > 0.3
    jobs = await ready(world, "a", "b", "c", "d")
    refusals = [(await world.claim(job, purse=money)).refusal for job in jobs]
    assert refusals == [None, None, None, ClaimRefusal.BUDGET]


async def test_of_two_claims_for_the_last_credits_one_gets_them(world: World) -> None:
    money = await purse(world, 2.0, batch=3.0)
    claims = (world.claim(job, purse=money) for job in await ready(world, "a", "b"))
    refusals = sorted(str(claim.refusal) for claim in await asyncio.gather(*claims))
    assert refusals == ["None", "budget"]


async def test_a_full_slot_is_said_before_an_empty_purse(world: World) -> None:
    """A slot gets free by itself; a budget ends the run."""
    await world.reach("first", State.SUBMITTED)
    [job] = await ready(world, "job")
    one = SlotRule(in_flight=1, doubt_hold_s=600)
    claim = await world.claim(job, rule=one, purse=await purse(world, batch=0.0))
    assert claim.refusal is ClaimRefusal.SLOTS


# --- the credit log


async def test_a_charge_that_is_read_after_the_acceptance_reaches_attempt_and_job(
    world: World,
) -> None:
    job = await world.reach("job", State.SUBMITTED)
    await world.charge("task-job-1", 1.5)
    assert await world.credits_of("job") == 1.5
    assert (await world.store.move(job, event(E.TASK_SUCCEEDED))).credits == 1.5


@pytest.mark.parametrize("way", [[E.SUBMIT_ACCEPTED], [E.SUBMIT_UNKNOWN, E.DOUBT_ADOPTED]])
async def test_a_charge_that_was_read_before_reaches_the_job_with_its_task(
    world: World, way: list[EventKind]
) -> None:
    job = await world.reach("job", State.SUBMITTING)
    await world.charge("task-job-1", 1.5)
    assert await world.credits_of("job") is None
    assert (await world.drive(job, way)).credits == 1.5
    assert await world.credits_of("job") == 1.5


async def test_a_late_answer_brings_its_charge_though_the_job_has_moved_on(world: World) -> None:
    late = await world.reach("job", State.SUBMITTING)
    await world.charge("T", 1.5)
    await world.store.recover(world.batch, NOW)
    with pytest.raises(StaleJob):
        await world.store.move(late, event(E.SUBMIT_ACCEPTED, task="T"))
    assert await world.credits_of("job") == 1.5
    assert await world.store.spent(world.batch, None) == 1.5


async def test_a_charge_changes_no_version(world: World) -> None:
    """Whoever works on the job meanwhile must not find it stale."""
    job = await world.reach("job", State.SUBMITTED)
    await world.charge("task-job-1", 1.5)
    assert (await world.job("job")).version == job.version


async def test_lines_are_remembered_once_however_often_they_are_read(world: World) -> None:
    await world.reach("job", State.SUBMITTED)
    lines = [charge("task-job-1", 1.5), charge("other", 4.0)]
    for _ in range(3):
        await world.store.remember_charges(world.account, lines)
    assert await world.credits_of("job") == 1.5
    assert await world.store.unclaimed(world.account, 0.0) == [charge("other", 4.0)]


@pytest.mark.parametrize("turn", [1, -1], ids=["oldest first", "newest first"])
async def test_the_later_line_for_a_task_replaces_the_earlier_one(world: World, turn: int) -> None:
    await world.reach("job", State.SUBMITTED)
    lines = [charge("task-job-1", 1.5), charge("task-job-1", 0.0, at=NOW + 60)]
    await world.store.remember_charges(world.account, lines[::turn])
    assert await world.credits_of("job") == 0.0
    await world.store.remember_charges(world.account, lines[:1])
    assert await world.credits_of("job") == 0.0


async def test_a_refund_gives_back_what_was_charged_and_no_more(world: World) -> None:
    await world.reach("job", State.FAILED)
    lines = [charge("task-job-1", 1.5), charge("task-job-1", -1.5, at=NOW + 60)]
    for _ in range(2):
        await world.store.remember_charges(world.account, lines)
    assert await world.credits_of("job") == 0.0
    assert await world.store.spent(world.batch, None) == 0.0


async def test_a_job_costs_the_sum_over_its_attempts(world: World) -> None:
    job = await world.reach("job", State.SUBMITTED)
    job = await world.drive(job, [E.RENDER_AGAIN, E.SUBMIT_INTENT, E.SUBMIT_ACCEPTED])
    both = [charge("task-job-1", 1.0), charge("task-job-2", 1.5)]
    await world.store.remember_charges(world.account, both)
    assert await world.credits_of("job") == 2.5


@pytest.mark.parametrize("log_first", [True, False])
async def test_the_log_knows_better_than_a_query(world: World, log_first: bool) -> None:
    job = await world.reach("job", State.SUBMITTED)
    if log_first:
        await world.charge("task-job-1", 1.5)
    await world.store.move(job, event(E.TASK_SUCCEEDED, credits=9.0))
    if not log_first:
        assert await world.credits_of("job") == 9.0
        await world.charge("task-job-1", 1.5)
    assert await world.credits_of("job") == 1.5
    assert await world.store.spent(world.batch, None) == 1.5


async def test_the_log_of_one_account_charges_no_other(world: World) -> None:
    other = await make_world(world.store, identity="two")
    await world.reach("job", State.SUBMITTED)
    await other.reach("job", State.SUBMITTED)
    await other.charge("task-job-1", 1.5)
    assert (await world.credits_of("job"), await other.credits_of("job")) == (None, 1.5)


async def test_an_attempt_that_was_disowned_by_a_new_revision_is_charged_all_the_same(
    world: World,
) -> None:
    job = await world.reach("job", State.CANCELLED)
    await world.store.move(job, event(E.REVISED))
    await world.charge("task-job-1", 1.5)
    assert await world.credits_of("job") == 1.5
    assert await world.store.spent(world.batch, None) == 1.5


# --- what jobs cost


async def test_costs_are_sums_of_charged_attempts_by_mode_and_kind_of_audio(world: World) -> None:
    voice = facts("hello.wav", format="wav")
    await world.upload(voice)
    await world.plan(new("short"), new("long", "x" * 801), new("file", audio=voice), new("free"))
    for job in await world.store.pending(world.batch, 10):
        await world.drive(job, WAY[State.SUBMITTED])
    for job_id, credits in (("short", 1.5), ("long", 4.5), ("file", 2.0)):
        await world.charge(f"task-{job_id}-1", credits)
    await world.charge("of another tool", 50.0)
    assert await world.store.costs(world.account) == [
        Cost(mode="avatar1", audio_kind="file", units=1.0, credits=2.0),
        Cost(mode="avatar1", audio_kind="text", units=4.0, credits=6.0),
    ]


async def test_a_task_that_was_refunded_teaches_nothing(world: World) -> None:
    await world.reach("job", State.FAILED)
    await world.charge("task-job-1", 0.0)
    assert await world.store.costs(world.account) == []


async def test_a_cost_is_that_of_the_revision_that_was_made(world: World) -> None:
    """The manifest asks for a longer text now; what was charged was the short one."""
    job = await world.reach("job", State.SUBMITTED)
    asked = wanted("job", "x" * 900)
    later = Change(kind=ChangeKind.REVISE_LATER, wanted=asked, known=await world.job("job"))
    await world.plan(later)
    job = as_known(job, await world.job("job"))
    await world.store.move(job, event(E.TASK_FAILED))
    await world.charge("task-job-1", 1.0)
    [cost] = await world.store.costs(world.account)
    assert (cost.units, cost.credits) == (1.0, 1.0)
