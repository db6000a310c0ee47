"""Poll: ask once about one task, and believe only what the answer says."""

from __future__ import annotations

from orchestrator.core.outage import Stop
from orchestrator.core.outcome import TaskFate, TaskView, judge_query
from orchestrator.engine.floor import Floor
from orchestrator.engine.progress import Level
from orchestrator.engine.tasks import Watch, task_event
from orchestrator.errors import StaleJob
from orchestrator.model import Answer, Event, EventKind, Job, JobKey, State


async def poll(key: JobKey, floor: Floor) -> None:
    """One query for the task of a submitted job; plans the next if the task has not ended."""
    desk, watch = floor.desk, floor.tasks.watches[key]
    floor.polling.add(key)
    try:
        view, sent = await _look(watch, floor)
        if view.fate is TaskFate.PENDING:
            _heed(watch, view, sent, floor)
        if view.fate is TaskFate.AUTH:
            floor.stop(Stop.AUTH, view.message)
        _note_odd(watch, view.odd_status, floor)
        event = task_event(watch, view, now=desk.now(), wall=desk.wall())
        if event is not None:
            with floor.unbroken():
                await _moved(watch, event, view.url, floor)
    finally:
        floor.polling.discard(key)
        if key in floor.tasks.watches:
            floor.tasks.again(key, desk.now())


async def _look(watch: Watch, floor: Floor) -> tuple[TaskView, float]:
    """What the vendor says of a task, and when the question was sent (monotonic)."""
    desk, task_id, sent = floor.desk, watch.job.task_id, floor.desk.now()
    assert task_id is not None

    async def query() -> Answer:
        nonlocal sent
        sent = watch.sent = desk.now()
        return await desk.ports.vendor.query(task_id)

    due = watch.due
    answer, _ = await desk.ask(query, poll=True)
    desk.flow.answered(due, desk.now())
    return judge_query(answer, task_id), sent


def _heed(watch: Watch, view: TaskView, sent: float, floor: Floor) -> None:
    """A task has not ended. Whether it renders or waits tells how many slots there are."""
    tasks, flow = floor.tasks, floor.desk.flow
    tasks.unfinished(watch, view.running, sent)
    others = max(0, flow.used - tasks.in_flight() - len(floor.unanswered))
    if view.running:
        flow.running(tasks.seen_rendering(), tasks.in_flight() + others)
        if flow.sure_of_a_queue:
            flow.rendered_at_once(*tasks.rendered_at_once())
    elif view.running is False and not watch.job.overdue:
        # Where it was overtaken, those that render count: there are that many slots at least.
        before = max(tasks.accepted_before(watch), tasks.seen_rendering()) + others
        flow.waiting(watch.kinds, sent - watch.born, before, floor.desk.wall())


def _learn(watch: Watch, event: Event, floor: Floor) -> None:
    """A task has ended: its slot is free, and its duration tells about those to come."""
    desk = floor.desk
    desk.flow.ended(told=watch.hinted_s is not None)
    done = event.kind is EventKind.TASK_SUCCEEDED
    sample = floor.tasks.sample(watch, desk.now()) if done else None
    if sample is None:
        desk.flow.noticed(desk.now())
    else:
        desk.flow.taught(watch.kinds, sample, now=desk.now(), wall=event.at)


def _note_odd(watch: Watch, odd: str | None, floor: Floor) -> None:
    """An unknown status word is told once for each task, and taken as not finished."""
    if odd is not None and watch.odd is None:
        watch.odd = odd
        message = f"the vendor says status {odd!r}, which is unknown: taken as not finished"
        floor.tell(Level.INFO, message, watch.job)


async def _moved(watch: Watch, event: Event, link: str | None, floor: Floor) -> None:
    job = watch.job
    if event.kind is not EventKind.TASK_OVERDUE:
        _learn(watch, event, floor)
    if watch.stray:
        await _stray_moved(job, event, floor)
        return
    rendering = job.state is State.SUBMITTED
    if event.kind is EventKind.TASK_FAILED and rendering and await _renders_left(job, floor):
        event = Event(
            kind=EventKind.RENDER_AGAIN, at=event.at, reason=event.reason, message=event.message
        )
    try:
        after = await floor.move(job, event)
    except StaleJob:
        floor.tasks.drop(job.key)
        floor.stale = True
        return
    if event.kind is EventKind.TASK_OVERDUE:
        floor.tell(Level.PROBLEM, event.message, job)
        floor.tasks.became_overdue(after)
        return
    floor.tasks.drop(job.key)
    if event.kind is EventKind.TASK_SUCCEEDED:
        floor.succeeded(EventKind.TASK_FAILED, EventKind.TASK_LOST)
    await floor.file(after, link)


async def _stray_moved(job: Job, event: Event, floor: Floor) -> None:
    """The task of another batch ended: its slot is free; its own run goes on with it later."""
    floor.tasks.drop(job.key)
    try:
        await floor.desk.store.move(job, event)
    except StaleJob:
        floor.stale = True


async def _renders_left(job: Job, floor: Floor) -> bool:
    """Whether `retry.renders` allows this revision of the job another try."""
    allowed = floor.desk.settings.retry_renders
    if allowed == 0:
        return False
    again = 0
    for stored in await floor.desk.store.events(floor.desk.batch.key, job.job_id):
        revised = stored.event.kind is EventKind.REVISED
        again = 0 if revised else again + (stored.event.kind is EventKind.RENDER_AGAIN)
    return again < allowed
