"""Whatever happens, in whatever order: nothing is paid twice, no state without its evidence.

A machine plays the vendor, the process, the operator and the clock at random, and keeps the truth
that none of them knows: which submit made which task. The decisions are those of the core
(``state``, ``reconcile``, ``intervene``, ``diff``); the books are kept once by a store in memory
that does what ``store.base`` promises, and once by the SQL of the real one.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlite_utils import Database

from orchestrator.core import intervene
from orchestrator.core.diff import Look, Past, rule_known
from orchestrator.core.reconcile import Doubt, Unclaimed, may_resubmit, settle
from orchestrator.core.state import TASK_ENDED, TRANSITIONS, VERDICT_OF, next_state
from orchestrator.errors import OrchestratorError, StaleJob, TaskOwned
from orchestrator.model import (
    PAID_FOR,
    AccountKey,
    Attempt,
    AttemptKey,
    AudioKind,
    AvatarKind,
    BatchKey,
    ContentHash,
    Event,
    EventKind,
    FileId,
    Job,
    JobId,
    JobKey,
    JobSpec,
    MediaFacts,
    OnDoubt,
    Revision,
    State,
    TaskId,
    Verdict,
)
from orchestrator.store import charges, claims, money_queries, moves, planning, queries, rows
from orchestrator.store.base import Change, ChangeKind, Charge, SlotRule, StoredEvent, Wanted
from orchestrator.store.migrations import migrations
from orchestrator.store.sqlite import _recover

E, S = EventKind, State
HORIZON_S = 7200.0
LONGEST_RENDER_S = 3000.0
PLENTY = SlotRule(in_flight=100, doubt_hold_s=600.0)
UPLOADS = ("sound",)
TEXTS = ("text-a", "text-b")
FATES = st.sampled_from([(True, False), (True, False), (False, False), (True, True)])
"""Whether a submit makes a task, and whether that fails."""
SPANS = st.sampled_from([0.0, 60.0, 1000.0, 4000.0, 8000.0])


def revision(job_id: str, number: int) -> Revision:
    return Revision(f"{job_id} in version {number}")


def wanted(job_id: str, number: int) -> Wanted:
    """A job whose sound, if it is one, is like no other's."""
    file = job_id in UPLOADS
    spec = JobSpec(
        job_id=JobId(job_id),
        avatar_kind=AvatarKind.PUBLIC,
        avatar="3327",
        audio_kind=AudioKind.FILE if file else AudioKind.TEXT,
        audio=f"/media/{job_id}.wav" if file else f"Version {number}.",
        output=Path(f"/out/{job_id}.mp4"),
    )
    content = ContentHash(f"hash of {job_id}")
    facts = MediaFacts(path=spec.audio, size_bytes=1, content_hash=content, format="wav")
    return Wanted(
        spec=spec,
        revision=revision(job_id, number),
        wire="{}",
        avatar=None,
        audio=facts if file else None,
        audio_s=1.0 if file else None,
    )


class Books(Protocol):
    """What the machine asks of a store."""

    def job(self, key: JobKey) -> Job: ...
    def every_job(self) -> list[JobKey]: ...
    def claim(self, job: Job, now: float) -> tuple[Job, Attempt]: ...
    def move(self, job: Job, event: Event) -> Job: ...
    def recover(self, now: float) -> None: ...
    def want(self, job: Job, wanted: Wanted, kind: ChangeKind, now: float) -> None: ...
    def attempts(self, key: JobKey) -> list[Attempt]: ...
    def history(self, key: JobKey) -> list[StoredEvent]: ...
    def charge(self, task: TaskId, at: float) -> None: ...
    def credits(self) -> dict[TaskId, float]: ...
    def spent(self) -> float: ...


@dataclass
class MemoryBooks:
    """``store.base`` in memory, as plainly as it can be said."""

    jobs: dict[JobKey, Job] = field(default_factory=dict)
    waiting: dict[JobKey, Wanted] = field(default_factory=dict)
    made: dict[AttemptKey, Attempt] = field(default_factory=dict)
    good: set[AttemptKey] = field(default_factory=set)
    bad: set[AttemptKey] = field(default_factory=set)
    log: dict[TaskId, float] = field(default_factory=dict)
    events: list[tuple[JobKey, StoredEvent]] = field(default_factory=list)

    def add(self, one: Wanted) -> None:
        key = JobKey(len(self.jobs) + 1)
        self.jobs[key] = Job(
            key=key,
            job_id=one.spec.job_id,
            state=S.PENDING,
            version=1,
            spec=one.spec,
            revision=one.revision,
            audio_hash=one.audio.content_hash if one.audio else None,
        )

    def every_job(self) -> list[JobKey]:
        return list(self.jobs)

    def job(self, key: JobKey) -> Job:
        job = self.jobs[key]
        attempt = None if job.attempt is None else self.made[job.attempt]
        return replace(
            job,
            task_id=attempt.task_id if attempt else None,
            accepted_at=attempt.accepted_at if attempt else None,
            revised=key in self.waiting,
        )

    def claim(self, job: Job, now: float) -> tuple[Job, Attempt]:
        assert self.jobs[job.key].version == job.version
        key = AttemptKey(len(self.made) + 1)
        file = job.audio_hash
        attempt = Attempt(
            key=key,
            job=job.key,
            number=job.attempts + 1,
            revision=job.revision,
            token=f"token {key}",
            started_at=now,
            audio_file_id=None if file is None else FileId(f"id of {file}"),
        )
        self.made[key] = attempt
        self.jobs[job.key] = replace(job, attempt=key, attempts=job.attempts + 1)
        self._advance(self.job(job.key), Event(kind=E.SUBMIT_INTENT, at=now))
        return self.job(job.key), attempt

    def move(self, job: Job, event: Event) -> Job:
        next_state(job.state, event.kind, job=job.job_id)
        owner = next((a for a in self.made.values() if a.task_id == event.task_id), None)
        if event.task_id is not None and owner is not None and owner.key != job.attempt:
            raise TaskOwned("taken")
        found = self.jobs[job.key]
        if found.version != job.version:
            if event.task_id is not None and job.attempt is not None:
                self._own(job.attempt, event)
            raise StaleJob(job.job_id, job.version, found.version)
        self._advance(job, event)
        return self._revise_if_due(job.key, event.at)

    def _advance(self, job: Job, event: Event) -> None:
        after = next_state(job.state, event.kind)
        if job.attempt is not None:
            self._mark(job.attempt, event)
        stored = StoredEvent(
            job_id=job.job_id, before=job.state, after=after, event=event, attempt=job.attempt
        )
        self.events.append((job.key, stored))
        reason = event.reason or self.jobs[job.key].reason
        self.jobs[job.key] = replace(
            self.jobs[job.key], state=after, version=job.version + 1, reason=reason
        )
        if event.kind is E.REVISED:
            self._renew(job.key)

    def _mark(self, key: AttemptKey, event: Event) -> None:
        verdict = VERDICT_OF.get(event.kind)
        self._own(key, event)
        attempt = self.made[key]
        if verdict is not None and attempt.verdict is not Verdict.ACCEPTED:
            self.made[key] = replace(attempt, verdict=verdict)
        if event.kind in TASK_ENDED:
            self.made[key] = replace(self.made[key], ended_at=event.at)
            (self.good if event.kind is E.TASK_SUCCEEDED else self.bad).add(key)

    def _own(self, key: AttemptKey, event: Event) -> None:
        attempt = self.made[key]
        if event.task_id is not None and attempt.task_id is None:
            attempt = replace(attempt, task_id=event.task_id)
        if VERDICT_OF.get(event.kind) is Verdict.ACCEPTED:
            since = attempt.accepted_at if attempt.accepted_at is not None else event.at
            attempt = replace(attempt, verdict=Verdict.ACCEPTED, accepted_at=since)
        self.made[key] = attempt

    def _revise_if_due(self, key: JobKey, at: float) -> Job:
        job = self.job(key)
        if key in self.waiting and job.state not in PAID_FOR:
            self._advance(job, Event(kind=E.REVISED, at=at, reason="revised"))
        return self.job(key)

    def _renew(self, key: JobKey) -> None:
        one = self.waiting.pop(key)
        self.jobs[key] = replace(
            self.jobs[key], spec=one.spec, revision=one.revision, attempt=None, reason=""
        )

    def recover(self, now: float) -> None:
        for key in self.jobs:
            job = self.job(key)
            if job.state is S.SUBMITTING:
                self.move(job, Event(kind=E.SUBMIT_INTERRUPTED, at=now, reason="interrupted"))
        for key in self.jobs:
            job = self.job(key)
            if job.state is S.IN_DOUBT and job.task_id is not None:
                self.move(job, Event(kind=E.DOUBT_ADOPTED, at=now, task_id=job.task_id))

    def want(self, job: Job, wanted: Wanted, kind: ChangeKind, now: float) -> None:
        self.waiting[job.key] = wanted
        self.jobs[job.key] = replace(self.jobs[job.key], version=job.version + 1)
        if kind is ChangeKind.REVISE:
            self._revise_if_due(job.key, now)

    def attempts(self, key: JobKey) -> list[Attempt]:
        return [a for a in self.made.values() if a.job == key]

    def history(self, key: JobKey) -> list[StoredEvent]:
        return [stored for job, stored in self.events if job == key]

    def charge(self, task: TaskId, at: float) -> None:
        self.log[task] = 1.0

    def credits(self) -> dict[TaskId, float]:
        owned = {a.task_id for a in self.made.values() if a.task_id is not None}
        return {task: credits for task, credits in self.log.items() if task in owned}

    def spent(self) -> float:
        return sum(map(self._cost, self.made.values()))

    def _cost(self, attempt: Attempt) -> float:
        if attempt.task_id in self.log:
            return self.log[attempt.task_id]
        refused = attempt.verdict in (Verdict.REFUSED, Verdict.NEVER_SENT)
        return 0.0 if refused or attempt.key in self.bad - self.good else 1.0


class SqlBooks:
    """The real store's SQL, on a database in memory."""

    account, batch = AccountKey(1), BatchKey(1)

    def __init__(self) -> None:
        self.conn = sqlite3.connect(":memory:", isolation_level=None)
        migrations.apply(Database(self.conn, recursive_triggers=False, execute_plugins=False))
        self.conn.execute(queries.ADD_ACCOUNT, ("somebody",))
        self.conn.execute(queries.OPEN_BATCH, ("trial", self.account, "/jobs.yaml", 0.0)).fetchall()

    def add(self, one: Wanted) -> None:
        self._plan(Change(kind=ChangeKind.NEW, wanted=one))
        if one.audio is not None:
            file_id = f"id of {one.audio.content_hash}"
            what = (self.account, one.audio.content_hash, "wav", 1, file_id, 0.0)
            self.conn.execute(queries.ASSET_UPLOADED, what)

    def _plan(self, change: Change, now: float = 0.0) -> None:
        plan = planning.next_plan(self.conn, self.batch)
        planning.apply_chunk(self.conn, self.batch, plan, [change], now)

    def every_job(self) -> list[JobKey]:
        return [row[0] for row in self.conn.execute("SELECT key FROM jobs ORDER BY key")]

    def job(self, key: JobKey) -> Job:
        return moves.require(moves.load_job(self.conn, key))

    def claim(self, job: Job, now: float) -> tuple[Job, Attempt]:
        claim = claims.claim(self.conn, self.account, job, PLENTY, f"{job.key}/{now}", now, None)
        assert claim.job is not None and claim.attempt is not None, claim.refusal
        return claim.job, claim.attempt

    def move(self, job: Job, event: Event) -> Job:
        moved = moves.move(self.conn, job, event)
        if isinstance(moved, OrchestratorError):
            raise moved
        return moved

    def recover(self, now: float) -> None:
        _recover(self.conn, self.batch, now)

    def want(self, job: Job, wanted: Wanted, kind: ChangeKind, now: float) -> None:
        known = [rows.known(row) for row in self.conn.execute(queries.KNOWN, (self.batch,))]
        mine = next(k for k in known if k.key == job.key)
        self._plan(Change(kind=kind, wanted=wanted, known=mine), now)

    def attempts(self, key: JobKey) -> list[Attempt]:
        return [rows.attempt(row) for row in self.conn.execute(queries.ATTEMPTS, (key,))]

    def history(self, key: JobKey) -> list[StoredEvent]:
        found = self.conn.execute(queries.EVENTS, (self.batch, self.job(key).job_id))
        return [rows.stored_event(row) for row in found]

    def charge(self, task: TaskId, at: float) -> None:
        charge = Charge(task_id=task, credits=1.0, charged_at=at)
        charges.remember(self.conn, self.account, [charge])

    def credits(self) -> dict[TaskId, float]:
        found = "SELECT task_id, credits FROM attempts WHERE credits IS NOT NULL"
        return dict(self.conn.execute(found).fetchall())

    def spent(self) -> float:
        return charges.spent(self.conn, self.batch, None)

    def unsettled(self) -> set[AttemptKey]:
        """As the store itself sees it."""
        return {row[0] for row in self.conn.execute(money_queries.UNSETTLED, (self.account,))}


@dataclass(frozen=True, kw_only=True)
class Made:
    """The truth about a task."""

    attempt: AttemptKey
    job: JobKey
    revision: Revision
    ends_at: float
    fails: bool
    file: FileId | None


@dataclass(frozen=True, kw_only=True)
class Flying:
    """A paid request of a living process: the job as it was claimed, and what the vendor made."""

    job: Job
    task: TaskId | None


class Trial(RuleBasedStateMachine):
    """Three jobs, a vendor, a process that dies, an operator, and time."""

    books: Books

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        self.tasks: dict[TaskId, Made] = {}
        self.flying: dict[JobKey, Flying] = {}
        self.ghosts: list[Flying] = []
        self.licences: Counter[Revision] = Counter()
        self.versions: Counter[JobKey] = Counter()
        self.given_up = 0

    def those(self, *states: State) -> list[JobKey]:
        """Jobs in one of these states."""
        return [key for key in self.books.every_job() if self.books.job(key).state in states]

    def pick(self, data: st.DataObject, keys: Sequence[JobKey]) -> Job:
        return self.books.job(data.draw(st.sampled_from(list(keys)), label="job"))

    def move(self, job: Job, kind: EventKind, task: TaskId | None = None, reason: str = "") -> Job:
        return self.books.move(job, Event(kind=kind, at=self.now, reason=reason, task_id=task))

    # The process.

    @precondition(lambda self: self.those(S.PENDING, S.READY))
    @rule(
        data=st.data(),
        fate=FATES,
        render_s=st.sampled_from([0.0, 100.0, LONGEST_RENDER_S]),
        then=st.sampled_from(["waits", "hears", "hears nothing", "hears nothing", "dies"]),
    )
    def submit(
        self, data: st.DataObject, fate: tuple[bool, bool], render_s: float, then: str
    ) -> None:
        made, fails = fate
        job = self.pick(data, self.those(S.PENDING, S.READY))
        if job.state is S.PENDING:
            job = self.move(job, E.ASSETS_LIVE)
        self.send(job, made, fails, render_s)
        match then:
            case "hears":
                self.hear(job.key, E.SUBMIT_POSTPONED)
            case "hears nothing":
                self.hear_nothing(job.key)
            case "dies":
                self.die_and_begin_again()
            case _:
                pass

    def send(self, job: Job, made: bool, fails: bool, render_s: float) -> None:
        """The paid request; the vendor alone knows what became of it."""
        claimed, attempt = self.books.claim(job, self.now)
        task = TaskId(f"task {len(self.tasks) + 1}") if made else None
        if task is not None:
            self.tasks[task] = Made(
                attempt=attempt.key,
                job=job.key,
                revision=attempt.revision,
                ends_at=self.now + render_s,
                fails=fails,
                file=attempt.audio_file_id,
            )
        self.flying[job.key] = Flying(job=claimed, task=task)

    @precondition(lambda self: self.flying)
    @rule(
        data=st.data(),
        no=st.sampled_from([E.SUBMIT_REFUSED, E.SUBMIT_POSTPONED, E.SUBMIT_FILE_UNKNOWN]),
    )
    def reply(self, data: st.DataObject, no: EventKind) -> None:
        self.hear(self.pick(data, list(self.flying)).key, no)

    def hear(self, key: JobKey, no: EventKind) -> None:
        """The reply comes: the task, or the refusal if none was made."""
        flying = self.flying.pop(key)
        if flying.task is None:
            self.move(flying.job, no, reason="vendor")
            return
        try:
            self.move(flying.job, E.SUBMIT_ACCEPTED, flying.task)
        except TaskOwned:  # one alike has it already
            self.move(flying.job, E.SUBMIT_UNKNOWN, reason="task_owned")

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def no_reply(self, data: st.DataObject) -> None:
        self.hear_nothing(self.pick(data, list(self.flying)).key)

    def hear_nothing(self, key: JobKey) -> None:
        """The reply is lost; nobody knows whether a task was made."""
        self.move(self.flying.pop(key).job, E.SUBMIT_UNKNOWN, reason="no_reply")

    @precondition(lambda self: self.flying)
    @rule()
    def die_and_begin_again(self) -> None:
        self.ghosts += [flying for flying in self.flying.values() if flying.task is not None]
        self.flying.clear()
        self.books.recover(self.now)

    @precondition(lambda self: self.ghosts)
    @rule()
    def wake_up_late_with_a_reply(self) -> None:
        """A process that was stopped, not dead, hears its reply when others have gone on."""
        ghost = self.ghosts.pop()
        try:
            self.move(ghost.job, E.SUBMIT_ACCEPTED, ghost.task)
        except (StaleJob, TaskOwned):
            assert ghost.task in self.owned(), "a task that was paid for was disowned"
        else:
            raise AssertionError("it overwrote what another had done")

    def owned(self) -> set[TaskId]:
        """Tasks that an attempt owns."""
        every = (a for key in self.books.every_job() for a in self.books.attempts(key))
        return {a.task_id for a in every if a.task_id is not None}

    @precondition(lambda self: self.finished())
    @rule(data=st.data(), again=st.booleans())
    def poll(self, data: st.DataObject, again: bool) -> None:
        job = self.pick(data, self.finished())
        assert job.task_id is not None
        failed = E.RENDER_AGAIN if again and job.state is S.SUBMITTED else E.TASK_FAILED
        kind = failed if self.tasks[job.task_id].fails else E.TASK_SUCCEEDED
        self.move(job, kind, reason="task")

    def finished(self) -> list[JobKey]:
        """Jobs whose task is watched and has ended; a cancelled job's is watched that long."""
        watched = []
        for key in self.those(S.SUBMITTED, S.CANCELLED):
            job = self.books.job(key)
            made = self.tasks.get(job.task_id) if job.task_id is not None else None
            mine = next((a for a in self.books.attempts(key) if a.key == job.attempt), None)
            told = job.state is S.CANCELLED and mine is not None and mine.ended_at is not None
            if made is not None and made.ends_at <= self.now and not told:
                watched.append(key)
        return watched

    @precondition(lambda self: self.those(S.RENDERED))
    @rule(data=st.data(), whole=st.booleans())
    def download(self, data: st.DataObject, whole: bool) -> None:
        kind = E.DOWNLOADED if whole else E.DOWNLOAD_FAILED
        self.move(self.pick(data, self.those(S.RENDERED)), kind, reason="download")

    @rule(seconds=SPANS)
    def look_for_evidence(self, seconds: float) -> None:
        """Read the log, settle what is certain, send anew what the horizon has cleared."""
        self.now += seconds
        charged = self.charged()
        for task in charged:
            self.books.charge(task, self.tasks[task].ends_at)
        unsettled = self.unsettled()
        unclaimed = [self.seen(task) for task in charged if task not in self.owned()]
        unsettled.sort(key=lambda a: (self.in_doubt(a) is None, a.started_at, a.key))
        findings = settle([self.doubt(a) for a in unsettled], unclaimed)
        certain = {s.attempt: s.task_id for s in findings.settled}
        for attempt in unsettled:
            job = self.in_doubt(attempt)
            if job is None:
                continue
            if attempt.key in certain:
                self.move(job, E.DOUBT_ADOPTED, certain[attempt.key])
            elif self.cleared(attempt, len(findings.open[attempt.key])):
                self.move(job, E.DOUBT_CLEARED, reason="doubt:horizon")

    def cleared(self, attempt: Attempt, candidates: int) -> bool:
        return may_resubmit(
            on_doubt=OnDoubt.RESUBMIT,
            started_at=attempt.started_at,
            horizon_s=HORIZON_S,
            deadline_s=HORIZON_S,
            log_read_at=self.now,
            candidates=candidates,
        )

    def unsettled(self) -> list[Attempt]:
        every = [a for key in self.books.every_job() for a in self.books.attempts(key)]
        return [a for a in every if a.task_id is None and a.verdict in (None, Verdict.UNKNOWN)]

    def in_doubt(self, attempt: Attempt) -> Job | None:
        job = self.books.job(attempt.job)
        return job if job.state is S.IN_DOUBT and job.attempt == attempt.key else None

    def doubt(self, a: Attempt) -> Doubt:
        return Doubt(
            attempt=a.key, revision=a.revision, started_at=a.started_at, audio=a.audio_file_id
        )

    def seen(self, task: TaskId) -> Unclaimed:
        made = self.tasks[task]
        return Unclaimed(task_id=task, logged_at=made.ends_at, audio=made.file)

    def charged(self) -> list[TaskId]:
        """What the vendor has charged by now: what succeeded."""
        made = self.tasks.items()
        return [task for task, m in made if not m.fails and m.ends_at <= self.now]

    # The operator, the manifest, the clock.

    @rule(
        data=st.data(),
        command=st.sampled_from(["retry", "retry", "resubmit", "resubmit", "cancel", "drop"]),
        there=st.booleans(),
    )
    def operate(self, data: st.DataObject, command: str, there: bool) -> None:
        if command in ("cancel", "drop") and self.given_up >= 3:
            return
        job = self.pick(data, self.books.every_job())
        history = self.books.history(job.key)
        facts = intervene.facts_of(job, history, files_live=True, file_there=there)
        ruling = {
            "retry": lambda: intervene.retry(job, facts, self.now),
            "cancel": lambda: intervene.cancel(job),
            "resubmit": lambda: intervene.resubmit(job, facts),
            "drop": lambda: intervene.drop(job, facts),
        }[command]()
        if ruling.kind is None or (command == "resubmit" and self.operator_errs(job)):
            return
        if ruling.kind in (E.CANCELLED, E.DOUBT_DROPPED):
            self.given_up += 1
        if command == "resubmit":
            self.licences[job.revision] += 1
        self.move(job, ruling.kind, reason="operator")

    def operator_errs(self, job: Job) -> bool:
        """Nobody but the operator can know that a text's task is not another text's: here he is
        right about those. What he says of uploads may be wrong; then he pays twice, as told."""
        mine = (m for m in self.tasks.values() if m.attempt == job.attempt and not m.fails)
        return job.job_id in TEXTS and any(mine)

    @precondition(lambda self: not self.flying and self.versions.total() < 3)
    @rule(data=st.data())
    def change_the_manifest(self, data: st.DataObject) -> None:
        """Each run begins with its plan, before anything is submitted."""
        job = self.pick(data, self.books.every_job())
        self.versions[job.key] += 1
        past = Past(
            state=job.state,
            same_revision=False,
            changes="audio.text",
            same_output=True,
            output_bytes=None,
            task_age_s=None,
            task_may_deliver=False,
            revival=E.RETRY_SUBMIT,
        )
        ruling = rule_known(past, Look(wanted=None), retry_failed=False, overwrite=False)
        kind = ChangeKind.REVISE_LATER if ruling.event is None else ChangeKind.REVISE
        entry = wanted(job.job_id, self.versions[job.key])
        self.books.want(job, entry, kind, self.now)
        self.books.recover(self.now)

    @rule(seconds=SPANS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # What always holds.

    @invariant()
    def at_most_one_live_task_for_each_revision_unless_an_operator_said_resubmit(self) -> None:
        live = Counter(made.revision for made in self.tasks.values() if not made.fails)
        for which, count in live.items():
            assert count <= 1 + self.licences[which], f"{count} tasks of {which}"

    @invariant()
    def no_state_without_its_evidence(self) -> None:
        for key in self.books.every_job():
            job = self.books.job(key)
            mine = [a for a in self.books.attempts(key) if a.key == job.attempt]
            match job.state:
                case S.SUBMITTED | S.RENDERED | S.DONE:
                    assert job.task_id is not None and mine[0].verdict is Verdict.ACCEPTED
                    made = self.tasks[job.task_id]
                    assert made.revision == job.revision, "another job's video"
                    over = made.ends_at <= self.now and not made.fails
                    assert over or job.state is S.SUBMITTED
                case S.SUBMITTING:
                    assert (mine[0].verdict, mine[0].task_id) == (None, None)
                case S.IN_DOUBT:
                    late = mine[0].task_id is not None
                    assert mine[0].verdict is (Verdict.ACCEPTED if late else Verdict.UNKNOWN)
                case S.FAILED:
                    assert job.reason
                case _:
                    pass

    @invariant()
    def only_transitions_of_the_table_happen(self) -> None:
        for key in self.books.every_job():
            at = S.PENDING
            for stored in self.books.history(key):
                assert stored.before is at
                assert TRANSITIONS[at][stored.event.kind] is stored.after
                at = stored.after
            assert at is self.books.job(key).state

    @invariant()
    def a_task_has_one_owner_and_is_counted_once(self) -> None:
        every = [a for key in self.books.every_job() for a in self.books.attempts(key)]
        owned = [a.task_id for a in every if a.task_id is not None]
        assert len(owned) == len(set(owned))
        credits = self.books.credits()
        assert set(credits) <= set(owned) & set(self.charged())
        assert set(credits.values()) <= {1.0}
        free = sum(self.licences.values())
        assert len(self.charged()) - free <= self.books.spent() <= len(every)

    @invariant()
    def nobody_is_submitting_whom_no_process_knows(self) -> None:
        assert set(self.those(S.SUBMITTING)) == set(self.flying)

    def teardown(self) -> None:
        """Left to itself, with a vendor that makes everything, every job comes to rest."""
        self.die_and_begin_again()
        for _ in range(4):
            for key in self.those(S.PENDING):
                self.move(self.books.job(key), E.ASSETS_LIVE)
            for key in self.those(S.READY):
                self.send(self.books.job(key), made=True, fails=False, render_s=1.0)
            for key, flying in list(self.flying.items()):
                del self.flying[key]
                self.move(flying.job, E.SUBMIT_ACCEPTED, flying.task)
            self.now += HORIZON_S + 1.0
            for key in self.those(S.SUBMITTED):
                job = self.books.job(key)
                assert job.task_id is not None
                failed = self.tasks[job.task_id].fails
                self.move(job, E.TASK_FAILED if failed else E.TASK_SUCCEEDED, reason="task")
            for key in self.those(S.RENDERED):
                self.move(self.books.job(key), E.DOWNLOADED)
            self.look_for_evidence(0.0)
        resting = {S.DONE, S.FAILED, S.CANCELLED, S.IN_DOUBT}
        assert {self.books.job(key).state for key in self.books.every_job()} <= resting
        self.at_most_one_live_task_for_each_revision_unless_an_operator_said_resubmit()
        self.no_state_without_its_evidence()
        self.only_transitions_of_the_table_happen()
        self.a_task_has_one_owner_and_is_counted_once()


class MemoryTrial(Trial):
    """On the store in memory."""

    def __init__(self) -> None:
        super().__init__()
        books = MemoryBooks()
        for job_id in (*UPLOADS, *TEXTS):
            books.add(wanted(job_id, 0))
        self.books = books


class SqlTrial(Trial):
    """On the SQL of the real store."""

    def __init__(self) -> None:
        super().__init__()
        self.sql = SqlBooks()
        for job_id in (*UPLOADS, *TEXTS):
            self.sql.add(wanted(job_id, 0))
        self.books = self.sql

    @invariant()
    def the_store_knows_who_is_unsettled(self) -> None:
        assert self.sql.unsettled() == {a.key for a in self.unsettled()}

    def teardown(self) -> None:
        super().teardown()
        self.sql.conn.close()


TestInMemory = MemoryTrial.TestCase
TestInMemory.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
TestSql = SqlTrial.TestCase
TestSql.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
