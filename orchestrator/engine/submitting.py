"""Submit: the one request that costs money.

The order here is the law: turn, claim (slot counted, file ids live, `submitting` on disk), POST,
outcome on disk. Whatever ends this process in between leaves `submitting` behind, which the next
run takes for what it is: a job in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.outage import STOPS, Stop
from orchestrator.core.outcome import CallFate, Cause, SubmitOutcome, judge_submit
from orchestrator.core.retry import CAP_PAUSE_S
from orchestrator.core.spans import credits
from orchestrator.engine.floor import Floor
from orchestrator.engine.progress import Level
from orchestrator.engine.windows import visible_ids
from orchestrator.errors import StoreFull, TaskOwned
from orchestrator.model import Attempt, Event, EventKind, FileId, Job
from orchestrator.store.base import Claim, ClaimRefusal
from orchestrator.topview import wire

OUTCOME_PATIENCE_S = 25.0
"""A submit's outcome is worth waiting for room on the disk this long."""
SLOTS_PAUSE_S = 0.5
"""When another process took the last slot: look again after this long (scaled)."""

SUBMIT_EVENTS: dict[Cause, EventKind] = {
    Cause.ACCEPTED: EventKind.SUBMIT_ACCEPTED,
    Cause.JOB: EventKind.SUBMIT_REFUSED,
    Cause.FILE_UNKNOWN: EventKind.SUBMIT_FILE_UNKNOWN,
    Cause.CAP_FULL: EventKind.SUBMIT_POSTPONED,
    Cause.BUSY: EventKind.SUBMIT_POSTPONED,
    Cause.CREDIT: EventKind.SUBMIT_POSTPONED,
    Cause.AUTH: EventKind.SUBMIT_POSTPONED,
    Cause.GATEWAY: EventKind.SUBMIT_POSTPONED,
    Cause.NEVER_SENT: EventKind.SUBMIT_POSTPONED,
    Cause.UNKNOWN: EventKind.SUBMIT_UNKNOWN,
}
"""What each outcome of a submit means for the job."""


def submit_event(outcome: SubmitOutcome, job: Job, at: float) -> Event:
    """The event of a submit's outcome. 4004 without any file of ours is the job's own fault."""
    kind = SUBMIT_EVENTS[outcome.cause]
    if kind is EventKind.SUBMIT_FILE_UNKNOWN and not job.hashes:
        kind = EventKind.SUBMIT_REFUSED
    return Event(
        kind=kind,
        at=at,
        reason="" if outcome.cause is Cause.ACCEPTED else outcome.reason,
        message="" if outcome.cause is Cause.ACCEPTED else outcome.message,
        task_id=outcome.task_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A submit under way: slots that others held when it claimed its own, and when it was sent."""

    held: int
    at: float


async def submit(job: Job, floor: Floor) -> None:
    """Claim a slot, commit `submitting`, send the paid request, checkpoint what came."""
    floor.unanswered[job.key] = visible_ids(job)
    floor.unclaimed += 1
    try:
        claim = await _claim(job, floor)
    except BaseException:
        floor.unanswered.pop(job.key, None)
        raise
    finally:
        floor.unclaimed -= 1
    try:
        if claim is not None and claim.job is not None and claim.attempt is not None:
            await _send(claim.job, claim.attempt, claim.held, floor)
    finally:
        floor.unanswered.pop(job.key, None)


async def _claim(job: Job, floor: Floor) -> Claim | None:
    """The right to send, or None; then the job is back where it belongs."""
    desk = floor.desk
    await desk.pacer.submit_turn()
    if floor.draining or floor.gate.closed or floor.gate.probe:
        _put_back(job, floor)
        return None
    wall = desk.wall()
    with floor.unbroken():
        claim = await desk.store.claim(
            desk.batch.account,
            job,
            desk.slot_rule,
            desk.ports.token(),
            wall,
            desk.purse(job, wall),
        )
    floor.slot_changes += 1
    if claim.refusal is None and claim.job is not None:
        floor.tally.moved(job, claim.job, EventKind.SUBMIT_INTENT, desk.now())
        return claim
    await _not_claimed(job, claim, floor)
    return None


def _put_back(job: Job, floor: Floor) -> None:
    floor.windows.end(job.key)
    floor.windows.put_ready(job)


async def _not_claimed(job: Job, claim: Claim, floor: Floor) -> None:
    desk = floor.desk
    match claim.refusal:
        case ClaimRefusal.FILES if claim.job is not None:
            floor.tally.moved(job, claim.job, EventKind.FILES_EXPIRED, floor.desk.now())
            await floor.file(claim.job)
        case ClaimRefusal.BUDGET:
            _put_back(job, floor)
            expected = desk.tariff.expected(job.spec, job.audio_s)
            floor.stop(
                Stop.BUDGET,
                f"the budget does not cover job {job.job_id} (expected to cost "
                f"{credits(expected)}): nothing more is submitted, what is under way is finished",
            )
        case ClaimRefusal.SLOTS:
            await floor.desk.ports.clock.sleep(SLOTS_PAUSE_S * floor.desk.scale)
            _put_back(job, floor)
        case _:
            floor.windows.end(job.key)


async def _send(job: Job, attempt: Attempt, held: int, floor: Floor) -> None:
    desk = floor.desk
    notice_url = None if desk.notice_url is None else desk.notice_url(attempt.token)
    body = wire.submit_body(job.spec, file_ids(job, attempt), notice_url)
    desk.flow.spare.other_call(desk.now())
    sent = Sent(held=held, at=desk.now())
    answer = await desk.ports.vendor.submit(body)
    desk.note_clock(answer)
    with floor.unbroken():
        await _judged(job, judge_submit(answer), sent, floor)


def file_ids(job: Job, attempt: Attempt) -> dict[str, FileId]:
    """The file ids of an attempt by the local path they stand for."""
    avatar = attempt.video_file_id or attempt.image_file_id
    named = {job.spec.avatar: avatar, job.spec.audio: attempt.audio_file_id}
    return {path: file_id for path, file_id in named.items() if file_id is not None}


async def _judged(job: Job, outcome: SubmitOutcome, sent: Sent, floor: Floor) -> None:
    """Checkpoint a submit's outcome, then let gate and slots learn from it."""
    desk = floor.desk
    at = (sent.at + desk.now()) / 2
    event = submit_event(outcome, job, desk.wall())
    if event.kind is EventKind.SUBMIT_FILE_UNKNOWN:
        await desk.store.forget_files(desk.batch.account, job.hashes)
    after = await _record(job, event, floor)
    await _slots_learn(outcome, sent.held, at, floor)
    _gate_learns(outcome, after, floor)
    await floor.file(after)
    if outcome.cause is Cause.ACCEPTED:
        floor.tasks.began(job.key)


async def _slots_learn(outcome: SubmitOutcome, held: int, at: float, floor: Floor) -> None:
    """A submit was taken or refused around ``at``, when ``held`` other slots were held.

    A refused one may have been overtaken by another that began later and took the last slot; a
    limit that is found too low stays for long, so the higher count is believed.
    """
    desk = floor.desk
    if outcome.cause is Cause.ACCEPTED:
        desk.flow.accepted(held, at, desk.wall())
    elif outcome.cause is Cause.CAP_FULL and desk.flow.auto:
        used = await desk.store.slots_used(desk.batch.account, desk.slot_rule, desk.wall())
        pause_s = CAP_PAUSE_S * desk.scale
        desk.flow.refused(max(held, used), at, now=desk.now(), wall=desk.wall(), pause_s=pause_s)


async def _record(job: Job, event: Event, floor: Floor) -> Job:
    """Move the job; an outcome of a paid request is worth waiting for room on the disk."""
    give_up = floor.desk.now() + OUTCOME_PATIENCE_S
    while True:
        try:
            return await floor.move(job, event)
        except TaskOwned as error:
            message = f"the vendor's reply names a task that another job owns ({error})"
            event = Event(
                kind=EventKind.SUBMIT_UNKNOWN, at=event.at, reason="task_owned", message=message
            )
        except StoreFull:
            if floor.desk.now() >= give_up:
                raise
            await floor.desk.ports.clock.sleep(1.0)


def _gate_learns(outcome: SubmitOutcome, job: Job, floor: Floor) -> None:
    desk, before = floor.desk, floor.gate
    floor.gate = before.after(
        outcome.cause,
        now=desk.now(),
        scale=desk.scale,
        rng=desk.ports.random,
        retry_after_s=outcome.retry_after_s,
        auto=desk.flow.auto,
    )
    match outcome.cause:
        case Cause.ACCEPTED:
            floor.succeeded(EventKind.SUBMIT_REFUSED)
        case Cause.UNKNOWN:
            floor.tell(Level.PROBLEM, f"in doubt: {outcome.message}", job)
        case Cause.FILE_UNKNOWN if job.hashes:
            floor.tell(Level.PROBLEM, f"its files are uploaded again: {outcome.message}", job)
        case Cause.NEVER_SENT | Cause.BUSY if before.setbacks == 0:
            floor.tell(Level.PROBLEM, f"submits wait for the vendor: {outcome.message}", job)
        case cause if cause in STOPS:
            floor.stop(STOPS[cause], f"{outcome.message}: nothing more is submitted")
        case _:
            pass


async def probe(floor: Floor) -> None:
    """After trouble with a submit: ask something free before the next one."""
    desk = floor.desk
    floor.probing = True
    try:
        answer, verdict = await desk.ask(desk.ports.vendor.credit_detail)
        answered = answer.code is not None and verdict.fate is not CallFate.RETRY
        floor.gate = floor.gate.probed(
            answered, now=desk.now(), scale=desk.scale, rng=desk.ports.random
        )
    finally:
        floor.probing = False
