"""How many tasks may be unfinished at once: the account's cap, found by trying (`in_flight: auto`).

One immutable value, :class:`AutoSlots`, goes from event to event. It grows by one while the
vendor takes it and it pays, and shrinks at once when it does not. A vendor can answer a surplus
submit in two ways, and both are heard:

- it *refuses* (4007): as many as are unfinished then is the cap;
- it *queues*: the task stays `init`. A task that waits proves that no more render at once than
  were accepted before it. One or two queued ahead keep the slots full, more gain nothing.

What was found is remembered, and tried again rarely: where surplus is refused by one, after 30
minutes, then after twice that, up to six hours; where it waits every 10 minutes. A submit at the
cap is also a question about every task at once, see :meth:`AutoSlots.room`.

Times are wall clock, in Unix seconds, since they outlive the process. ``unfinished`` are the
slots of the account that are held, counted from rows, without the submit in question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

START = 2
"""What every account is believed to have."""
HIGHEST = 100_000
PROBE_GAP_S = 1800.0
LONGEST_GAP_S = 6 * 3600.0
"""A cap with refusals is tried again after so long; after twice that when it was confirmed."""
QUEUE_GAP_S = 600.0
"""Where surplus tasks only wait, trying costs nothing, and a busy hour of the vendor's looks like
a small cap: it is tried again sooner."""
LONGEST_PAUSE_S = 600.0
"""Bound of the pauses while others hold the account's slots."""
QUEUED_AHEAD = 2
AHEAD_SHARE = 8
"""So many tasks wait at a vendor that queues: two, or one for so many slots if that is more."""
PAYS = 1.35
GENERATION = 24
"""A generation of tasks (one for each slot, and at least so many) that takes so many times the
quickest one waits for slots."""
KNOCK_ENDS = 0.12
"""A submit at the cap goes out when so many ends are expected since the vendor was full."""
KNOCK_PATIENCE = 12
"""Knocks refused in a row before each further one waits twice as long."""
KNOCK_SHARE = 0.5
"""Knocks may lead so far beyond the limit (share of it, at least 2): the ended and unnoticed."""
CERTAIN_LOOKS = 2.0
CERTAIN_SHARE = 0.2
CERTAIN_INIT = 1.5


class Surplus(StrEnum):
    """What the vendor does with a submit for which no slot is free."""

    UNKNOWN = "unknown"  # it has not come to that
    REFUSED = "refused"  # 4007
    QUEUED = "queued"  # the task stays `init`


def certainly_queued(
    age_s: float, interval_s: float, mean_s: float | None, init_s: float = 0.0
) -> bool:
    """Whether a task of this age that still says `init` waits for a slot.

    A task that has its slot says `init` for a while too. ``interval_s``: the poll interval;
    ``mean_s``: the mean duration of such tasks, None before it is known; ``init_s``: how long a
    task has said so that did not wait, as far as that was found out.
    """
    longest_s = max(CERTAIN_SHARE * (mean_s or 0.0), CERTAIN_INIT * init_s)
    return age_s > max(CERTAIN_LOOKS * interval_s, longest_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoSlots:
    """What is known of an account's slots, and what follows from it.

    ``limit`` (>= 1): so many tasks may be unfinished. ``cap``: so many render at once, None
    while that is being found out. ``wordless``: the vendor's `init` says nothing, so durations
    must tell whether growing pays. ``open_at``: no submit before (a pause, usually 0).
    """

    limit: int = START
    cap: int | None = None
    surplus: Surplus = Surplus.UNKNOWN
    probe_at: float = 0.0
    probe_gap_s: float = PROBE_GAP_S
    wordless: bool = False
    open_at: float = 0.0
    pauses: int = 0
    knocks_refused: int = 0
    rendering: int = 0
    ended: int = 0
    ended_sum_s: float = 0.0
    quickest_s: float | None = None

    def room(self, unfinished: int, now: float, ends: float | None = None) -> int:
        """How many tasks may be unfinished now, for the next submit: more than ``limit`` for a
        probe whose time has come, or for a knock.

        A knock is a submit at a known cap that goes out because a task may have ended without
        being noticed: if so it takes the slot at once, if not it is refused, which costs nothing
        and proves that all are unfinished. ``ends``: expected ends (see ``Durations.ends``)
        since the vendor was last known to be full, None to have no knocks. Only a vendor that
        refuses is knocked at; about one knock in six is taken.
        """
        if self.cap is None:
            return self.limit
        if now >= self.probe_at:
            return self.limit + 1
        if ends is None or not self.may_knock or ends < self.knock_ends:
            return self.limit
        lead = max(2, int(self.limit * KNOCK_SHARE))
        return min(max(unfinished + 1, self.limit), self.limit + lead)

    @property
    def may_knock(self) -> bool:
        """The cap is known, and the vendor refuses what is too much."""
        return self.cap is not None and self.surplus is Surplus.REFUSED

    @property
    def knock_ends(self) -> float:
        """A knock goes out when so many ends are expected. Doubles while nothing comes of it."""
        beyond = min(max(0, self.knocks_refused - KNOCK_PATIENCE), 16)
        return KNOCK_ENDS * 2.0**beyond

    @property
    def knocks_pay(self) -> bool:
        """Knocks are taken about as often as expected: tasks need few questions of their own."""
        return self.may_knock and self.knocks_refused <= KNOCK_PATIENCE

    @property
    def unsure(self) -> bool:
        """The cap is being found out: worth a first look at new tasks after one poll interval."""
        return self.cap is None

    def accepted(self, unfinished: int, now: float) -> AutoSlots:
        """A submit was taken when ``unfinished`` others were."""
        calm = replace(self, open_at=0.0, pauses=0, knocks_refused=0)
        if unfinished + 1 < calm.limit:
            return calm
        if calm.cap is None:
            return calm._grown(unfinished + 1)
        if unfinished + 1 > calm.limit and now >= calm.probe_at:
            found = min(calm.limit + 1, HIGHEST)
            anew = replace(calm, cap=None, probe_gap_s=PROBE_GAP_S, rendering=calm.cap)
            return replace(anew, limit=found, surplus=Surplus.UNKNOWN, ended=0, ended_sum_s=0.0)
        return calm

    def refused(self, unfinished: int, now: float, pause_s: float) -> AutoSlots:
        """A submit was refused with 4007 while ``unfinished`` others were.

        The limit never rises by this. ``pause_s``: where none of our tasks can free a slot (others
        hold them), wait so long, and longer each time.
        """
        probing = self.cap is not None and now >= self.probe_at and unfinished >= self.limit
        if self.cap is not None and unfinished >= self.limit and not probing:
            return replace(self, knocks_refused=self.knocks_refused + 1)
        known = max(1, min(unfinished, self.limit))
        gap_s = min(self.probe_gap_s * 2, LONGEST_GAP_S) if probing else PROBE_GAP_S
        full = replace(
            self,
            limit=known,
            cap=known,
            surplus=Surplus.REFUSED,
            probe_gap_s=gap_s,
            probe_at=now + gap_s,
            knocks_refused=0,
        )
        return full if unfinished >= 1 else full._paused(now, pause_s)

    def _paused(self, now: float, pause_s: float) -> AutoSlots:
        wait_s = min(pause_s * 2.0 ** min(self.pauses, 16), LONGEST_PAUSE_S)
        return replace(self, open_at=now + max(wait_s, pause_s), pauses=self.pauses + 1)

    def running(self, count: int, unfinished: int) -> AutoSlots:
        """A look showed a task rendering; ``count`` of our ``unfinished`` ones were seen so."""
        seen = replace(self, rendering=max(self.rendering, count), wordless=False)
        return seen._grown(unfinished) if seen.cap is None else seen

    def queued(self, before: int, now: float) -> AutoSlots:
        """A task certainly waits (:func:`certainly_queued`) though only ``before`` unfinished
        tasks were accepted before it."""
        if self.wordless:
            return self
        if self.rendering == 0:  # then `init` says nothing yet, of the first one for good
            return replace(self, wordless=True) if before == 0 else self
        cap = max(1, min(before, self.limit))
        if self.cap is not None and cap >= self.cap:
            return self
        return replace(
            self,
            cap=cap,
            limit=_with_queue(cap),
            surplus=Surplus.QUEUED,
            probe_at=now + QUEUE_GAP_S,
        )

    def at_once(self, count: int) -> AutoSlots:
        """So many tasks certainly rendered at the same moment. More than the cap that waiting
        tasks told of: they did not wait for slots, and the cap is found out anew."""
        if self.surplus is not Surplus.QUEUED or self.cap is None or count <= self.cap:
            return self
        return replace(
            self,
            cap=None,
            limit=max(self.limit, count),
            rendering=max(self.rendering, count),
            surplus=Surplus.UNKNOWN,
            ended=0,
            ended_sum_s=0.0,
        )

    def finished(self, duration_s: float, now: float) -> AutoSlots:
        """A task ended ``duration_s`` after it was accepted. Matters where words say nothing:
        the limit grows once for each generation of tasks, while they do not take longer."""
        if not self.wordless or self.cap is not None:
            return self
        more = replace(self, ended=self.ended + 1, ended_sum_s=self.ended_sum_s + duration_s)
        if more.ended < max(GENERATION, more.limit):
            return more
        mean_s = more.ended_sum_s / more.ended
        fresh = replace(more, ended=0, ended_sum_s=0.0)
        if self.quickest_s is None or mean_s <= PAYS * self.quickest_s:
            quickest_s = min(mean_s, self.quickest_s or mean_s)
            return replace(fresh, quickest_s=quickest_s, limit=min(self.limit + 1, HIGHEST))
        cap = max(1, math.floor(self.limit * self.quickest_s / mean_s))
        known = replace(fresh, cap=cap, limit=_with_queue(cap), surplus=Surplus.QUEUED)
        return replace(known, probe_at=now + PROBE_GAP_S)

    def beside(self, other: AutoSlots) -> AutoSlots:
        """What holds where this and ``other`` were found out by two processes at the same time.

        A cap is worth more than growth that has not met one yet, and more growth more than less. Of
        two caps this one holds: it was found, or looked at again, since the other was written.
        """
        if self.cap is not None:
            return self
        if other.cap is not None:
            return other.kept_apart(self)
        return replace(self, limit=max(self.limit, other.limit))

    def kept_apart(self, mine: AutoSlots) -> AutoSlots:
        """This, but for what every process has for itself: its pauses and its knocks."""
        return replace(
            self, open_at=mine.open_at, pauses=mine.pauses, knocks_refused=mine.knocks_refused
        )

    def _grown(self, unfinished: int) -> AutoSlots:
        """One more, if the limit is reached and what was tried so far was seen to render.

        Unproven growth at most doubles what is proven, so that a vendor that queues for ever
        is not handed the whole batch.
        """
        furthest = min(2 * self.rendering + START, HIGHEST - 1)
        if self.wordless or unfinished < self.limit or self.limit > furthest:
            return self
        return replace(self, limit=self.limit + 1)

    def to_json(self) -> dict[str, Any]:
        """What is worth remembering of the account, as JSON values."""
        return {
            "version": 1,
            "limit": self.limit,
            "cap": self.cap,
            "surplus": str(self.surplus),
            "probe_at": self.probe_at,
            "probe_gap_s": self.probe_gap_s,
            "wordless": self.wordless,
        }


def _with_queue(cap: int) -> int:
    return cap + max(QUEUED_AHEAD, math.ceil(cap / AHEAD_SHARE))


def from_json(data: Mapping[str, Any] | None, now: float) -> AutoSlots:
    """What :meth:`AutoSlots.to_json` remembered; a fresh start where that is unreadable.

    A probe that lies further ahead than its gap comes from a clock that jumped: it is due after
    the gap.
    """
    if data is None or data.get("version") != 1:
        return AutoSlots()
    try:
        cap = None if data["cap"] is None else int(data["cap"])
        gap_s = min(max(float(data["probe_gap_s"]), PROBE_GAP_S), LONGEST_GAP_S)
        limit = min(max(int(data["limit"]), 1), HIGHEST)
        return AutoSlots(
            limit=limit,
            cap=None if cap is None else min(max(cap, 1), limit),
            surplus=Surplus(data["surplus"]),
            probe_gap_s=gap_s,
            probe_at=min(float(data["probe_at"]), now + gap_s),
            wordless=bool(data["wordless"]),
            rendering=limit if cap is None else cap,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return AutoSlots()
