"""The facade of the operators' commands: look first, then carry out.

Looking gives a :class:`Sheet`; nothing is changed by it. Carrying it out moves every job by
compare and set on the version that was looked at, so that a run at work on the same batch, or
another operator, is never overwritten.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.config import state_dir as folder_of
from orchestrator.core import intervene
from orchestrator.core.intervene import Effect, Facts, Ruling
from orchestrator.core.outcome import TaskFate
from orchestrator.engine.lock import is_held
from orchestrator.errors import OrchestratorError, StaleJob, StoreError, UsageError
from orchestrator.model import Event, EventKind, Job, State, TaskId
from orchestrator.operate.explain import explain, gather
from orchestrator.operate.find import Found, Where, find, meant, named, opened
from orchestrator.operate.places import Place
from orchestrator.operate.vendor import Testimony, testimony
from orchestrator.operate.views import Result, Sheet, Step, WhyView, step_of
from orchestrator.store.base import AppStore

AT_ONCE = 100
"""So many jobs are moved together: their checkpoints share a transaction."""

Rule = Callable[[Job, Facts], Ruling]


class Operator:
    """One state folder, and the single jobs in it.

    ``state_dir`` None: `state` in the current folder, or ``ORCHESTRATOR_STATE``. ``env`` is where
    credentials are read from. ``rehearsal``: only the rehearsals of the folder are meant; without
    it they are meant too where no real job has the name.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        env: Mapping[str, str] | None = None,
        rehearsal: bool = False,
    ) -> None:
        self._env = os.environ if env is None else env
        folder = folder_of(state_dir, self._env, None)
        self._place = Place(folder=folder, rehearsal=rehearsal)

    async def why(self, pattern: str, *, flags: str = "") -> list[WhyView]:
        """The story of one job (of several, if it is known under several accounts).

        ``flags`` go with the commands that it names, for a rehearsal behind ``--emulator``.

        Raises:
            UsageError: no job, or more than one, is meant.
            StoreError: the state store cannot be used.
        """
        async with meant(self._place, [pattern]) as where:
            store, place = where.store, where.place
            found = await find(store, [pattern], place)
            _refuse_several(found, pattern)
            now = time.time()
            assert store is not None
            flags = f" --emulator{flags}" if place.rehearsal else flags
            views = [await explain(store, f, place, now=now, flags=flags) for f in found]
        return [replace(view, rehearsed_too=where.rehearsed_too) for view in views]

    async def retry(self, patterns: Sequence[str]) -> Sheet:
        """What bringing these jobs back would do. Raises like :meth:`why`."""
        now = time.time()
        return await self._look(
            "retry", patterns, lambda job, facts: intervene.retry(job, facts, now)
        )

    async def cancel(self, patterns: Sequence[str]) -> Sheet:
        """What giving these jobs up would do. Raises like :meth:`why`."""
        async with meant(self._place, patterns) as where:
            found = await find(where.store, patterns, where.place)
            steps = [step_of(batch, job, intervene.cancel(job)) for batch, job in found]
            return _sheet("cancel", steps, where)

    async def resubmit(self, patterns: Sequence[str]) -> Sheet:
        """What submitting these jobs in doubt anew would do. Raises like :meth:`why`."""
        return await self._look("resolve", patterns, intervene.resubmit)

    async def drop(self, patterns: Sequence[str]) -> Sheet:
        """What giving these jobs in doubt up would do. Raises like :meth:`why`."""
        return await self._look("resolve", patterns, intervene.drop)

    async def _look(self, command: str, patterns: Sequence[str], rule: Rule) -> Sheet:
        async with meant(self._place, patterns) as where:
            store = where.store
            found = await find(store, patterns, where.place)
            assert store is not None
            steps = [await _ruled(store, each, rule) for each in found]
            return _sheet(command, steps, where)

    async def adopt(self, pattern: str, task_id: TaskId, *, force: bool = False) -> Sheet:
        """What giving this task to the one job in doubt would do. Asks the vendor about it.

        ``force``: go on where the vendor cannot be asked.

        Raises:
            UsageError: no job, or more than one, is meant, or the task id is empty.
            StoreError: the state store cannot be used.
        """
        if not task_id.strip():
            raise UsageError("--task-id is empty: name the vendor's id of the task")
        task_id = TaskId(task_id.strip())
        async with meant(self._place, [pattern]) as where:
            store = where.store
            found = await find(store, [pattern], where.place)
            _refuse_several(found, pattern)
            assert store is not None
            steps = [await _ruled(store, each, intervene.adopt) for each in found]
            takers = [s for s in steps if s.ruling.effect is Effect.CHANGE]
            if len(takers) > 1:
                raise UsageError(
                    f"{pattern} is in doubt under several accounts: this task cannot be of both"
                )
            if takers:
                steps = [await self._checked(where, takers[0], task_id, force)]
            return _sheet("resolve", steps, where)

    async def _checked(self, where: Where, step: Step, task_id: TaskId, force: bool) -> Step:
        """The step with the task, if nothing speaks against it."""
        batch, job, store = step.batch, step.job, where.store
        assert store is not None
        if job.task_id not in (None, task_id):
            return _refused(step, f"its attempt has task {job.task_id} already")
        owner = await store.find_task(batch.account, task_id)
        if owner not in (None, job.key):
            return _refused(step, f"task {task_id} belongs to another job already")
        attempts = await store.attempts(job.key)
        mine = next(a for a in attempts if a.key == job.attempt)
        if owner is not None and mine.task_id != task_id:
            return _refused(step, f"task {task_id} belongs to an earlier attempt of this job")
        said = await testimony(store, where.place, batch.account, mine, task_id, self._env)
        if said.against:
            return _refused(step, said.against)
        if said.silence and not force:
            return _refused(
                step,
                f"the vendor could not be asked about task {task_id} ({said.silence}); --force "
                "takes your word for it",
            )
        return _adopted(step, task_id, said)

    async def carry_out(self, sheet: Sheet) -> Sheet:
        """Move every job that the sheet would change; returns what came of each.

        Raises:
            StoreError: the state store cannot be written; jobs moved before stay moved.
        """
        steps: list[Step] = []
        place = replace(self._place, rehearsal=sheet.rehearsal)
        async with opened(place) as store:
            if store is None:
                raise UsageError(f"the state in {place.own} has gone meanwhile")
            for start in range(0, len(sheet.steps), AT_ONCE):
                some = sheet.steps[start : start + AT_ONCE]
                steps += await asyncio.gather(*(_carry_out(store, step) for step in some))
        return replace(sheet, steps=tuple(steps))


def _sheet(command: str, steps: Sequence[Step], where: Where) -> Sheet:
    batches = {step.batch.key: step.batch for step in steps}
    running = frozenset(b.name for b in batches.values() if is_held(where.place.lock_of(b)))
    return Sheet(
        command=command,
        rehearsal=where.place.rehearsal,
        steps=tuple(steps),
        running=running,
        rehearsed_too=where.rehearsed_too,
    )


def _refuse_several(found: Sequence[Found], pattern: str) -> None:
    names = list(dict.fromkeys(f"{batch.name}/{job.job_id}" for batch, job in found))
    if len(names) > 1:
        raise UsageError(f"{pattern} means {len(names)} jobs; name one of them: {named(names)}")


async def _ruled(store: AppStore, found: Found, rule: Rule) -> Step:
    batch, job = found
    events = await store.events(batch.key, job.job_id)
    return step_of(batch, job, rule(job, await gather(store, batch, job, events)))


def _refused(step: Step, why: str) -> Step:
    return replace(step, result=Result.REFUSED, message=why)


def _adopted(step: Step, task_id: TaskId, said: Testimony) -> Step:
    """The step with the task and its evidence."""
    if said.silence:
        evidence = f"the operator named it; the vendor was not asked ({said.silence})"
    else:
        evidence = "the operator named it; the vendor knows it and its files do not contradict"
    words = f"its task is {task_id} from now on; nothing is paid again"
    if said.fate is TaskFate.FAILED:
        words += "; the vendor says that it failed, so the job will fail"
    data = {"evidence": evidence}
    return replace(step, message=words, task_id=task_id, data=data)


async def _carry_out(store: AppStore, step: Step) -> Step:
    """Move one job, guarded by the version that was looked at."""
    if step.result is not Result.CHANGE or step.ruling.kind is None:
        return step
    event = Event(
        kind=step.ruling.kind,
        at=time.time(),
        reason=_REASONS.get(step.ruling.kind, ""),
        message=step.ruling.note,
        task_id=step.task_id,
        data=step.data,
    )
    try:
        after = await store.move(step.job, event)
        if step.ruling.kind is EventKind.CANCELLED and after.state is State.PENDING:
            after = await store.move(after, event)  # the changed entry, which had waited
    except StaleJob:
        message = "changed by somebody else meanwhile (a run at work?): not done; look again"
        return replace(step, result=Result.STALE, message=message)
    except StoreError:
        raise
    except OrchestratorError as error:  # the task belongs to somebody since
        return replace(step, result=Result.REFUSED, message=str(error))
    return replace(step, result=Result.CHANGED, after=after.state)


_REASONS = {
    EventKind.CANCELLED: "operator:cancel",
    EventKind.DOUBT_CLEARED: "operator:resubmit",
    EventKind.DOUBT_DROPPED: "operator:drop",
}
