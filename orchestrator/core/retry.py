"""When to try a free call again, and when a row of equal failures ends a run. All of it data.

A paid submit is never judged here: see ``core.outcome``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from orchestrator.model import EventKind

MAX_EXPONENT = 32
"""Beyond this the ceiling holds anyway; keeps ``2 ** n`` finite however often one retries."""


LONGEST_RETRY_AFTER_S = 3600.0
"""A server's wish is heeded up to this, so that a broken header cannot stop a night's work."""


def heeded_s(retry_after_s: float | None) -> float:
    """How much of a server's ``Retry-After`` (seconds, None without one) is heeded."""
    return 0.0 if retry_after_s is None else min(max(retry_after_s, 0.0), LONGEST_RETRY_AFTER_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential waits with full-range jitter between half of a step and the step.

    ``first_s`` (> 0): the first step. ``ceiling_s`` (>= first_s): no wait is longer, jitter
    included, unless the server itself asks for more.
    """

    first_s: float = 1.0
    ceiling_s: float = 60.0

    def wait_s(
        self, failures: int, rng: random.Random, retry_after_s: float | None = None
    ) -> float:
        """Seconds to wait after ``failures`` (>= 1) failures in a row.

        The server's ``retry_after_s`` wins when it is longer, up to LONGEST_RETRY_AFTER_S.
        """
        exponent = min(max(failures, 1) - 1, MAX_EXPONENT)
        step = min(self.first_s * 2.0**exponent, self.ceiling_s)
        return max(step * rng.uniform(0.5, 1.0), heeded_s(retry_after_s))


DOUBT_PAUSES_S = (10.0, 60.0, 300.0, 1800.0)
"""Pauses before the next submit after 1, 2, 3, 4 or more unknown outcomes in a row."""
CAP_PAUSE_S = 30.0
"""Pause of all submits after 4007 (the account's cap is full), as the vendor advises."""


def doubt_pause_s(unknowns: int, scale: float) -> float:
    """Pause in seconds after ``unknowns`` (>= 1) submits of unknown fate in a row."""
    return DOUBT_PAUSES_S[min(unknowns, len(DOUBT_PAUSES_S)) - 1] * scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """Consecutive refusals or failures with one and the same reason.

    One wrong voice id must not fail a thousand jobs by morning: at ``stop_after`` in a row the
    run ends in good order. A success, or a failure with another reason, begins anew.
    """

    reason: str = ""
    length: int = 0

    def failed(self, reason: str) -> Streak:
        """The streak after one more failure."""
        length = self.length + 1 if reason == self.reason else 1
        return replace(self, reason=reason, length=length)

    def succeeded(self) -> Streak:
        """The streak after a success: none."""
        return Streak()


FAILURES = frozenset(
    {
        EventKind.UPLOAD_FAILED,
        EventKind.SUBMIT_REFUSED,
        EventKind.TASK_FAILED,
        EventKind.TASK_LOST,
        EventKind.DOWNLOAD_FAILED,
    }
)
"""Events that count for ``stop_after``."""


def how_to_revive(*, task_may_deliver: bool, files_live: bool) -> EventKind:
    """How an operator's ``retry`` goes on with a job that came to rest.

    ``task_may_deliver``: it has a task that did not end in failure and is not lost: asking costs
    nothing, submitting anew would pay twice. ``files_live``: all its assets have file ids.
    """
    if task_may_deliver:
        return EventKind.RETRY_POLL
    return EventKind.RETRY_SUBMIT if files_live else EventKind.RETRY_UPLOAD
