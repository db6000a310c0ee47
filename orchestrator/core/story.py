"""The history of a job in sentences: what is known, on what evidence, what happens next and when.

Pure: (job, attempts, stored events, scene) in, a :class:`Story` out. ``orchestrator why`` prints
it. Times are shown in the scene's zone, with their age.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import assert_never

from orchestrator.core import prospects
from orchestrator.core.intervene import Facts, Happened
from orchestrator.core.prospects import Scene
from orchestrator.core.spans import age, credits, moment
from orchestrator.core.spans import words_of_bytes as size
from orchestrator.model import Attempt, Event, EventKind, Job, State, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event as a sentence."""

    at: float
    kind: EventKind
    attempt: int | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A command to type, and what it does."""

    command: str
    does: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that there is to say about a job. Every text is one line, without a full stop in
    ``history``; the others are whole sentences."""

    headline: str
    known: tuple[str, ...]
    history: tuple[Told, ...]
    attempts: tuple[str, ...]
    next: tuple[str, ...]
    commands: tuple[Typed, ...] = field(default=())


def tell(
    job: Job,
    attempts: Sequence[Attempt],
    events: Sequence[Happened],
    facts: Facts,
    scene: Scene,
) -> Story:
    """The whole story."""
    numbers = {attempt.key: attempt.number for attempt in attempts}
    return Story(
        headline=f"{scene.name} {_standing(job, facts)}{_since(events, scene)}",
        known=tuple(_known(job, facts, scene)),
        history=tuple(
            Told(
                at=h.event.at,
                kind=h.event.kind,
                attempt=None if h.attempt is None else numbers.get(h.attempt),
                sentence=sentence(h.event),
            )
            for h in events
        ),
        attempts=tuple(_attempt(a, job, events, scene) for a in attempts),
        next=tuple(prospects.next_sentences(job, attempts, facts, scene)),
        commands=tuple(Typed(command=c, does=d) for c, d in prospects.commands(job, facts, scene)),
    )


EVENT_WORDS: Mapping[EventKind, str] = MappingProxyType(
    {
        EventKind.ASSETS_LIVE: "everything it needs is at the vendor",
        EventKind.UPLOAD_FAILED: "a file could not be uploaded",
        EventKind.FILES_EXPIRED: "the vendor no longer knew one of its files",
        EventKind.SUBMIT_INTENT: "began to submit it: the paid request was about to leave",
        EventKind.SUBMIT_ACCEPTED: "the vendor accepted it",
        EventKind.SUBMIT_REFUSED: "the vendor refused it: no task was made, nothing was paid",
        EventKind.SUBMIT_POSTPONED: "not accepted, for a reason that is not the job's: no task was "
        "made, nothing was paid",
        EventKind.SUBMIT_FILE_UNKNOWN: "refused because the vendor did not know a file of it: no "
        "task was made, nothing was paid",
        EventKind.SUBMIT_UNKNOWN: "nobody knows whether the vendor made a task",
        EventKind.SUBMIT_INTERRUPTED: "the program ended between the paid request and its answer: "
        "nobody knows whether the vendor made a task",
        EventKind.TASK_OVERDUE: "the vendor had not finished it by task_deadline: it holds no "
        "slot any more",
        EventKind.TASK_SUCCEEDED: "the vendor finished it",
        EventKind.TASK_FAILED: "the vendor could not render it",
        EventKind.TASK_LOST: "the vendor has no video for it",
        EventKind.RENDER_AGAIN: "the vendor could not render it, and retry.renders allows another "
        "submit",
        EventKind.DOWNLOADED: "the video was downloaded, found whole and given its final name",
        EventKind.DOWNLOAD_FAILED: "the video could not be fetched",
        EventKind.DOUBT_ADOPTED: "its task was found",
        EventKind.DOUBT_CLEARED: "taken for not accepted: it can be submitted again",
        EventKind.DOUBT_DROPPED: "settled by hand",
        EventKind.CANCELLED: "cancelled",
        EventKind.RETRY_POLL: "asked for again: its task is asked about, which costs nothing",
        EventKind.RETRY_SUBMIT: "asked for again: its files are there, it is submitted anew",
        EventKind.RETRY_UPLOAD: "asked for again, from the upload of its files on",
        EventKind.REVISED: "the manifest asked for something else: made anew",
        EventKind.FILE_GONE: "its file was gone: fetched again from its task, for nothing",
        EventKind.MOVED: "its output path changed: the file was copied there",
    }
)
"""What every event says. The details of one event follow after a colon."""


def sentence(event: Event) -> str:
    """One event as a phrase: what happened, the task, the evidence, the reason, the cost."""
    parts = [EVENT_WORDS[event.kind]]
    if event.task_id is not None:
        parts.append(f"task {event.task_id}")
    if evidence := event.data.get("evidence"):
        parts.append(f"evidence: {evidence}")
    if event.message:
        parts.append(event.message)
    elif event.reason:
        parts.append(event.reason)
    if isinstance(count := event.data.get("bytes"), int):
        parts.append(size(count))
    if isinstance(cost := event.data.get("credits"), int | float):
        parts.append(f"it cost {credits(cost)}")
    first, *rest = parts
    rest = [part.removeprefix(f"{first}: ") for part in rest]
    return f"{first}: {'; '.join(rest)}" if rest else first


def _standing(job: Job, facts: Facts) -> str:
    """What is durably known, in a few words."""
    match job.state:
        case State.PENDING:
            return "waits for its files to be at the vendor" if job.hashes else "waits for its turn"
        case State.READY:
            return "waits to be submitted"
        case State.SUBMITTING:
            return "is being submitted: a paid request may be on its way"
        case State.SUBMITTED:
            late = ", overdue" if job.overdue else ""
            return f"is being made by the vendor as task {job.task_id}{late}"
        case State.RENDERED:
            return "is finished at the vendor and has to be downloaded"
        case State.IN_DOUBT:
            return "is in doubt: nobody knows whether the vendor made a task of it, and bills it"
        case State.DONE:
            return "is done" if facts.file_there else "is done, but its file is gone"
        case State.FAILED:
            return "failed, given up while in doubt" if facts.doubt_open else "failed"
        case State.CANCELLED:
            return "was cancelled while in doubt" if facts.doubt_open else "was cancelled"
        case _:
            assert_never(job.state)


def _since(events: Sequence[Happened], scene: Scene) -> str:
    """When the job came into its state."""
    moves = [h.event.at for h in events if h.before is not h.after]
    if not moves:
        return ""
    return f", since {moment(moves[-1], scene.zone)} ({age(scene.now - moves[-1])})"


def _known(job: Job, facts: Facts, scene: Scene) -> list[str]:
    """Facts about the job as it stands."""
    lines = []
    words = job.message or job.reason
    if words and job.state in _HAS_REASON:
        lines.append(f"The reason: {words.rstrip('.')}.")
    if job.task_id is not None:
        accepted = _accepted(job, scene)
        lines.append(f"Its task at the vendor is {job.task_id}{accepted}.")
    lines.extend(_place(job, facts))
    lines.append(_cost(job))
    if job.revised:
        lines.append(
            "Its manifest entry was changed: the new one is made when this one has come to rest."
        )
    if job.orphan:
        lines.append("It is no longer in the manifest: what was begun is finished, nothing more.")
    if scene.rehearsal:
        lines.append("It is a rehearsal: the vendor is the emulator, and credits are play money.")
    return lines


def _place(job: Job, facts: Facts) -> list[str]:
    """Where the video is, was or will be; nothing where none is to come."""
    output = job.spec.output
    match job.state:
        case State.DONE:
            return [f"Its video {'is' if facts.file_there else 'was'} at {output}."]
        case State.SUBMITTING | State.SUBMITTED | State.RENDERED:
            return [f"Its video will be at {output}."]
        case State.PENDING | State.READY:
            return [] if job.orphan else [f"Its video will be at {output}."]
        case State.IN_DOUBT:
            return [f"If a video comes of it, it will be at {output}."]
        case State.FAILED | State.CANCELLED:
            return []
        case _:
            assert_never(job.state)


_HAS_REASON = frozenset({State.FAILED, State.IN_DOUBT, State.CANCELLED})


def _accepted(job: Job, scene: Scene) -> str:
    if job.accepted_at is None:
        return ""
    at = moment(job.accepted_at, scene.zone)
    return f", accepted {at} ({age(scene.now - job.accepted_at)})"


def _cost(job: Job) -> str:
    if job.credits is not None:
        return f"It has cost {credits(job.credits)} so far."
    if job.attempts == 0:
        return "Nothing was paid for it: it was never submitted."
    return "No charge for it has been seen in the vendor's credit log so far."


def _attempt(a: Attempt, job: Job, events: Sequence[Happened], scene: Scene) -> str:
    """One attempt: when it began, what was sent, what became of it."""
    began = f"Attempt {a.number}, begun {moment(a.started_at, scene.zone)}"
    older = "" if a.revision == job.revision else " (an earlier version of the job)"
    named = (
        ("video", a.video_file_id),
        ("picture", a.image_file_id),
        ("audio", a.audio_file_id),
    )
    files = " and ".join(f"{name} {file_id}" for name, file_id in named if file_id is not None)
    sent = f", with {files}" if files else ""
    return f"{began}{older}{sent}: {_fate(a, scene)}{_charged(a, events)}."


def _fate(a: Attempt, scene: Scene) -> str:
    if a.task_id is not None:
        return f"task {a.task_id}, {_course(a, scene)}"
    match a.verdict:
        case None:
            return "no answer is stored yet"
        case Verdict.ACCEPTED:
            return "accepted"
        case Verdict.REFUSED:
            return "no task was made, nothing was paid"
        case Verdict.NEVER_SENT:
            return "the request never left, nothing was paid"
        case Verdict.UNKNOWN:
            return "nobody knows whether a task was made"
        case _:
            assert_never(a.verdict)


def _course(a: Attempt, scene: Scene) -> str:
    if a.ended_at is not None:
        return f"ended {moment(a.ended_at, scene.zone)}"
    return "overdue" if a.overdue else "no end seen yet"


def _charged(a: Attempt, events: Sequence[Happened]) -> str:
    costs = [h.event.data.get("credits") for h in events if h.attempt == a.key]
    found = [c for c in costs if isinstance(c, int | float)]
    return f"; it cost {credits(found[-1])}" if found else ""
