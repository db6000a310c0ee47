"""The vendor from here: credentials, the way to the API, its clock, the balance. One free call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from orchestrator.config import Proxies, VendorSettings, vendor_settings
from orchestrator.core.outcome import CallFate, CallVerdict, judge_call
from orchestrator.doctor.findings import Check, fault, ok, warning
from orchestrator.errors import CredentialsError, UsageError
from orchestrator.model import Answer
from orchestrator.topview.client import Timeouts, TopViewClient
from orchestrator.topview.wire import remaining_credit

SLOW_S = 5.0
CLOCK_SLACK_S = 60.0
PATIENCE = Timeouts(connect_s=10.0, reply_s=30.0)
BUSY = ("429", "4007", "5003")
_SET = "set TOPVIEW_API_KEY and TOPVIEW_UID as they stand on the API page of your account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One answer of the vendor. ``wall`` is Unix seconds in the middle of the call."""

    answer: Answer
    took_s: float
    wall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The checks, and the balance in credits (None: not known)."""

    checks: tuple[Check, ...]
    balance: float | None = None


async def vendor_checks(env: Mapping[str, str], wall: Callable[[], float] = time.time) -> Seen:
    """Ask for the balance, once, and judge what comes back and how."""
    try:
        settings = vendor_settings(env)
    except CredentialsError as error:
        missing = fault("credentials", *_halves(str(error)))
        return Seen(checks=(missing, warning("vendor", "not asked, for want of credentials", "")))
    try:
        proxies = Proxies.from_env(env)
        proxy = proxies.for_url(settings.base_url)
    except UsageError as error:
        return Seen(checks=(fault("vendor", *_halves(str(error))),))
    async with TopViewClient(settings, timeouts=PATIENCE, proxies=proxies) as client:
        began, started = wall(), time.monotonic()
        answer = await client.credit_detail()
        took_s = time.monotonic() - started
    asked = Asked(answer=answer, took_s=took_s, wall=began + took_s / 2)
    return judged(settings, asked, proxy)


def judged(settings: VendorSettings, asked: Asked, proxy: str | None) -> Seen:
    """The checks for one answer."""
    verdict = judge_call(asked.answer)
    credit = remaining_credit(asked.answer) if asked.answer.ok else None
    checks = [
        _credentials(verdict),
        _reach(settings.base_url, asked, verdict, _shown_proxy(proxy)),
        *_secrecy(settings.base_url),
        *_clock(asked),
        *([_balance(credit)] if asked.answer.ok else []),
    ]
    return Seen(checks=tuple(checks), balance=credit)


def _credentials(verdict: CallVerdict) -> Check:
    match verdict.fate:
        case CallFate.OK:
            return ok("credentials", "accepted")
        case CallFate.AUTH:
            return fault("credentials", _clause(verdict.message), _SET)
        case _:
            return warning("credentials", "set, but not tried: the vendor did not judge them", "")


def _reach(base_url: str, asked: Asked, verdict: CallVerdict, proxy: str) -> Check:
    where = f"{base_url}{proxy}"
    answer = asked.answer
    words = _clause(verdict.message)
    if answer.failure is not None:
        return fault(
            "vendor",
            f"{where} does not answer: {words}",
            "check the network, the proxy settings and TOPVIEW_BASE_URL, then try again",
        )
    if answer.code in BUSY or answer.status == 429:
        return warning("vendor", f"{where} is busy: {words}", "a run waits by itself; or try later")
    if verdict.fate in (CallFate.RETRY, CallFate.PERMANENT):
        return fault(
            "vendor",
            f"{where} answers, but not as the API does: {words}",
            "check TOPVIEW_BASE_URL; if it is right, the vendor has a fault: try later",
        )
    if asked.took_s > SLOW_S:
        return warning(
            "vendor",
            f"{where} took {asked.took_s:.1f} s to answer",
            "check the network; a batch on a slow line needs more time",
        )
    return ok("vendor", f"{where} answered within {max(1, round(asked.took_s * 1000))} ms")


def _secrecy(base_url: str) -> list[Check]:
    """A key that goes over a network in the clear is worth a word."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host in ("localhost", "::1") or host.startswith("127."):
        return []
    return [
        warning("encryption", "the API key is sent in the clear (http)", "use an https address")
    ]


def _clock(asked: Asked) -> list[Check]:
    """This machine's clock against the vendor's, which is told in whole seconds."""
    theirs = asked.answer.server_time
    if theirs is None:
        return []
    ahead_s = asked.wall - theirs
    if abs(ahead_s) <= CLOCK_SLACK_S:
        return [ok("clock", f"within {max(1, round(abs(ahead_s)))} s of the vendor's")]
    side = "ahead of" if ahead_s > 0 else "behind"
    return [
        warning(
            "clock",
            f"{abs(ahead_s):.0f} s {side} the vendor's clock",
            "set this machine's clock (on most systems: timedatectl set-ntp true); times of the "
            "credit log and of reports are wrong by as much",
        )
    ]


def _balance(credit: float | None) -> Check:
    if credit is None:
        return warning("balance", "the vendor does not say how many credits are left", "")
    if credit <= 0:
        return warning(
            "balance", f"{credit:g} credits: submits will be refused", "buy credits before a run"
        )
    return ok("balance", f"{credit:,.2f}".rstrip("0").rstrip(".") + " credits")


def _shown_proxy(proxy: str | None) -> str:
    """The proxy without its password."""
    if proxy is None:
        return ""
    host = urlsplit(proxy).netloc.rpartition("@")[2]
    return f" (through the proxy {host})"


def _clause(sentence: str) -> str:
    """A sentence as a part of another one."""
    return (sentence[:1].lower() + sentence[1:]).rstrip(".")


def _halves(sentence: str) -> tuple[str, str]:
    """Problem and remedy of a message of ours, which has them in this order."""
    problem, _, remedy = sentence.partition("; ")
    return problem, remedy
