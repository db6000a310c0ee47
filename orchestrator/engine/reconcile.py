"""Jobs in doubt: look for the task that a lost reply may have left, beside the running batch.

Evidence is a webhook notice with the attempt's secret token, confirmed by a query, or the
account's credit log, matched through file ids (``core.reconcile``). Nothing is guessed; what is
not certain is told to the operator. After ``doubt_horizon`` the user's ``on_doubt`` decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.core.outcome import TaskFate, TaskView, judge_query
from orchestrator.core.reconcile import began, log_since, may_resubmit, weigh
from orchestrator.engine.floor import Floor
from orchestrator.engine.ledger import read_log
from orchestrator.engine.progress import Level
from orchestrator.engine.windows import visible_ids
from orchestrator.errors import StaleJob, TaskOwned
from orchestrator.model import AttemptKey, Event, EventKind, FileId, Job, TaskId
from orchestrator.store.base import Charge, Stranger, Unsettled

NOT_OURS_AFTER = 3
"""A charged task that the query does not know so often is no video avatar of this account."""
UNREAD_LOOKS = 3
"""Once the horizon has ended, so many looks in a row that could not read the log are enough."""
NOT_OURS = FileId("(not known to the query)")
SILENT_LOOKS = 3
"""A charged task of which so many looks learned nothing is waited for no longer in this run."""


async def look(floor: Floor) -> None:
    """One look at all evidence for this batch's jobs in doubt; settles what is certain."""
    search, desk = floor.search, floor.desk
    search.looking = True
    try:
        mine = await _mine(floor)
        _note_deadlines(mine, floor)
        overdue = {u.attempt.key for u in mine if desk.now() >= search.deadlines[u.attempt.key]}
        mine = await _by_notice(mine, floor)
        if mine:
            await _by_log(mine, overdue, floor)
        await _count(floor)
    finally:
        search.looking = False
        search.plan_next(desk.now(), desk.scale)


async def _mine(floor: Floor) -> list[Unsettled]:
    """The attempts of this batch's jobs in doubt, oldest first."""
    batch = floor.desk.batch
    every = await floor.desk.store.unsettled(batch.account)
    return [u for u in every if u.job is not None and u.batch == batch.key]


async def _count(floor: Floor) -> None:
    """How many are still looked for; those that arise while the store is asked count too."""
    search, arose = floor.search, floor.search.arose
    left = await _mine(floor)
    search.visible = {u.job.key: visible_ids(u.job) for u in left if u.job is not None}
    still = [u for u in left if u.attempt.key not in search.held]
    search.open = len(still) + search.arose - arose


def _note_deadlines(mine: Sequence[Unsettled], floor: Floor) -> None:
    """When each horizon ends, by the vendor's clock or ours, whichever says later: one of them may
    have been set ahead."""
    desk, search = floor.desk, floor.search
    horizon = desk.settings.doubt_horizon_s
    for u in mine:
        elapsed = min(desk.vendor_wall() - began(u), desk.wall() - u.attempt.started_at)
        left = horizon - elapsed if elapsed >= 0 else horizon
        search.deadlines.setdefault(u.attempt.key, desk.now() + left)
    still = {u.attempt.key for u in mine}
    search.deadlines = {key: at for key, at in search.deadlines.items() if key in still}


async def _by_notice(mine: Sequence[Unsettled], floor: Floor) -> list[Unsettled]:
    """Adopt the tasks that notices name, where the vendor confirms them; returns the others."""
    left = []
    for u in mine:
        if u.notice is None or not await _confirmed(u, u.notice, floor):
            left.append(u)
    return left


async def _confirmed(u: Unsettled, task_id: TaskId, floor: Floor) -> bool:
    desk = floor.desk
    if task_id in await desk.store.owned(desk.batch.account, [task_id]):
        return False
    view = await _query(task_id, floor)
    sent = u.attempt
    contradicts = view.video not in (None, sent.video_file_id) or view.audio not in (
        None,
        sent.audio_file_id,
    )
    if not view.known or contradicts:
        return False
    evidence = "a webhook notice with this attempt's own token named it, and the vendor confirms it"
    return await _adopt(u, task_id, evidence, floor)


async def _by_log(mine: Sequence[Unsettled], overdue: set[AttemptKey], floor: Floor) -> None:
    """Read the credit log, look at its unclaimed tasks, settle what is certain.

    The attempts are read after the log: whoever submitted before it was read is among them, or
    owns its task by then.
    """
    desk, account = floor.desk, floor.desk.batch.account
    since = log_since(mine)
    asked_at = desk.now()
    read = await read_log(desk, since)
    floor.search.unread = 0 if read else floor.search.unread + 1
    unseen = await _examine(await desk.store.unclaimed(account, since), floor)
    known = await desk.store.strangers(account, since)
    findings = weigh(await desk.store.unsettled(account), known, unseen, whole_log=read)
    certain = {s.attempt: s for s in findings.settled}
    for u in mine:
        settlement = certain.get(u.attempt.key)
        if settlement is not None:
            await _adopt(u, settlement.task_id, settlement.evidence, floor)
        elif u.attempt.key in overdue and read and u.attempt.key in findings.open:
            await _horizon_over(u, findings.open[u.attempt.key], asked_at, floor)
        elif u.attempt.key in overdue and floor.search.unread >= UNREAD_LOOKS:
            _hold_unread(u, floor)


async def _examine(charges: Sequence[Charge], floor: Floor) -> list[Charge]:
    """Ask about charged tasks that nobody owns; returns those about which nothing is known."""
    desk, search, unseen = floor.desk, floor.search, []
    for charge in charges:
        view = await _query(charge.task_id, floor)
        if view.fate is TaskFate.UNKNOWN_TASK:
            search.unknown[charge.task_id] = search.unknown.get(charge.task_id, 0) + 1
        not_ours = search.unknown.get(charge.task_id, 0) >= NOT_OURS_AFTER
        if not view.known and not not_ours:
            search.silent[charge.task_id] = search.silent.get(charge.task_id, 0) + 1
            unseen.append(charge)
            continue
        search.silent.pop(charge.task_id, None)
        await desk.store.remember_stranger(
            desk.batch.account,
            Stranger(
                task_id=charge.task_id,
                charged_at=charge.charged_at,
                video_file_id=NOT_OURS if not_ours else view.video,
                audio_file_id=NOT_OURS if not_ours else view.audio,
            ),
        )
    return unseen


async def _query(task_id: TaskId, floor: Floor) -> TaskView:
    desk = floor.desk
    await desk.until_open(desk.api)
    answer, _ = await desk.ask(lambda: desk.ports.vendor.query(task_id))
    return judge_query(answer, task_id)


async def _adopt(u: Unsettled, task_id: TaskId, evidence: str, floor: Floor) -> bool:
    assert u.job is not None
    event = Event(
        kind=EventKind.DOUBT_ADOPTED,
        at=floor.desk.wall(),
        reason="",
        message="",
        task_id=task_id,
        data={"evidence": evidence},
    )
    try:
        after = await floor.move(u.job, event)
    except (StaleJob, TaskOwned):
        return False
    floor.tell(Level.INFO, f"no longer in doubt: its task is {task_id}: {evidence}", u.job)
    await floor.file(after)
    return True


async def _horizon_over(
    u: Unsettled, candidates: Sequence[TaskId], log_read_at: float, floor: Floor
) -> None:
    """The horizon has ended and the whole log was read since: the user's choice decides.

    ``log_read_at`` is monotonic, as the horizon's end is: a wall clock that jumped decides nothing.
    """
    desk, key = floor.desk, u.attempt.key
    settings, silent = desk.settings, floor.search.silent
    assert u.job is not None
    if any(silent.get(task, SILENT_LOOKS) < SILENT_LOOKS for task in candidates):
        return
    late_s = log_read_at - floor.search.deadlines[key]
    allowed = may_resubmit(
        on_doubt=settings.on_doubt,
        started_at=u.attempt.started_at,
        horizon_s=settings.doubt_horizon_s,
        deadline_s=settings.task_deadline_s,
        log_read_at=u.attempt.started_at + settings.doubt_horizon_s + late_s,
        candidates=len(candidates),
    )
    if not allowed:
        floor.search.held.add(key)
        _tell_held(u.job, key, candidates, floor)
        return
    message = (
        "no trace of a task in the credit log until after doubt_horizon: sent anew, as "
        "on_doubt: resubmit says"
    )
    event = Event(
        kind=EventKind.DOUBT_CLEARED, at=desk.wall(), reason="doubt:horizon", message=message
    )
    after = await floor.move(u.job, event)
    floor.tell(Level.INFO, message, u.job)
    await floor.file(after)


def _hold_unread(u: Unsettled, floor: Floor) -> None:
    """The horizon has ended and the log cannot be read: nothing may be concluded, and the run
    does not wait for it. The next run looks again."""
    floor.search.held.add(u.attempt.key)
    if u.attempt.key not in floor.search.told:
        floor.search.told.add(u.attempt.key)
        message = (
            "still in doubt: the credit log could not be read until after doubt_horizon; the next "
            "run looks again. Or settle it with: orchestrator resolve"
        )
        floor.tell(Level.PROBLEM, message, u.job)


def _tell_held(job: Job, key: AttemptKey, candidates: Sequence[TaskId], floor: Floor) -> None:
    if key in floor.search.told:
        return
    floor.search.told.add(key)
    if candidates:
        what = f"it cannot be told which of these tasks is its own: {', '.join(candidates[:5])}"
    else:
        what = "no trace of a task was found"
    floor.tell(Level.PROBLEM, f"still in doubt: {what}. Settle it with: orchestrator resolve", job)
