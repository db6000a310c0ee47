"""Does this task exist, and is it this job's? One free question to the vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import identity, vendor_settings
from orchestrator.core.outcome import TaskFate, TaskView, judge_query
from orchestrator.engine.clock import SystemClock, boot_id
from orchestrator.engine.lock import FolderLock
from orchestrator.engine.pace import Pacer
from orchestrator.engine.ports import Vendor
from orchestrator.errors import BatchLocked, CredentialsError
from orchestrator.model import AccountKey, Attempt, Limits, TaskId
from orchestrator.operate.places import Place
from orchestrator.store.base import AppStore

TRIES = 3
"""An answer that says nothing is asked for so often."""
BETWEEN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """What the vendor said. ``against``: why the task cannot be the attempt's ("" if nothing).

    ``silence``: why the vendor could not be asked ("" if it answered).
    """

    against: str = ""
    silence: str = ""
    fate: TaskFate | None = None


Ask = Callable[[TaskId], Awaitable[TaskView]]


async def testimony(
    store: AppStore,
    place: Place,
    account: AccountKey,
    attempt: Attempt,
    task_id: TaskId,
    env: Mapping[str, str],
) -> Testimony:
    """Ask the vendor about the task, and compare it with what the attempt sent."""
    try:
        async with _reached(store, place, account, env) as ask:
            view = await ask(task_id)
    except (CredentialsError, BatchLocked) as error:
        return Testimony(silence=str(error))
    return _weighed(view, attempt, task_id)


def _weighed(view: TaskView, attempt: Attempt, task_id: TaskId) -> Testimony:
    if view.fate is TaskFate.UNKNOWN_TASK:
        return Testimony(against=f"the vendor knows no task {task_id} of this account")
    if not view.known:
        return Testimony(silence=view.message or "the vendor's answer says nothing of the task")
    for word, shown, sent in (
        ("video", view.video, attempt.video_file_id),
        ("audio", view.audio, attempt.audio_file_id),
    ):
        if shown not in (None, sent):
            return Testimony(
                against=f"the vendor made task {task_id} from {word} {shown}, but this job sent "
                f"{sent or f'no {word}'}"
            )
    return Testimony(fate=view.fate)


@asynccontextmanager
async def _reached(
    store: AppStore, place: Place, account: AccountKey, env: Mapping[str, str]
) -> AsyncIterator[Ask]:
    """A way to ask the vendor (or, for a rehearsal, the emulator) under the account's limits.

    Raises:
        CredentialsError: they are missing, or of another account.
        BatchLocked: a run uses the emulator.
    """
    from orchestrator.topview.client import TopViewClient

    async with _address(place, env) as address:
        settings = vendor_settings(address)
        if not place.rehearsal and await store.find_account(identity(settings)) != account:
            raise CredentialsError(
                "the credentials in the environment (TOPVIEW_BASE_URL and TOPVIEW_UID) are of "
                "another account than the batch"
            )
        async with TopViewClient(settings) as client, _turns(store, account) as pacer:
            yield lambda task_id: _ask(client, pacer, task_id)


async def _ask(client: Vendor, pacer: Pacer, task_id: TaskId) -> TaskView:
    clock = SystemClock()
    view = TaskView(fate=TaskFate.NO_INFORMATION)
    for attempt in range(TRIES):
        if attempt:
            await clock.sleep(max(BETWEEN_S, min(view.retry_after_s or 0.0, 30.0)))
        await pacer.turn()
        view = judge_query(await client.query(task_id), task_id)
        if view.known or view.fate in (TaskFate.AUTH, TaskFate.UNKNOWN_TASK):
            break
    return view


@asynccontextmanager
async def _turns(store: AppStore, account: AccountKey) -> AsyncIterator[Pacer]:
    """Turns under the account's request rate, which is shared with the runs of this machine."""
    limits = Limits()
    pacer = Pacer(
        store,
        account,
        SystemClock(),
        submit=limits.submit_rate,
        request=limits.request_rate,
        boot_id=boot_id(),
    )
    try:
        yield pacer
    finally:
        await pacer.close()


@asynccontextmanager
async def _address(place: Place, env: Mapping[str, str]) -> AsyncIterator[Mapping[str, str]]:
    """The environment that reaches the vendor; of a rehearsal, the emulator on its own data."""
    if not place.rehearsal:
        yield env
        return
    from orchestrator.emulator.config import EmulatorConfig
    from orchestrator.emulator.server import Emulator

    data: Path = place.own / "vendor"
    with FolderLock(data):
        async with Emulator(EmulatorConfig(catalog="open"), data=data) as emulator:
            yield emulator.environment
