"""The first question of a run: are the credentials right, and what does the account hold?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orchestrator.core.outcome import SUBMIT_CODES, CallFate, CallVerdict, Cause, judge_call
from orchestrator.engine.ports import Clock, Vendor
from orchestrator.engine.progress import Level
from orchestrator.errors import CredentialsError, VendorUnavailable
from orchestrator.model import Answer
from orchestrator.topview import wire

FIRST_WAITS_S = (0.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""The first question to the vendor is repeated after so many seconds (scaled)."""

Tell = Callable[[Level, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How questions are asked: each after ``turn``, which keeps the request rate. ``scale``
    stretches the waits between them."""

    clock: Clock
    turn: Callable[[], Awaitable[None]]
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the vendor said of the account.

    ``balance``: credits, None where it names none. ``no_credit``: its words, if it answered that
    there is not enough (code 4100), else "". ``vendor_zero``: its Unix time when our monotonic
    clock stood at 0, None where its answers carry no time.
    """

    balance: float | None = None
    no_credit: str = ""
    vendor_zero: float | None = None


async def ask_standing(vendor: Vendor, line: Line, tell: Tell) -> Standing:
    """Ask for the balance, patiently while nobody answers.

    Raises:
        CredentialsError: the vendor refused them.
        VendorUnavailable: it refused the question, or did not answer in all that time.
    """
    clock, zero, why = line.clock, None, ""
    for wait_s in FIRST_WAITS_S:
        await clock.sleep(wait_s * line.scale)
        await line.turn()
        answer = await vendor.credit_detail()
        if answer.server_time is not None:
            zero = answer.server_time - clock.monotonic()
        verdict = judge_call(answer)
        match verdict.fate:
            case CallFate.OK:
                return Standing(balance=wire.remaining_credit(answer), vendor_zero=zero)
            case CallFate.AUTH:
                raise CredentialsError(f"{verdict.message}; check TOPVIEW_API_KEY and TOPVIEW_UID")
            case CallFate.PERMANENT:
                return Standing(no_credit=_no_credit(answer, verdict), vendor_zero=zero)
            case CallFate.RETRY if not why:
                tell(Level.PROBLEM, _silence(verdict.message, sum(FIRST_WAITS_S) * line.scale))
            case CallFate.RETRY:
                pass
        why = verdict.message
    raise VendorUnavailable(
        f"the vendor does not answer ({why}); nothing was sent. "
        "Check TOPVIEW_BASE_URL and the network, then run again"
    )


def _no_credit(answer: Answer, verdict: CallVerdict) -> str:
    """The words of a refusal for lack of credit.

    Raises:
        VendorUnavailable: it was refused for another reason, which no repeating will change.
    """
    cause, _ = SUBMIT_CODES.get(answer.code or "", (None, ""))
    if cause is Cause.CREDIT:
        return verdict.message
    raise VendorUnavailable(
        f"the vendor refused to tell the account's balance: {verdict.message}. Nothing was sent. "
        "Check TOPVIEW_BASE_URL and the account, then run again"
    )


def _silence(why: str, patience_s: float) -> str:
    return f"the vendor does not answer: {why}; trying again for {patience_s:.0f} s"


def tell_balance(standing: Standing, tell: Tell) -> None:
    """Say what there is to spend."""
    if standing.no_credit:
        tell(Level.PROBLEM, f"asked for the balance, the vendor says: {standing.no_credit}")
    if standing.balance is None:
        return
    tell(Level.INFO, f"balance: {standing.balance:g} credits")
    if standing.balance <= 0:
        tell(Level.PROBLEM, "the balance is used up: submits will be refused")
