"""The webhook receiver of a run, if its batch has one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from orchestrator.config import Secret
from orchestrator.engine.desk import Desk
from orchestrator.engine.progress import Level
from orchestrator.engine.runner import Engine
from orchestrator.topview.client import TopViewClient

Tell = Callable[[Level, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """``url`` is what the vendor calls, ``listen`` (HOST:PORT) where the call arrives; ``uid`` is
    the account whose notices count."""

    url: str
    listen: str
    uid: str


@asynccontextmanager
async def hearing(
    engine: Engine, client: TopViewClient, desk: Desk, address: Address | None, tell: Tell
) -> AsyncIterator[None]:
    """Hear notices meanwhile. Without a receiver, or without notices, polling finds everything;
    it only takes longer.

    Raises:
        UsageError: it cannot listen there.
    """
    if address is None:
        yield
        return
    from orchestrator.web.receiver import HeardNotice, Receiver, notice_path, notice_url

    async def heard(notice: HeardNotice) -> bool:
        return await engine.hear(notice.token, notice.task_id)

    receiver = Receiver(address.listen, notice_path(address.url), Secret(address.uid), heard)
    await receiver.start()
    try:
        await desk.pacer.turn()
        if await _is_taken(client, notice_url(address.url, "check"), tell):
            desk.notice_url = partial(notice_url, address.url)
        yield
    finally:
        await receiver.stop()


async def _is_taken(client: TopViewClient, url: str, tell: Tell) -> bool:
    """Whether the vendor takes the webhook's address; asked once."""
    answer = await client.notice_check(url)
    refused = answer.result is False or str(answer.result).lower() == "fail"
    taken = answer.ok and not refused
    if not taken:
        why = answer.message or answer.detail or "no reason given"
        message = f"the vendor does not take the webhook's address ({why}): polling instead"
        tell(Level.PROBLEM, message)
    return taken
