"""Questions to the vendor: page after page, asked again when that may help, never in a hurry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from orchestrator.catalogues.filters import Question
from orchestrator.core.outcome import CallFate, CallVerdict, judge_call
from orchestrator.errors import CredentialsError, UsageError, VendorUnavailable
from orchestrator.model import Answer
from orchestrator.topview import catalog
from orchestrator.topview.catalog import Charge, Walk
from orchestrator.topview.client import TopViewClient

Sleep = Callable[[float], Awaitable[Any]]
V = TypeVar("V")

PAUSE_S = 0.2
"""Between two calls: the default ``request_rate``, so that a list holds up no running batch."""
WAITS_S = (1.0, 3.0)
"""Before the second and the third try of a call that may work later."""
LONGEST_WAIT_S = 30.0
"""Nobody who waits for a list waits longer for one call, whatever the server wishes."""
_REFUSED_QUESTION = ("4000", "4001", "4003", "4006")


class Asker:
    """Asks through a client that is open. ``sleep`` waits that many seconds."""

    def __init__(self, client: TopViewClient, sleep: Sleep) -> None:
        self._client, self._sleep = client, sleep
        self._asked = False
        self._gone: Exception | None = None

    async def list(self, question: Question) -> Walk[Any]:
        """All items of a list.

        Raises:
            CredentialsError: the vendor refused them.
            UsageError: the vendor refuses the question itself.
            VendorUnavailable: no usable answer, after three tries.
        """
        filters = dict(question.params)
        private = filters.get("isCustom") == "true"
        client = self._client
        match question.kind:
            case "avatars":
                ask = lambda n: client.avatars(filters, n)  # noqa: E731
                return await self._walk(ask, lambda i: catalog.avatar(i, private=private), _id)
            case "voices":
                ask = lambda n: client.voices(filters, n)  # noqa: E731
                return await self._walk(ask, lambda i: catalog.voice(i, private=private), _id)
            case "captions":
                return await self._walk(lambda n: client.captions(), catalog.caption, _id)
            case "ethnicities":
                return await self._walk(client.ethnicities, catalog.ethnicity, _id)
            case kind:
                raise ValueError(f"there is no list of {kind}")

    async def balance(self) -> Answer:
        """The answer about the balance; it raises as :meth:`list` does."""
        return await self._patiently(self._client.credit_detail)

    async def charges(self, start: float, end: float) -> Walk[Charge]:
        """All entries of the credit log between two moments (Unix seconds, vendor's clock).

        It raises as :meth:`list` does.
        """
        return await self._walk(
            lambda n: self._client.credit_logs(None, start, end, n), catalog.charge, lambda c: c
        )

    async def _walk(
        self,
        ask: Callable[[int], Awaitable[Answer]],
        read: Callable[[Any], V | None],
        same: Callable[[V], Any],
    ) -> Walk[V]:
        walked = await catalog.walk(lambda n: self._patiently(lambda: ask(n)), read, same)
        if walked.failed is not None:
            raise VendorUnavailable(
                "the vendor answered with something that is no list "
                f"({walked.failed.detail or 'its result is empty'})"
            )
        return walked

    async def _patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """The first answer that is none of "try again later"; it raises as :meth:`list` does."""
        if self._gone is not None:
            raise self._gone
        for wait_s in (*WAITS_S, None):
            if self._asked:
                await self._sleep(PAUSE_S)
            self._asked = True
            answer = await call()
            verdict = judge_call(answer)
            if verdict.fate is CallFate.OK:
                return answer
            if verdict.fate is not CallFate.RETRY or wait_s is None:
                break
            await self._sleep(min(max(wait_s, verdict.retry_after_s or 0.0), LONGEST_WAIT_S))
        error = refusal(verdict, answer)
        if answer.failure is not None:
            self._gone = error  # no answer at all: the next question need not find out again
        raise error


def refusal(verdict: CallVerdict, answer: Answer) -> Exception:
    """What to raise for an answer that cannot be used."""
    if verdict.fate is CallFate.AUTH:
        return CredentialsError(f"{verdict.message}; check TOPVIEW_API_KEY and TOPVIEW_UID")
    if answer.code in _REFUSED_QUESTION:
        words = answer.message or f"code {answer.code}"
        return UsageError(f"the vendor refuses this question: {words}")
    return VendorUnavailable(verdict.message.rstrip("."))


def _id(value: Any) -> str:
    id_: str = value.id
    return id_
