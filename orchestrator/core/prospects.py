"""What happens next with a job, when, and what an operator can type. Pure; part of its story."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import assert_never

from orchestrator.core.diff import KEPT_BY_VENDOR_S
from orchestrator.core.evidence import MOST_CANDIDATES, NOTHING, Looked, evidence
from orchestrator.core.intervene import Effect, Facts, Ruling, retry
from orchestrator.core.reconcile import may_resubmit
from orchestrator.core.spans import ahead, moment
from orchestrator.model import Attempt, Job, OnDoubt, Settings, State, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a story needs besides the job's own rows.

    ``name`` is BATCH/ID. ``now`` is Unix seconds; ``zone`` None is the machine's own. ``settings``
    are the manifest's, None if it cannot be read. ``time_scale``: its times pass so many times
    faster (1 but for a rehearsal); None if it is not known how fast, so that no end of a wait is
    told. ``flags`` go with every command (" --emulator --state DIR" or "").
    """

    name: str
    manifest: str
    now: float
    zone: tzinfo | None = None
    settings: Settings | None = None
    rehearsal: bool = False
    time_scale: float | None = 1.0
    running: bool = False
    looked: Looked = NOTHING
    flags: str = ""


def next_sentences(job: Job, attempts: Sequence[Attempt], facts: Facts, scene: Scene) -> list[str]:
    """What happens next, and when."""
    match job.state:
        case State.PENDING | State.READY:
            return [_waiting(job, scene)]
        case State.SUBMITTING if scene.running:
            return ["The run at work waits for the answer, five minutes at the most."]
        case State.SUBMITTING:
            return [
                "The run that sent it has ended. The next run puts it in doubt and looks for its "
                "task; it is not simply sent again."
            ]
        case State.SUBMITTED:
            return _rendering(job, scene)
        case State.RENDERED:
            return [f"{_who(scene)} downloads the video, checks it and gives it its final name."]
        case State.IN_DOUBT if job.task_id is not None:
            return ["The answer came late, and names its task: the next run goes on with it."]
        case State.IN_DOUBT:
            began = _began(job, attempts)
            told = evidence(scene.looked, began, scene)
            return [*told, *_search(began, scene)]
        case State.DONE:
            return [_done(job, facts, scene)]
        case State.FAILED | State.CANCELLED:
            return _resting(job, attempts, facts, scene)
        case _:
            assert_never(job.state)


def _who(scene: Scene) -> str:
    return "The run at work" if scene.running else "The next run"


def _waiting(job: Job, scene: Scene) -> str:
    if job.orphan:
        return "Nothing: it left the manifest, and no run begins what is not in it."
    if not job.selected:
        return (
            "The last run left it out (--only, --limit or --sample); one that takes it in goes on "
            "with it."
        )
    does = (
        "uploads what is missing, then submits it" if job.state is State.PENDING else "submits it"
    )
    return f"{_who(scene)} {does} as soon as it is its turn and the account has a slot free."


def _rendering(job: Job, scene: Scene) -> list[str]:
    asks = "at most every five minutes" if job.overdue else "every few seconds"
    if scene.running:
        lines = [f"The run at work asks the vendor about it {asks}, which costs nothing."]
    else:
        lines = ["Nobody asks about it now. The next run does so first; that costs nothing."]
    settings, scale = scene.settings, scene.time_scale
    if settings is None or scale is None or job.accepted_at is None or job.overdue:
        return lines
    end = job.accepted_at + settings.task_deadline_s / scale
    lines.append(
        f"If it is not finished by {_when(end, scene)} (task_deadline), it counts as overdue, "
        "gives its slot free and is asked about rarely."
    )
    return lines


def _done(job: Job, facts: Facts, scene: Scene) -> str:
    if facts.file_there:
        return "Nothing: it is done, and is not made again as long as its manifest entry stays."
    ruling = retry(job, facts, scene.now)
    if ruling.effect is not Effect.CHANGE or job.accepted_at is None:
        return f"Nothing by itself: {ruling.words}."
    end = job.accepted_at + KEPT_BY_VENDOR_S
    return (
        "The next run, or 'retry', fetches the video again for nothing; the vendor keeps it until "
        f"about {_when(end, scene)}."
    )


def _resting(job: Job, attempts: Sequence[Attempt], facts: Facts, scene: Scene) -> list[str]:
    lines = []
    if job.state is State.CANCELLED and any(_goes_on(a) for a in attempts if a.key == job.attempt):
        lines.append(
            "The vendor could not be told: its task goes on and is charged. Runs watch it until "
            "its slot is free."
        )
    ruling = retry(job, facts, scene.now)
    if ruling.effect is Effect.CHANGE:
        lines.append(f"It stays so until you type 'retry'. Then: {_words(ruling)}.")
    else:
        lines.append(f"It stays so: {ruling.words}.")
    return lines


def _goes_on(attempt: Attempt) -> bool:
    return attempt.task_id is not None and attempt.ended_at is None


def _words(ruling: Ruling) -> str:
    return f"{ruling.words} ({ruling.warning})" if ruling.warning else ruling.words


def _began(job: Job, attempts: Sequence[Attempt]) -> float | None:
    """When the job's current attempt began."""
    return next((a.started_at for a in attempts if a.key == job.attempt), None)


def _search(began: float | None, scene: Scene) -> list[str]:
    """How long its task is looked for, and what comes then."""
    settings = scene.settings
    if settings is None or began is None:
        return [
            "How long its task is looked for is not known: the manifest cannot be read. It stays "
            "in doubt until you settle it."
        ]
    looks = "looks for its task in webhook notices and the credit log"
    if scene.time_scale is None:
        return [f"{_who(scene)} {looks} until doubt_horizon ends (scaled, in a rehearsal)."]
    end = began + settings.doubt_horizon_s / scene.time_scale
    if scene.now < end:
        first = f"{_who(scene)} {looks} until {_when(end, scene)} (doubt_horizon)."
        return [first, _afterwards(settings)]
    over = f"{_who(scene)} looks once more; its doubt_horizon ended {_when(end, scene)}."
    return [over, _now_over(began, settings, scene)]


def _afterwards(settings: Settings) -> str:
    if settings.on_doubt is OnDoubt.HOLD:
        return "Then it stays in doubt until you settle it (on_doubt: hold)."
    if settings.doubt_horizon_s < settings.task_deadline_s:
        return (
            "Then it stays in doubt until you settle it: on_doubt: resubmit does nothing while "
            "doubt_horizon is shorter than task_deadline."
        )
    return (
        "Then it is submitted anew (on_doubt: resubmit), if the whole credit log, read after that, "
        "holds no task that could be its own."
    )


def _now_over(began: float, settings: Settings, scene: Scene) -> str:
    looked = scene.looked
    if settings.on_doubt is OnDoubt.HOLD:
        return "It stays in doubt until you settle it (on_doubt: hold)."
    if looked.candidates:
        return "It is not submitted anew, because a task exists that could be its own: settle it."
    allowed = may_resubmit(
        on_doubt=settings.on_doubt,
        started_at=began,
        horizon_s=settings.doubt_horizon_s / (scene.time_scale or 1.0),
        deadline_s=settings.task_deadline_s / (scene.time_scale or 1.0),
        log_read_at=scene.now,
        candidates=0,
    )
    if allowed:
        return (
            f"{_who(scene)} reads the credit log again and, if nothing is found, submits it anew."
        )
    return _afterwards(settings)


def _when(at: float, scene: Scene) -> str:
    return f"{moment(at, scene.zone)}, {ahead(at - scene.now)}"


def commands(job: Job, facts: Facts, scene: Scene) -> list[tuple[str, str]]:
    """What can be typed now, with what it does; most useful first."""
    match job.state:
        case State.IN_DOUBT if job.task_id is None:
            return _resolve(scene, drop=True)
        case State.FAILED | State.CANCELLED if facts.doubt_open:
            return _resolve(scene, drop=False)
        case State.FAILED | State.CANCELLED | State.DONE:
            ruling = retry(job, facts, scene.now)
            if ruling.effect is not Effect.CHANGE:
                return []
            does = "brings it back" if job.state is not State.DONE else "fetches the video again"
            return [(f"orchestrator retry {shlex.quote(scene.name)}{scene.flags}", does)]
        case _ if scene.running:
            return [(_status(scene), "shows the run at work")]
        case _:
            return [(_run(scene), "goes on with it")]


def _status(scene: Scene) -> str:
    batch = scene.name.partition("/")[0]
    return f"orchestrator status {shlex.quote(batch)} --watch{scene.flags}"


def _run(scene: Scene) -> str:
    return f"orchestrator run {shlex.quote(scene.manifest)}{scene.flags}"


def _resolve(scene: Scene, *, drop: bool) -> list[tuple[str, str]]:
    command = f"orchestrator resolve {shlex.quote(scene.name)}"
    named = [scene.looked.certain or scene.looked.notice, *scene.looked.candidates]
    tasks = list(dict.fromkeys(t for t in named if t is not None))[:MOST_CANDIDATES]
    adopt = "you know that this is its task: nothing is paid again"
    lines = [
        (f"{command} --task-id {shlex.quote(t)}{scene.flags}", adopt)
        for t in tasks or [TaskId("TASK_ID")]
    ]
    anew = "you are sure that no task was made; if one was, you pay twice"
    lines.append((f"{command} --resubmit{scene.flags}", anew))
    if drop:
        lines.append((f"{command} --drop{scene.flags}", "gives the job up"))
    return lines
