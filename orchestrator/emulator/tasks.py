"""The life of a task as arithmetic: when it starts, when it ends, what it is at a given time.

A task's whole future is settled when it is accepted: render times are drawn then, and slots
serve in order of arrival. So the state of a task is a function of the wall clock, goes on while
the emulator is down, and asking for it costs nothing. Pure: no clock, file or socket.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.emulator.config import EmulatorConfig

CHARACTERS_PER_SECOND = 15.0
CREDIT_SECONDS = 30.0
CREDIT_CHARACTERS = 400
AVATAR2_CREDITS = 4.0


@dataclass(slots=True, kw_only=True)
class Task:
    """One accepted submit. Times are wall clock, in real (scaled) seconds.

    ``error`` None with ``failed`` means a failure without a text. ``fail_word`` is the status
    word of the failure. ``settled``: its end has been booked (ledger, saved avatar).
    ``notified``: its webhook has been delivered or given up.
    """

    task_id: str
    number: int
    uid: str
    body: Mapping[str, Any]
    submitted_at: float
    start_at: float
    end_at: float
    failed: bool
    error: str | None
    fail_word: str
    cost: float
    job: str
    identity: str
    content: Mapping[str, Any]
    notice_uuid: str | None
    settled: bool = False
    notified: bool = False
    end_told: bool = field(default=False)
    asking: int = field(default=0)
    variant: int = field(default=0)

    @property
    def text(self) -> str:
        """What is spoken, where it is text; empty otherwise."""
        return str(self.body.get("ttsText") or "")


def status_at(task: Task, now: float, init_s: float) -> str:
    """``init``, ``running``, ``success`` or the task's word for failure.

    ``init_s``: how long a task that has its slot still says ``init``; at most a tenth of its
    render time.
    """
    if now >= task.end_at:
        return task.fail_word if task.failed else "success"
    init_end = task.start_at + min(init_s, (task.end_at - task.start_at) / 10)
    return "init" if now < init_end else "running"


class Slots:
    """A fixed number of renderers that take tasks in order of arrival."""

    def __init__(self, count: int) -> None:
        self._free_at = [-math.inf] * count

    def place(self, now: float, duration_s: float) -> tuple[float, float]:
        """Take the slot that is free first; when the task starts and ends."""
        start = max(now, self._free_at[0])
        end = start + duration_s
        heapq.heapreplace(self._free_at, end)
        return start, end

    def replay(self, end_at: float) -> None:
        """Put back a task whose times are known, in order of acceptance."""
        heapq.heapreplace(self._free_at, end_at)


def render_time_s(config: EmulatorConfig, number: int) -> float:
    """Seconds (scaled) that task ``number`` renders: the same for the same seed and number."""
    match config.render:
        case "zero":
            return 0.0
        case "constant":
            return config.scaled(config.render_mean_s)
        case "lognormal":
            dice = random.Random(f"{config.seed}:render:{number}")
            mu = math.log(config.render_mean_s) - config.render_sigma**2 / 2
            drawn = dice.lognormvariate(mu, config.render_sigma)
            clipped = min(max(drawn, config.render_min_s), config.render_max_s)
            return config.scaled(clipped)


def cost_credits(mode: str, *, text: str | None, audio_s: float | None) -> float:
    """What a task costs: avatar2 a flat 4; avatar1 one per started 30 s or 400 characters."""
    if mode != "0":
        return AVATAR2_CREDITS
    if text is not None:
        return float(max(1, math.ceil(len(text) / CREDIT_CHARACTERS)))
    return float(max(1, math.ceil((audio_s or 0.0) / CREDIT_SECONDS)))


def speech_s(text: str, speed: float) -> float:
    """How long the spoken text lasts: 15 characters a second, at least one second."""
    return max(1.0, len(text) / CHARACTERS_PER_SECOND / speed)


class Timeline:
    """Tasks that have not been booked as ended, by their end."""

    def __init__(self) -> None:
        self._ends: list[tuple[float, int, Task]] = []

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, task: Task) -> None:
        """A task that will end."""
        heapq.heappush(self._ends, (task.end_at, task.number, task))

    def next_end(self) -> float | None:
        """When the next task ends; None if none is open."""
        return self._ends[0][0] if self._ends else None

    def pop_due(self, now: float) -> list[Task]:
        """Remove and return every task that has ended, earliest end first."""
        due = []
        while self._ends and self._ends[0][0] <= now:
            due.append(heapq.heappop(self._ends)[2])
        return due
