"""When a task is likely to end: learned from the tasks before it, and where to look for the end.

A finished task that nobody has noticed is an idle slot; a question costs one request. With
h(t) the chance per second that a task of age t ends just now, asking every w seconds costs 1/w
and leaves an end unnoticed for w/2 on average. The sum of both, weighed, is smallest where w is
proportional to 1/sqrt(h(t)). So G(t), the integral of sqrt(h/2), is the clock of asking: the
questions of a task stand at even distances on it, close together where ends are likely and far
apart where they are not. Asked n times in its life, a task's end is unnoticed for about
``strain_s / n`` seconds (``strain_s``: the square of the mean of G at the end). Nothing that
only asks about single tasks can do better; ``docs/flow-control.md`` has the numbers.

Knows no clock. Ages are seconds since the vendor accepted the task.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.model import Mode

FEWEST = 3
"""Nothing is learned from fewer samples."""
ENOUGH = 12
"""A kind with so many samples needs no help from coarser ones."""
MOST = 200
"""So many samples of a kind are kept."""
HALF_LIFE = 60
"""A sample weighs half as much as the one that is so many samples younger."""
USUAL_SPREAD = 0.35
USUAL_WEIGHT = 2.0
"""What is believed of the logarithm's spread beforehand, and how many samples that is worth."""
LEAST_SPREAD = 0.02
TAIL_SHARE = 0.01
TAIL_SPREAD = 0.5
"""One task in a hundred may outlast all that was seen."""
CELLS = 128
_ROOT_2 = math.sqrt(2)
LOOSE = 3.0
"""Bounds that differ by more than this factor (and some polls) are far apart."""
EARLY = 0.01
"""The quantile before which a task is not asked about for the sake of the staleness bound."""
TAIL_GROWTH = 0.25
"""Beyond the longest duration seen, each wait is at least this share of the excess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One task ended when it was older than ``low_s`` (>= 0) and not older than ``high_s``."""

    low_s: float
    high_s: float

    @property
    def middle_s(self) -> float:
        """The best single guess."""
        return (self.low_s + self.high_s) / 2


def kinds_of(mode: Mode, audio_s: float | None) -> tuple[str, ...]:
    """Names of the kinds of job that a job belongs to, the finest first.

    Audio lengths (None: not known) that differ by less than a factor of two share a kind.
    """
    coarse = (str(mode), "any")
    if audio_s is None or audio_s <= 0:
        return coarse
    step = max(0, math.floor(math.log2(audio_s)))
    return (f"{mode} {2**step}-{2 ** (step + 1)}s", *coarse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long tasks of one kind take, as tables over ascending ages.

    ``wear``: minus the logarithm of the chance to be unfinished still. ``asking``: the clock G of
    the module's docstring. ``asking_mean``: its mean at the end of a task.
    """

    ages_s: tuple[float, ...]
    wear: tuple[float, ...]
    asking: tuple[float, ...]
    asking_mean: float
    mean_s: float
    longest_s: float
    count: int

    @property
    def strain_s(self) -> float:
        """Questions per task times the mean time an end is unnoticed: the product is given."""
        return self.asking_mean**2

    def unfinished(self, age_s: float) -> float:
        """The chance that a task is not finished at this age."""
        return math.exp(-_read(self.ages_s, self.wear, age_s))

    def ends(self, from_s: float, to_s: float) -> float:
        """Expected ends between two ages of a task that was unfinished at the first."""
        return _read(self.ages_s, self.wear, to_s) - _read(self.ages_s, self.wear, from_s)

    def quantile_s(self, share: float) -> float:
        """The age at which this share (0 < share < 1) of the tasks has ended."""
        return _read(self.wear, self.ages_s, -math.log1p(-share))

    def within(self, sample: Sample) -> Sample:
        """Where between its bounds a task has probably ended: narrower bounds, which half of all
        such tasks end between."""
        left = [max(self.unfinished(age), 1e-12) for age in (sample.low_s, sample.high_s)]
        quarter = (left[0] - left[1]) / 4
        shares = (1 - left[0] + quarter, 1 - left[1] - quarter)
        ages = (self.quantile_s(share) for share in shares)
        low_s, high_s = (min(max(age, sample.low_s), sample.high_s) for age in ages)
        return Sample(low_s=low_s, high_s=high_s)

    def next_age_s(self, known_s: float, polls_per_task: float) -> float:
        """The age at which to ask next about a task that was unfinished at age ``known_s``.

        ``polls_per_task`` (> 0.5): the questions that a task may cost in its life, on average.
        """
        step = self.asking_mean / max(polls_per_task - 0.5, 0.5)
        mark = _read(self.ages_s, self.asking, known_s) + step
        age = _read(self.asking, self.ages_s, mark)
        return max(age, known_s + TAIL_GROWTH * (known_s - self.longest_s))


def _read(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """The table at ``x``: straight lines between its points, the outermost beyond them."""
    at = min(max(bisect_right(xs, x), 1), len(xs) - 1)
    x0, x1, y0, y1 = xs[at - 1], xs[at], ys[at - 1], ys[at]
    if x1 <= x0:
        return y1
    return max(0.0, y0 + (y1 - y0) * (x - x0) / (x1 - x0))


def lesson(sample: Sample, known: Durations | None, slack_s: float) -> Sample | None:
    """What a task teaches that ended between two ages; None if nothing.

    Bounds far apart (``slack_s``: by more than so many seconds) teach nothing: nobody could ask for
    a while. But one that ended before the first question, or earlier than most, was not asked about
    because it was not expected to end. Without those early ends would seem rarer than they are, and
    be looked for still later.
    """
    if sample.high_s <= LOOSE * sample.low_s + slack_s:
        return sample
    if known is None or (sample.low_s > 0 and sample.high_s > known.mean_s):
        return None
    return known.within(sample)


def learn(samples: Sequence[Sample], coarser: Sequence[Sample] = ()) -> Durations | None:
    """The durations behind ``samples``, oldest first; None if there are too few to say anything.

    Where a kind has less than ENOUGH samples, its ``coarser`` kind, which has them too, makes up
    for the missing ones.
    """
    weighed = _weighed(samples, 1.0)
    if coarser and len(samples) < ENOUGH:
        share = (ENOUGH - len(samples)) / len(coarser)
        weighed = weighed + _weighed(coarser, min(1.0, share))
    if max(len(samples), len(coarser)) < FEWEST or not weighed:
        return None
    longest_s = max(sample.high_s for sample, _ in weighed)
    total = sum(weight for _, weight in weighed)
    return _tables(
        _shape(weighed, _bell(weighed), longest_s),
        mean_s=sum(weight * sample.middle_s for sample, weight in weighed) / total,
        longest_s=longest_s,
        count=len(samples),
    )


def _weighed(samples: Sequence[Sample], share: float) -> list[tuple[Sample, float]]:
    ages = range(len(samples) - 1, -1, -1)
    return [
        (sample, share * 0.5 ** (age / HALF_LIFE))
        for sample, age in zip(samples, ages, strict=True)
        if sample.high_s > 0
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bell:
    """Middle and spread of the logarithms, and how many equal samples they are worth."""

    middle: float
    spread: float
    worth: float


def _log(sample: Sample) -> float:
    return math.log(max(sample.middle_s, 1e-3))


def _bell(weighed: Sequence[tuple[Sample, float]]) -> _Bell:
    total = sum(w for _, w in weighed)
    worth = total**2 / sum(w * w for _, w in weighed)
    logs = [_log(s) for s, _ in weighed]
    middle = sum(w * x for (_, w), x in zip(weighed, logs, strict=True)) / total
    square = sum(
        w * ((x - middle) ** 2 - _blur(s)) for (s, w), x in zip(weighed, logs, strict=True)
    )
    square /= total
    believed = USUAL_WEIGHT * USUAL_SPREAD**2 + worth * max(square, 0.0)
    spread = math.sqrt(believed / (USUAL_WEIGHT + worth) * (1 + 1 / worth))
    return _Bell(middle=middle, spread=max(spread, LEAST_SPREAD), worth=worth)


def _blur(sample: Sample) -> float:
    """What the width of the interval adds to the square spread of the middles (Sheppard)."""
    relative = (sample.high_s - sample.low_s) / max(sample.middle_s, 1e-3)
    return min(relative, 1.0) ** 2 / 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Small bells of one width around centres with weights (logarithms of seconds), and a tail."""

    centres: tuple[tuple[float, float], ...]
    width: float
    tail_middle: float

    def beyond(self, x: float) -> float:
        """The chance that a duration's logarithm is greater than ``x``."""
        # A hundred times for each learning, over some twenty bells: no function of its own.
        erfc, scale = math.erfc, 1 / (self.width * _ROOT_2)
        body = sum([w * erfc((x - c) * scale) for c, w in self.centres])
        tail = erfc((x - self.tail_middle) / (TAIL_SPREAD * _ROOT_2))
        return 0.5 * ((1 - TAIL_SHARE) * body + TAIL_SHARE * tail)


def _shape(weighed: Sequence[tuple[Sample, float]], bell: _Bell, longest_s: float) -> _Shape:
    """The bells are drawn towards the middle so far that the whole keeps the known spread."""
    relative = min(0.9, 1.06 * bell.worth**-0.2)
    width = relative * bell.spread
    drawn = math.sqrt(1 - relative**2)
    merged: dict[int, float] = {}
    for sample, weight in weighed:
        centre = bell.middle + drawn * (_log(sample) - bell.middle)
        cell = round(3 * centre / width)
        merged[cell] = merged.get(cell, 0.0) + weight
    total = sum(merged.values())
    centres = tuple((cell * width / 3, weight / total) for cell, weight in merged.items())
    return _Shape(centres=centres, width=width, tail_middle=math.log(longest_s) + TAIL_SPREAD)


def _tables(shape: _Shape, *, mean_s: float, longest_s: float, count: int) -> Durations:
    low = min(centre for centre, _ in shape.centres) - 4 * shape.width
    high = shape.tail_middle + 3 * TAIL_SPREAD
    ages, wear, asking, mean = [0.0], [0.0], [0.0], 0.0
    left_before = 1.0
    for cell in range(CELLS + 1):
        age = math.exp(low + (high - low) * cell / CELLS)
        left = shape.beyond(math.log(age))
        ended = max(0.0, math.log(left_before / left))
        step = math.sqrt(ended * (age - ages[-1]) / 2)
        mean += step * (left + left_before) / 2
        ages.append(age)
        wear.append(wear[-1] + ended)
        asking.append(asking[-1] + step)
        left_before = left
    return Durations(
        ages_s=tuple(ages),
        wear=tuple(wear),
        asking=tuple(asking),
        asking_mean=mean,
        mean_s=mean_s,
        longest_s=longest_s,
        count=count,
    )


class Learner:
    """Samples by kind, and the durations learned from them, made anew when enough are new.

    ``history``: samples by the names of :func:`kinds_of`, oldest first; a sample belongs to
    every kind of its job. Learning costs a millisecond or two and is put off until somebody
    asks; at most one sample in five makes it happen again.
    """

    def __init__(self, history: Mapping[str, Iterable[Sample]] | None = None) -> None:
        self._samples: dict[str, deque[Sample]] = {}
        self._learned: dict[str, tuple[Durations | None, int]] = {}
        self._seen: dict[str, int] = {}
        for kind, samples in (history or {}).items():
            for sample in samples:
                self._add(kind, sample)

    def seen(self, kinds: Sequence[str], sample: Sample) -> None:
        """One more task of these kinds has ended."""
        for kind in kinds:
            self._add(kind, sample)

    def history(self) -> dict[str, tuple[Sample, ...]]:
        """The samples kept of each kind, oldest first: what another learner may begin with."""
        return {kind: tuple(samples) for kind, samples in self._samples.items()}

    def _add(self, kind: str, sample: Sample) -> None:
        self._samples.setdefault(kind, deque(maxlen=MOST)).append(sample)
        self._seen[kind] = self._seen.get(kind, 0) + 1

    def durations(self, kinds: Sequence[str]) -> Durations | None:
        """What is known of tasks of these kinds (the finest first); None before anything is."""
        for at, kind in enumerate(kinds):
            if kind in self._samples:
                coarser = kinds[at + 1] if at + 1 < len(kinds) else ""
                found = self._known(kind, coarser)
                if found is not None:
                    return found
        return None

    def _known(self, kind: str, coarser: str) -> Durations | None:
        seen = self._seen[kind]
        learned = self._learned.get(kind)
        if learned is not None and seen - learned[1] <= min(seen, MOST) // 5:
            return learned[0]
        found = learn(self._samples[kind], self._samples.get(coarser, ()))
        self._learned[kind] = (found, seen)
        return found


MOST_POLLS = 16.0
"""A task is asked about so often at the most, on average: half of what every 5 s would cost."""
KNOCK_POLLS = 8.0
"""The same while knocks are taken (``core.slots``), which find most ends first."""
IDLE_POLLS = 4.0
"""The same where no job waits for a slot."""
LEAST_WAIT = 0.25
"""At least this share of a wait is kept, however long a turn takes."""
FEWEST_POLLS = 1.0
POLL_SHARE = 0.95
LEAST_SHARE = 0.25
"""Polls may have at least this share of the request rate, and at most POLL_SHARE of it."""
STALE_LOOKS = 3.0
STALE_SHARE = 0.2
STALE_STEPS = 2.0
"""The staleness bound: so many poll intervals, or this share of the mean duration, or so many
even steps between the polls that a task may cost; the longest of them."""


@dataclass(slots=True)
class Spare:
    """How much of the request rate other calls leave to the polls.

    ``per_s``: the request rate. Other calls are averaged over about ``window_s`` (> 0).
    """

    per_s: float
    window_s: float = 10.0
    _busy_per_s: float = field(default=0.0, init=False)
    _at: float | None = field(default=None, init=False)

    def other_call(self, now: float) -> None:
        """A submit, or a call of an upload, was sent."""
        self._busy_per_s = self._busy(now) + 1 / self.window_s
        self._at = now

    def for_polls_per_s(self, now: float) -> float:
        """Polls per second that fit beside the other calls."""
        left = POLL_SHARE * self.per_s - self._busy(now)
        return max(left, LEAST_SHARE * self.per_s)

    def _busy(self, now: float) -> float:
        if self._at is None:
            return 0.0
        return self._busy_per_s * math.exp(-max(0.0, now - self._at) / self.window_s)


def polls_per_task(
    durations: Durations, *, polls_per_s: float, tasks: int, most: float = MOST_POLLS
) -> float:
    """Polls that each task may cost in its life, with ``tasks`` (>= 0) of them in flight."""
    fits = polls_per_s * durations.mean_s / max(1, tasks)
    return min(max(fits, FEWEST_POLLS), most)


def poll_wait_s(
    durations: Durations,
    *,
    age_s: float,
    polls: float,
    interval_s: float,
    turn_wait_s: float = 0.0,
) -> float:
    """Seconds (>= 0) until the next question about a task not known to have ended at ``age_s``.

    ``polls``: see :func:`polls_per_task`; ``interval_s``: the poll interval of the settings.
    ``turn_wait_s``: how long a question that is due waits for its turn and its answer (an
    average); it is due so much earlier. No wait is longer than the staleness bound, reckoned
    from the early quantile before that.
    """
    next_s = durations.next_age_s(age_s, polls)
    even_s = durations.mean_s / polls
    stale_s = max(STALE_LOOKS * interval_s, STALE_SHARE * durations.mean_s, STALE_STEPS * even_s)
    latest_s = max(age_s, durations.quantile_s(EARLY)) + stale_s
    wait_s = min(next_s, latest_s) - age_s
    return max(wait_s - turn_wait_s, wait_s * LEAST_WAIT)


MOST_COUNTED = 64
"""Sums over tasks stop here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Ends that nobody can have noticed: how many are expected, and how many more per second."""

    expected: float
    per_s: float

    def wait_s(self, needed: float) -> float | None:
        """Seconds (>= 0) until ``needed`` are expected, as far as can be seen; None if never.
        Look again then: the rate changes."""
        if self.expected >= needed:
            return 0.0
        return (needed - self.expected) / self.per_s if self.per_s > 0 else None


def expected_ends(
    tasks: Sequence[tuple[Durations, float]], *, since_s: float, ahead_s: float
) -> Ends:
    """Ends among the tasks of a full vendor since it was known to be full, ``since_s`` ago.

    ``tasks``: durations and age now of those not known to have ended; of more than MOST_COUNTED
    the first stand for all. ``ahead_s`` (> 0): the rate is that of the coming seconds, so many.
    """
    counted = tasks[:MOST_COUNTED]
    scale = len(tasks) / max(1, len(counted))
    past = sum(d.ends(max(0.0, age - since_s), age) for d, age in counted)
    coming = sum(d.ends(age, age + ahead_s) for d, age in counted)
    return Ends(expected=scale * past, per_s=scale * coming / ahead_s)
