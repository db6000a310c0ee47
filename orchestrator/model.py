"""The words of the project as values: frozen, keyword-only, shared by every layer.

One word has one meaning; ``docs/design.md`` section 1 is the list. Ids are ``NewType``s, so
that a job's id is never handed to where a task's id is meant. Units stand in the names
(``timeout_s``, ``size_bytes``). ``None`` means "not given" or "not known" and never "zero" or
"unlimited".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NewType

JobId = NewType("JobId", str)
"""The user's name for a job, unique in its batch."""
JobKey = NewType("JobKey", int)
"""The row number of a job in the state store."""
TaskId = NewType("TaskId", str)
"""The vendor's name for one rendering. Opaque."""
FileId = NewType("FileId", str)
"""The vendor's name for an uploaded file. Opaque."""
ContentHash = NewType("ContentHash", str)
"""SHA-256 of a local file's bytes, 64 lower-case hex digits."""
Revision = NewType("Revision", str)
"""SHA-256 over what is paid for in a job, 64 lower-case hex digits."""
BatchKey = NewType("BatchKey", int)
AccountKey = NewType("AccountKey", int)
AttemptKey = NewType("AttemptKey", int)
RunKey = NewType("RunKey", int)


class State(StrEnum):
    """What is durably known about a job (not what a coroutine is doing now)."""

    PENDING = "pending"  # accepted from the manifest; assets may be missing at the vendor
    READY = "ready"  # every asset has a live file id
    SUBMITTING = "submitting"  # a paid request may be on its way
    SUBMITTED = "submitted"  # the vendor's task id is known
    RENDERED = "rendered"  # the vendor finished the task
    IN_DOUBT = "in_doubt"  # the fate of a submit is unknown
    DONE = "done"  # the verified video has its final name
    FAILED = "failed"  # ended with a reason; an operator's retry may revive it
    CANCELLED = "cancelled"  # an operator's decision


TERMINAL = frozenset({State.DONE, State.FAILED, State.CANCELLED})
"""States in which a job rests until somebody asks for more."""
PAID_FOR = frozenset({State.SUBMITTING, State.IN_DOUBT, State.SUBMITTED, State.RENDERED})
"""States in which an attempt is (or may be) alive: a changed manifest entry waits for its end."""


class AvatarKind(StrEnum):
    """Where the face comes from; the manifest's key under ``avatar``."""

    VIDEO = "video"  # a local video file
    PUBLIC = "public"  # the vendor's avatar, by id
    PRIVATE = "private"  # the account's own avatar, by id
    IMAGE = "image"  # a local picture


class AudioKind(StrEnum):
    """Where the voice comes from; the manifest's key under ``audio``."""

    FILE = "file"  # a local sound file
    TEXT = "text"  # text to speech


class Mode(StrEnum):
    """How the vendor animates: mouth only (avatar1) or everything from one frame (avatar2)."""

    AVATAR1 = "avatar1"
    AVATAR2 = "avatar2"


class OnDoubt(StrEnum):
    """What happens to a job still in doubt after ``doubt_horizon``."""

    HOLD = "hold"
    RESUBMIT = "resubmit"


class Verify(StrEnum):
    """How thoroughly a finished video is looked at before it gets its final name."""

    LENGTH = "length"  # as many bytes as the server announced
    CONTAINER = "container"  # and it opens, has a video stream and lasts about as long as expected
    DECODE = "decode"  # and its first and last frame decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most ``count`` (>= 1) events in any window of ``per_s`` seconds (> 0)."""

    count: int
    per_s: float

    @property
    def interval_s(self) -> float:
        """Even spacing of two events, in seconds."""
        return self.per_s / self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands in a file the user wrote; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job as the manifest asks for it, with every default filled in.

    ``avatar`` is an absolute path for VIDEO and IMAGE, the vendor's id otherwise; ``audio`` is
    an absolute path for FILE, the text to speak otherwise. ``voice`` and ``speed`` mean nothing
    for FILE audio. ``places`` maps a dotted key of the job ("avatar.video", "output", ...; ""
    is the job itself) to where it was written, so that later checks can point there.
    """

    job_id: JobId
    avatar_kind: AvatarKind
    avatar: str
    audio_kind: AudioKind
    audio: str
    output: Path
    mode: Mode = Mode.AVATAR1
    voice: str | None = None
    speed: float = 1.0
    caption: str | None = None
    save_avatar: bool = False
    priority: int = 0
    tags: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the local files this job needs, avatar first; none to two of them."""
        avatar = (self.avatar,) if self.avatar_kind in FILE_AVATARS else ()
        audio = (self.audio,) if self.audio_kind is AudioKind.FILE else ()
        return avatar + audio


FILE_AVATARS = frozenset({AvatarKind.VIDEO, AvatarKind.IMAGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of what may happen at once; the defaults suit a small account.

    ``in_flight``: unfinished tasks; None finds out by itself how many the account may have.
    ``upload_bytes_per_s``, ``download_bytes_per_s`` (> 0): what all transfers of one process may
    take together; None is no limit.
    """

    submit_rate: Rate = Rate(count=1, per_s=1.0)
    request_rate: Rate = Rate(count=5, per_s=1.0)
    in_flight: int | None = None
    uploads: int = 4
    downloads: int = 4
    upload_bytes_per_s: float | None = None
    download_bytes_per_s: float | None = None
    poll_interval_s: float = 5.0

    @property
    def scale(self) -> float:
        """Factor for every wait that depends on the vendor's pace: 1.0 at the default 5 s."""
        return self.poll_interval_s / 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a manifest says about the batch as a whole."""

    limits: Limits = Limits()
    budget_credits: float | None = None
    on_doubt: OnDoubt = OnDoubt.HOLD
    doubt_horizon_s: float = 7200.0
    task_deadline_s: float = 7200.0
    stop_after: int = 10
    verify: Verify = Verify.CONTAINER
    retry_renders: int = 0
    webhook_url: str | None = None
    webhook_listen: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing wrong with what the user wrote: where, what, and what would be right.

    A ``warning`` stops nothing.
    """

    place: Place
    problem: str
    remedy: str
    warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        return f"{self.place}: {kind}{self.problem}; {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest that was read, expanded and found right."""

    path: Path
    batch: str
    settings: Settings
    jobs: Sequence[JobSpec]
    warnings: tuple[Complaint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """What was seen of a local media file.

    ``format`` is the vendor's word for it (the lower-case extension, e.g. "mp4");
    ``duration_s`` is None for pictures and where the container does not say.
    """

    path: str
    size_bytes: int
    content_hash: ContentHash
    format: str
    duration_s: float | None = None
    has_video: bool = False
    has_audio: bool = False


class Failure(StrEnum):
    """Why there is no response object to a request."""

    NEVER_SENT = "never_sent"  # surely nothing left this machine for the vendor's application
    NO_REPLY = "no_reply"  # it may have arrived; the reply is lost, late, cut or no HTTP at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that came back from one API call; judged by ``core.outcome``, never by the client.

    ``status`` is the HTTP status of a response object (None without one). ``code`` is the
    envelope's code as text, None where the body held no readable envelope. ``detail`` is a
    short clue for people, free of secrets (an exception's name, "HTML instead of JSON").
    ``retry_after_s`` is the server's wish in seconds (>= 0); ``server_time`` its ``Date`` header
    in Unix seconds.
    """

    status: int | None = None
    code: str | None = None
    message: str = ""
    result: Any = None
    failure: Failure | None = None
    detail: str = ""
    retry_after_s: float | None = None
    server_time: float | None = None

    @property
    def ok(self) -> bool:
        """The vendor's application took the call: its code is 200."""
        return self.code == "200"


class Verdict(StrEnum):
    """What a submit came to."""

    ACCEPTED = "accepted"  # a task id is known
    REFUSED = "refused"  # surely no task was made
    NEVER_SENT = "never_sent"  # surely no task was made: the request did not leave
    UNKNOWN = "unknown"  # a task may exist and may be billed


class EventKind(StrEnum):
    """The facts that move a job. ``core.state.TRANSITIONS`` says from where to where."""

    ASSETS_LIVE = "assets_live"  # every file of the job has a file id
    UPLOAD_FAILED = "upload_failed"  # a file of the job cannot be uploaded
    FILES_EXPIRED = "files_expired"  # a file id of a ready job is no longer known
    SUBMIT_INTENT = "submit_intent"  # an attempt begins: the paid request follows at once
    SUBMIT_ACCEPTED = "submit_accepted"  # a task id came back
    SUBMIT_REFUSED = "submit_refused"  # refused for what the job asks for
    SUBMIT_POSTPONED = "submit_postponed"  # surely not accepted, and not because of the job
    SUBMIT_FILE_UNKNOWN = "submit_file_unknown"  # refused because a file id was not known (4004)
    SUBMIT_UNKNOWN = "submit_unknown"  # nobody knows whether a task was made
    SUBMIT_INTERRUPTED = "submit_interrupted"  # found in `submitting` when a run began
    TASK_OVERDUE = "task_overdue"  # no end seen until task_deadline
    TASK_SUCCEEDED = "task_succeeded"
    TASK_FAILED = "task_failed"  # the vendor says that rendering failed
    TASK_LOST = "task_lost"  # the vendor does not know the task, or has no video for it
    RENDER_AGAIN = "render_again"  # the task failed and retry.renders allows another
    DOWNLOADED = "downloaded"  # verified, and under its final name
    DOWNLOAD_FAILED = "download_failed"
    DOUBT_ADOPTED = "doubt_adopted"  # evidence names the task of an attempt in doubt
    DOUBT_CLEARED = "doubt_cleared"  # evidence or the operator says: no task was made
    DOUBT_DROPPED = "doubt_dropped"  # the operator gives the job up
    CANCELLED = "cancelled"
    RETRY_POLL = "retry_poll"  # asked for again; its task may still deliver
    RETRY_SUBMIT = "retry_submit"  # asked for again; its file ids are live
    RETRY_UPLOAD = "retry_upload"  # asked for again from the beginning
    REVISED = "revised"  # the manifest asks for another revision
    FILE_GONE = "file_gone"  # the video of a done job is gone; fetch it from its task again
    MOVED = "moved"  # the output path of a done job changed; the file was copied there


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact that moves a job; stored, never edited.

    ``at`` is the wall clock in Unix seconds. ``reason`` is a short machine word such as
    "vendor:4003" that is compared and counted; ``message`` is a sentence for a person.
    ``data`` holds JSON values and never a secret (no signed URL, no key, no token).
    """

    kind: EventKind
    at: float
    reason: str = ""
    message: str = ""
    task_id: TaskId | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the store knows it. ``version`` grows by one with every change (compare and set).

    ``made``: the revision of its last video that reached `done`; None: it never had one. It tells
    what name an older video, which was paid for, is kept under when a newer one takes its place.
    """

    key: JobKey
    job_id: JobId
    state: State
    version: int
    spec: JobSpec
    revision: Revision
    avatar_hash: ContentHash | None = None
    audio_hash: ContentHash | None = None
    audio_s: float | None = None
    attempts: int = 0
    attempt: AttemptKey | None = None
    task_id: TaskId | None = None
    accepted_at: float | None = None
    overdue: bool = False
    revised: bool = False
    orphan: bool = False
    selected: bool = True
    reason: str = ""
    message: str = ""
    credits: float | None = None
    made: Revision | None = None

    @property
    def hashes(self) -> tuple[ContentHash, ...]:
        """Content hashes of the assets the job needs, avatar first."""
        return tuple(h for h in (self.avatar_hash, self.audio_hash) if h is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One intent to have one revision of a job made. Never overwritten or disowned."""

    key: AttemptKey
    job: JobKey
    number: int
    revision: Revision
    token: str = field(repr=False)
    started_at: float
    video_file_id: FileId | None = None
    image_file_id: FileId | None = None
    audio_file_id: FileId | None = None
    verdict: Verdict | None = None
    task_id: TaskId | None = None
    accepted_at: float | None = None
    ended_at: float | None = None
    overdue: bool = False
