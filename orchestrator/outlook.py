"""What a plan may expect: costs, slots and render times that the account's runs have found out.

Where nothing is known yet, the vendor's usual figures are assumed; a plan says which it was.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.core.budget import Tariff
from orchestrator.core.hazard import ENOUGH, FEWEST, Learner, Sample, kinds_of
from orchestrator.core.slots import AutoSlots
from orchestrator.engine.flow import Flow
from orchestrator.engine.ledger import learned_tariff
from orchestrator.model import AccountKey, Limits
from orchestrator.report.views import Pace, pace_of
from orchestrator.store.base import AppStore
from orchestrator.wishes import Submits

RENDER_S = 160.0
"""How long a video renders, before anything is learned (docs/vendor.md: 70 to 270 s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is remembered of an account; a fresh one knows nothing.

    ``tariff``: what jobs cost. ``slots``: how many tasks it may have. ``learner``: how long they
    take.
    """

    tariff: Tariff = field(default_factory=Tariff)
    slots: AutoSlots = field(default_factory=AutoSlots)
    learner: Learner = field(default_factory=Learner)


async def memory_of(store: AppStore, account: AccountKey, limits: Limits) -> Memory:
    """What the account's runs have left in the store."""
    flow = Flow(replace(limits, in_flight=None), random.Random())
    await flow.recall(store, account, time.time())
    tariff = await learned_tariff(store, account)
    return Memory(tariff=tariff, slots=flow.slots, learner=flow.learner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renders:
    """How long the videos of a plan render, on average, and from how many videos that is learned.

    ``videos`` is 0 unless it is learned for all of them.
    """

    mean_s: float
    videos: int = 0


def expected_renders(submits: Submits, learner: Learner, assumed_s: float) -> Renders:
    """The mean over all submits; kinds of which nothing is known count as ``assumed_s``."""
    kinds = Counter(kinds_of(w.spec.mode, w.audio_s) for w in submits)
    if not kinds:
        return Renders(mean_s=assumed_s)
    found = {kind: learner.durations(kind) for kind in kinds}
    total_s = sum(
        count * (assumed_s if (known := found[kind]) is None else known.mean_s)
        for kind, count in kinds.items()
    )
    complete = None not in found.values()
    videos = _videos_behind(kinds, learner.history()) if complete else 0
    return Renders(mean_s=total_s / kinds.total(), videos=videos)


def _videos_behind(
    kinds: Iterable[tuple[str, ...]], history: Mapping[str, Sequence[Sample]]
) -> int:
    """From how many videos the durations of these kinds are learned, each counted once.

    A kind with few samples is helped by its coarser one, which holds them too.
    """
    counts = {name: len(samples) for name, samples in history.items()}
    used = {names: _widest(names, counts) for names in kinds}
    widest = {names[at] for names, at in used.items()}
    inside = {names[at] for names, at in used.items() if widest.intersection(names[at + 1 :])}
    return sum(counts.get(name, 0) for name in widest - inside)


def _widest(names: tuple[str, ...], counts: Mapping[str, int]) -> int:
    """Which of a job's kinds (the finest first) is the coarsest that its duration comes from."""
    for at, name in enumerate(names):
        own = counts.get(name, 0)
        coarser = counts.get(names[at + 1], 0) if at + 1 < len(names) else 0
        if own and max(own, coarser) >= FEWEST:
            return at + 1 if own < ENOUGH and coarser else at
    return len(names) - 1


def least_s(submits: int, uploads: int, upload_bytes: int, limits: Limits) -> float:
    """Seconds that the limits alone take: every video is asked for and asked about, every upload
    needs two calls beside its bytes."""
    requests = 2 * submits + 2 * uploads
    return max(
        submits * limits.submit_rate.interval_s,
        requests * limits.request_rate.interval_s,
        upload_bytes / (limits.upload_bytes_per_s or math.inf),
    )


def expected_pace(
    submits: Submits, limits: Limits, memory: Memory, time_scale: float, at_least_s: float = 0.0
) -> Pace:
    """How long the videos would take, but no less than ``at_least_s``. ``time_scale``: of a
    rehearsal, in which all that is merely assumed goes so many times faster; what was learned there
    is in its own seconds."""
    renders = expected_renders(submits, memory.learner, RENDER_S / time_scale)
    pace = pace_of(
        len(submits),
        interval_s=limits.submit_rate.interval_s,
        in_flight=_at_once(limits, memory.slots),
        render_s=renders.mean_s,
    )
    time_s = max(pace.time_s or 0.0, at_least_s)
    return replace(pace, learned=renders.videos > 0, videos=renders.videos, time_s=time_s)


def _at_once(limits: Limits, slots: AutoSlots) -> int:
    """So many render at once: the manifest's number, else the cap that was found, else what is
    believed so far."""
    known = (limits.in_flight, slots.cap)
    return next((count for count in known if count is not None), slots.limit)
