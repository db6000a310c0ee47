"""The planner of a running batch: facts in, what to start and when to wake out.

It is a synchronous function of a snapshot. The engine gathers the facts (with ``await``), asks
here (without), then acts. So every decision can be tested as a row of a table, and nothing is
decided on facts that changed while something was awaited.

The order of the stages in :func:`decide` is the order of their worth: free what holds a slot
(polls), bring home what is paid for (downloads), fill the slots (submits), prepare the next
(uploads).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from orchestrator.model import ContentHash, JobKey

AHEAD_BYTES = 1_000_000_000
"""Files of so many bytes in all are uploaded for jobs that have no slot in sight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A `pending` job and the assets it still lacks (none: it may become `ready`)."""

    key: JobKey
    missing: tuple[ContentHash, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A `ready` job. ``visible`` stands for the ids that the vendor would show of its task: two
    submits that are alike in it must not be unanswered together, or a lost reply could not be
    told from the other's."""

    key: JobKey
    visible: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether submits may go out, decided by outages and refusals.

    ``open_at``: not before this time (a pause). ``at_once``: so many may be unanswered (1 or 2).
    ``probe``: a free question must be answered first. ``closed``: no more in this run (credit,
    credentials, ``stop_after``).
    """

    open_at: float = 0.0
    at_once: int = 2
    probe: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A snapshot of all that a decision depends on. Times are monotonic seconds.

    ``pending``, ``ready`` and ``rendered`` are windows in the order in which to take them; jobs
    that a stage is working on are not in them. ``slots_free`` is derived from rows (it may be
    negative when the limit was lowered); ``unclaimed`` submits were started but have no row yet,
    ``unanswered`` ones (those included) await their reply. ``live_tasks`` are tasks whose end
    this run waits for (overdue ones only until they were asked about once). ``doubts`` are jobs
    in doubt whose evidence is still looked for; ``next_look_at`` is when to look.
    ``look_ahead`` jobs are prepared before a slot is free for them. ``ahead_bytes`` are those of
    files that are being uploaded, or were by this run and that no submit has used yet; ``sizes``
    tells the bytes of files that pending jobs lack.
    ``knock_at``: when ends that nobody noticed may be worth a submit at a full vendor, None if
    that is not to be. ``doubtful_visible``: what the vendor would show of jobs in doubt; jobs
    alike go last, since a second doubt among them could not be told from the first.
    """

    now: float
    draining: bool = False
    gate: Gate = Gate()
    pending: Sequence[Waiting] = ()
    ready: Sequence[Ready] = ()
    rendered: Sequence[JobKey] = ()
    live_tasks: int = 0
    next_poll_at: float | None = None
    doubts: int = 0
    next_look_at: float = 0.0
    looking: bool = False
    slots_free: int = 0
    knock_at: float | None = None
    look_ahead: int = 16
    ahead_bytes: int = 0
    sizes: Mapping[ContentHash, int] = field(default_factory=dict)
    uploading: Set[ContentHash] = frozenset()
    promoting: int = 0
    unclaimed: int = 0
    unanswered: int = 0
    unanswered_visible: Set[str] = frozenset()
    doubtful_visible: Set[str] = frozenset()
    polling: int = 0
    probing: bool = False
    downloading: int = 0
    uploads_open_at: float = 0.0
    polls_open_at: float = 0.0
    downloads_open_at: float = 0.0
    max_uploads: int = 4
    max_downloads: int = 4
    max_polls: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to start now, and when to look again at the latest (None: when something happens).

    ``rest``: nothing is running and nothing can be started any more; the run ends.
    """

    uploads: tuple[ContentHash, ...] = ()
    promotes: tuple[JobKey, ...] = ()
    submits: tuple[JobKey, ...] = ()
    downloads: tuple[JobKey, ...] = ()
    polls: int = 0
    probe: bool = False
    look: bool = False
    wake_at: float | None = None
    rest: bool = False


def decide(facts: Facts) -> Decision:
    """What to start now. Pure; equal facts give equal decisions."""
    if facts.draining:
        return Decision(rest=_idle(facts))
    polls = _polls(facts)
    downloads = _downloads(facts)
    submits = _submits(facts)
    probe = _probe(facts)
    promotes, uploads = _prepare(facts, len(submits))
    look = facts.doubts > 0 and not facts.looking and facts.now >= facts.next_look_at
    started = bool(polls or downloads or submits or probe or promotes or uploads or look)
    return Decision(
        uploads=uploads,
        promotes=promotes,
        submits=submits,
        downloads=downloads,
        polls=polls,
        probe=probe,
        look=look,
        wake_at=_wake_at(facts),
        rest=not started and _idle(facts) and not _hope(facts),
    )


def _polls(facts: Facts) -> int:
    if facts.next_poll_at is None or facts.now < max(facts.next_poll_at, facts.polls_open_at):
        return 0
    return max(0, facts.max_polls - facts.polling)


def _downloads(facts: Facts) -> tuple[JobKey, ...]:
    if facts.now < facts.downloads_open_at:
        return ()
    return tuple(facts.rendered[: max(0, facts.max_downloads - facts.downloading)])


def _submits(facts: Facts) -> tuple[JobKey, ...]:
    gate = facts.gate
    if not _may_submit(facts) or gate.probe or facts.now < gate.open_at:
        return ()
    room = min(gate.at_once - facts.unanswered, facts.slots_free - facts.unclaimed)
    if room <= 0:
        return ()
    chosen: list[JobKey] = []
    alike = set(facts.unanswered_visible)
    for job in _doubtful_last(facts):
        if len(chosen) >= room:
            break
        if job.visible not in alike:
            chosen.append(job.key)
            alike.add(job.visible)
    return tuple(chosen)


def _doubtful_last(facts: Facts) -> Sequence[Ready]:
    """The ready jobs, those like a job in doubt at the end."""
    doubtful = facts.doubtful_visible
    if not doubtful:
        return facts.ready
    return sorted(facts.ready, key=lambda job: job.visible in doubtful)


def _may_submit(facts: Facts) -> bool:
    return bool(facts.ready) and not facts.gate.closed and facts.slots_free > facts.unclaimed


def _probe(facts: Facts) -> bool:
    wanted = facts.gate.probe and not facts.probing and facts.now >= facts.gate.open_at
    return wanted and _may_submit(facts)


def _prepare(facts: Facts, leaving: int) -> tuple[tuple[JobKey, ...], tuple[ContentHash, ...]]:
    """Which pending jobs become ready, and which assets to upload, within the look-ahead."""
    if facts.gate.closed:
        return (), ()
    prepared = len(facts.ready) - leaving + facts.promoting
    hands = facts.max_uploads - len(facts.uploading) if facts.now >= facts.uploads_open_at else 0
    promotes: list[JobKey] = []
    uploads: list[ContentHash] = []
    ahead_bytes, full = facts.ahead_bytes, False
    for place, job in enumerate(facts.pending[: max(0, facts.look_ahead - prepared)], prepared):
        if not job.missing:
            promotes.append(job.key)
            continue
        fresh = [x for x in job.missing if x not in facts.uploading and x not in uploads]
        more_bytes = sum(facts.sizes.get(content, 0) for content in fresh)
        next_in_line = place < max(1, facts.slots_free - leaving)
        # Nothing is uploaded past one that does not fit, or it would be overtaken for ever.
        full = full or (ahead_bytes > 0 and ahead_bytes + more_bytes > AHEAD_BYTES)
        if full and not next_in_line:
            continue
        uploads.extend(fresh[: max(0, hands - len(uploads))])
        ahead_bytes += more_bytes
    return tuple(promotes), tuple(uploads)


def _wake_at(facts: Facts) -> float | None:
    times = []
    if facts.next_poll_at is not None and facts.polling < facts.max_polls:
        times.append(max(facts.next_poll_at, facts.polls_open_at))
    if _may_submit(facts):
        times.append(facts.gate.open_at)
    if facts.knock_at is not None and facts.ready and not facts.gate.closed:
        times.append(max(facts.knock_at, facts.gate.open_at))
    if facts.rendered:
        times.append(facts.downloads_open_at)
    if facts.pending:
        times.append(facts.uploads_open_at)
    if facts.doubts and not facts.looking:
        times.append(facts.next_look_at)
    return min((at for at in times if at > facts.now), default=None)


def _idle(facts: Facts) -> bool:
    hands = facts.unanswered + facts.polling + facts.downloading + facts.promoting
    return hands == 0 and not facts.uploading and not facts.probing and not facts.looking


def _hope(facts: Facts) -> bool:
    """Something may still happen in this run without anybody's help."""
    if facts.live_tasks > 0 or facts.rendered or facts.doubts > 0:
        return True
    return not facts.gate.closed and bool(facts.ready or facts.pending)
