"""The account's credit log: what was charged, for which task. Read in pages, kept in the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from orchestrator.core.budget import Tariff
from orchestrator.engine.desk import Desk
from orchestrator.model import AccountKey, Answer, AudioKind, Mode, TaskId
from orchestrator.store.base import Charge, EngineStore
from orchestrator.topview import catalog

TASK_TYPE = "video_avatar"
AHEAD_S = 86_400.0
"""The log is asked for up to so much later than now: clocks differ, and jump. A log that ends too
early would look like one without the task that somebody looks for."""


async def read_log(desk: Desk, since: float) -> bool:
    """Read the log from ``since`` (Unix seconds, vendor's clock) and keep it.

    False if any of it could not be read: then nothing may be concluded from what is missing.
    """
    began = desk.wall()
    until = desk.vendor_wall() + AHEAD_S

    async def page(number: int) -> Answer:
        await desk.until_open(desk.api)
        vendor = desk.ports.vendor
        answer, _ = await desk.ask(lambda: vendor.credit_logs(TASK_TYPE, since, until, number))
        return answer

    log = await catalog.walk(
        page, catalog.charge, lambda line: (line.task_id, line.at, line.credits)
    )
    await desk.store.remember_charges(desk.batch.account, _by_task(log.items))
    readable = all(line.task_id is not None and line.at is not None for line in log.items)
    if log.failed is not None or not log.complete or not readable:
        return False
    await desk.store.log_read(desk.batch.account, began)
    return True


def _by_task(lines: Iterable[catalog.Charge]) -> list[Charge]:
    """One charge for each task: a refund is a line of its own, with a negative amount."""
    sums: dict[TaskId, float] = defaultdict(float)
    first: dict[TaskId, float] = {}
    for line in lines:
        if line.task_id is None or line.at is None:
            continue
        sums[line.task_id] += line.credits or 0.0
        first[line.task_id] = min(line.at, first.get(line.task_id, line.at))
    return [
        Charge(task_id=task, credits=max(0.0, total), charged_at=first[task])
        for task, total in sums.items()
    ]


async def learned_tariff(store: EngineStore, account: AccountKey) -> Tariff:
    """What jobs of each kind cost, as far as the charges kept so far tell."""
    return Tariff(
        learned={
            (Mode(cost.mode), AudioKind(cost.audio_kind)): cost.credits / cost.units
            for cost in await store.costs(account)
            if cost.units > 0
        }
    )
