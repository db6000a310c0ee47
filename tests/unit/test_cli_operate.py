"""``why``, ``retry``, ``cancel``, ``resolve`` against a fake facade: asked, shown, refused."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import complete, operate
from orchestrator.cli.main import main
from orchestrator.cli.telling import next_commands, question, sheet_lines, summary, why_lines
from orchestrator.core.intervene import Effect, Ruling
from orchestrator.core.story import Story, Told, Typed
from orchestrator.errors import UsageError
from orchestrator.model import (
    AudioKind,
    AvatarKind,
    BatchKey,
    Event,
    EventKind,
    Job,
    JobId,
    JobKey,
    JobSpec,
    Revision,
    State,
)
from orchestrator.operate.views import Result, Sheet, Step, WhyView, step_of
from orchestrator.store.base import BatchRow, StoredEvent

NOON = 1_750_000_000.0


def job(name: str, state: State = State.FAILED) -> Job:
    spec = JobSpec(
        job_id=JobId(name),
        avatar_kind=AvatarKind.PUBLIC,
        avatar="3327",
        audio_kind=AudioKind.TEXT,
        audio="Hello.",
        output=Path(f"/videos/{name}.mp4"),
    )
    return Job(
        key=JobKey(len(name)),
        job_id=JobId(name),
        state=state,
        version=1,
        spec=spec,
        revision=Revision("r1"),
    )


BATCH = BatchRow(
    key=BatchKey(1),
    name="spring",
    account=1,  # type: ignore[arg-type]
    manifest=Path("jobs.yaml"),
    created_at=NOON,
)
CHANGE = Ruling(effect=Effect.CHANGE, words="submitted anew", kind=EventKind.RETRY_SUBMIT)
LEAVE = Ruling(effect=Effect.LEAVE, words="done, and its file is there")
REFUSE = Ruling(effect=Effect.REFUSE, words="in doubt")


def step(name: str, ruling: Ruling = CHANGE, **more: Any) -> Step:
    return replace(step_of(BATCH, job(name), ruling), **more)


def sheet(*steps: Step, command: str = "retry", **more: Any) -> Sheet:
    return Sheet(command=command, rehearsal=False, steps=steps, **more)


STORY = Story(
    headline="spring/hello failed, since 2025-06-15 16:06:40 (1 h ago)",
    known=("The reason: no such voice.",),
    history=(
        Told(at=NOON, kind=EventKind.SUBMIT_REFUSED, attempt=1, sentence="the vendor refused it"),
    ),
    attempts=("Attempt 1, begun 2025-06-15 16:06:40: no task was made, nothing was paid.",),
    next=("It stays so until you type 'retry'. Then: submitted anew.",),
    commands=(Typed(command="orchestrator retry spring/hello", does="brings it back"),),
)
EVENT = StoredEvent(
    job_id=JobId("hello"),
    before=State.SUBMITTING,
    after=State.FAILED,
    event=Event(kind=EventKind.SUBMIT_REFUSED, at=NOON, reason="vendor:4003"),
)
WHY = WhyView(batch="spring", job=job("hello"), rehearsal=False, story=STORY, events=(EVENT,))


@dataclass
class FakeOperator:
    """A facade that shows one sheet, and carries it out by saying so."""

    sheet: Sheet = field(default_factory=lambda: sheet(step("hello")))
    views: list[WhyView] = field(default_factory=lambda: [WHY])
    error: Exception | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def why(self, pattern: str, *, flags: str = "") -> list[WhyView]:
        self._note("why", pattern, flags)
        return self.views

    async def retry(self, patterns: Sequence[str]) -> Sheet:
        return self._note("retry", *patterns)

    async def cancel(self, patterns: Sequence[str]) -> Sheet:
        return self._note("cancel", *patterns)

    async def resubmit(self, patterns: Sequence[str]) -> Sheet:
        return self._note("resubmit", *patterns)

    async def drop(self, patterns: Sequence[str]) -> Sheet:
        return self._note("drop", *patterns)

    async def adopt(self, pattern: str, task_id: str, *, force: bool = False) -> Sheet:
        return self._note("adopt", pattern, task_id, force)

    async def carry_out(self, sheet: Sheet) -> Sheet:
        self._note("carry out")
        done = [
            replace(s, result=Result.CHANGED, after=State.READY) if s.result is Result.CHANGE else s
            for s in sheet.steps
        ]
        return replace(sheet, steps=tuple(done))

    def _note(self, *question: Any) -> Sheet:
        self.asked.append(question)
        if self.error is not None:
            raise self.error
        return self.sheet


class Ended:
    """How a command ended and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeOperator:
    operator = FakeOperator()

    def make(state: Path | None, rehearsal: bool) -> FakeOperator:
        operator.asked.append(("open", state, rehearsal))
        return operator

    monkeypatch.setattr(operate, "make_operator", make)
    monkeypatch.delenv("ORCHESTRATOR_STATE", raising=False)
    return operator


@pytest.fixture
def command(
    fake: FakeOperator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    def call(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *words])
        code = main()
        return Ended(code, *capsys.readouterr())

    return call


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Terminal]:
    """Put a terminal on stdin, with this answer typed, and one on stderr, which is returned."""

    def give(text: str) -> Terminal:
        screen = Terminal()
        monkeypatch.setattr(sys, "stdin", Terminal(text))
        monkeypatch.setattr(sys, "stderr", screen)
        return screen

    return give


MANY = sheet(step("one"), step("two"), step("three", LEAVE))


def test_one_job_is_changed_without_asking(command: Command, fake: FakeOperator) -> None:
    ended = command("retry", "spring/hello")
    assert ended.code == 0
    assert fake.asked == [("open", None, False), ("retry", "spring/hello"), ("carry out",)]
    assert ended.out == (
        "changed: 1 job\n"
        "  spring/hello (failed): submitted anew\n"
        "\n"
        "retry: 1 changed\n"
        "next: orchestrator run jobs.yaml    # goes on with it\n"
    )


@pytest.mark.parametrize("name", ["retry", "cancel"])
def test_patterns_and_flags_reach_the_facade(
    name: str, command: Command, fake: FakeOperator
) -> None:
    command(name, "a/*", "b", "--emulator", "--state", "data", "--dry-run")
    assert fake.asked == [("open", Path("data"), True), (name, "a/*", "b")]


def test_a_dry_run_changes_nothing_and_says_so(command: Command, fake: FakeOperator) -> None:
    fake.sheet = MANY
    ended = command("retry", "spring/*", "--dry-run")
    assert ended.code == 0
    assert ("carry out",) not in fake.asked
    assert "retry: 2 would be changed, 1 left alone; nothing was done (--dry-run)" in ended.out


def test_several_jobs_without_a_terminal_need_yes(command: Command, fake: FakeOperator) -> None:
    fake.sheet = MANY
    ended = command("retry", "spring/*")
    assert ended.code == 2
    assert ("carry out",) not in fake.asked
    assert ended.err == (
        "orchestrator: retry: 3 jobs match, 2 would be changed, and there is no terminal to ask "
        "on: add --yes to do it, or --dry-run to see which; nothing was changed\n"
    )
    assert command("retry", "spring/*", "--yes").code == 0
    assert ("carry out",) in fake.asked


@pytest.mark.parametrize("typed", ["y\n", "YES\n"])
def test_on_a_terminal_several_jobs_are_shown_and_asked_about(
    typed: str, command: Command, fake: FakeOperator, answer: Callable[[str], Terminal]
) -> None:
    fake.sheet = MANY
    screen = answer(typed)
    assert command("retry", "spring/*").code == 0
    assert ("carry out",) in fake.asked
    assert "spring/one (failed): submitted anew" in screen.getvalue()
    assert "retry: 3 jobs match, 2 would be changed. Go on? [y/N]" in screen.getvalue()


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_any_other_answer_changes_nothing(
    typed: str, command: Command, fake: FakeOperator, answer: Callable[[str], Terminal]
) -> None:
    fake.sheet = MANY
    screen = answer(typed)
    assert command("retry", "spring/*").code == 1
    assert ("carry out",) not in fake.asked
    assert screen.getvalue().endswith("nothing was changed: the answer was not yes\n")


def test_nothing_is_asked_where_nothing_would_be_changed(
    command: Command, fake: FakeOperator
) -> None:
    fake.sheet = sheet(step("one", LEAVE), step("two", LEAVE))
    assert command("retry", "spring/*").code == 0
    assert ("carry out",) not in fake.asked


@pytest.mark.parametrize(
    ("steps", "name", "code"),
    [
        ((step("one", REFUSE),), "retry", 1),
        ((step("one", result=Result.STALE),), "retry", 1),
        ((step("one", LEAVE),), "retry", 0),
        ((step("one", LEAVE),), "resolve", 1),
        ((step("one", LEAVE), step("two", result=Result.CHANGED)), "resolve", 0),
        ((step("one", result=Result.CHANGED), step("two", REFUSE)), "cancel", 1),
    ],
)
def test_the_exit_code_tells_whether_all_could_be_done(
    steps: tuple[Step, ...], name: str, code: int
) -> None:
    assert sheet(*steps, command=name).exit_code == code


def test_nothing_matched_is_wrong_usage(command: Command, fake: FakeOperator) -> None:
    fake.error = UsageError("no job matches x")
    assert command("cancel", "x").code == 2
    assert command("cancel", "x", "--json").document["error"]["code"] == 2


def test_the_document_lists_every_job_and_what_to_type(
    command: Command, fake: FakeOperator
) -> None:
    fake.sheet = sheet(step("one"), step("two", REFUSE))
    ended = command("retry", "spring/*", "--yes", "--json")
    assert ended.code == 1
    assert ended.document == {
        "command": "retry",
        "rehearsal": False,
        "counts": {"changed": 1, "refused": 1},
        "jobs": [
            {
                "batch": "spring",
                "id": "one",
                "before": "failed",
                "after": "ready",
                "result": "changed",
                "event": "retry_submit",
                "message": "submitted anew",
                "warning": None,
            },
            {
                "batch": "spring",
                "id": "two",
                "before": "failed",
                "after": None,
                "result": "refused",
                "event": None,
                "message": "in doubt",
                "warning": None,
            },
        ],
        "dry_run": False,
        "next": [
            "orchestrator run jobs.yaml    # goes on with it",
            "orchestrator why spring/two    # says more",
        ],
    }


RESOLVE = [
    (("--task-id", "9c3e"), ("adopt", "hello", "9c3e", False)),
    (("--task-id", "9c3e", "--force"), ("adopt", "hello", "9c3e", True)),
    (("--resubmit",), ("resubmit", "hello")),
    (("--drop",), ("drop", "hello")),
]


@pytest.mark.parametrize(("flags", "question"), RESOLVE)
def test_resolve_asks_for_one_of_three_ways(
    flags: tuple[str, ...], question: tuple[Any, ...], command: Command, fake: FakeOperator
) -> None:
    assert command("resolve", "hello", *flags).code == 0
    assert question in fake.asked


@pytest.mark.parametrize(
    "words",
    [
        ("hello",),
        ("hello", "--resubmit", "--drop"),
        ("hello", "--task-id", "9c3e", "--drop"),
        ("hello", "bye", "--task-id", "9c3e"),
        ("hello", "--drop", "--force"),
    ],
)
def test_resolve_refuses_a_muddle(
    words: tuple[str, ...], command: Command, fake: FakeOperator
) -> None:
    ended = command("resolve", *words)
    assert ended.code == 2
    assert fake.asked == []


def test_why_tells_the_story(command: Command, fake: FakeOperator) -> None:
    ended = command("why", "hello", "--emulator", "--state", "my data")
    assert ended.code == 0
    assert fake.asked == [
        ("open", Path("my data"), True),
        ("why", "hello", " --state 'my data'"),
    ]
    lines = ended.out.splitlines()
    assert lines[0] == f"{STORY.headline}."
    assert lines[-1] == "  orchestrator retry spring/hello"
    assert [line for line in lines if line and not line.startswith(" ")][1:] == [
        "history",
        "attempts",
        "what happens next",
        "to type",
    ]


def test_why_as_a_document_holds_sentences_and_events(command: Command) -> None:
    document = command("why", "hello", "--json").document
    assert document["headline"] == STORY.headline
    assert document["events"] == [
        {
            "at": NOON,
            "kind": "submit_refused",
            "before": "submitting",
            "after": "failed",
            "attempt": 1,
            "task_id": None,
            "reason": "vendor:4003",
            "message": None,
            "data": {},
            "sentence": "the vendor refused it",
        }
    ]


def test_why_of_one_name_under_two_accounts_is_a_list(command: Command, fake: FakeOperator) -> None:
    fake.views = [WHY, WHY]
    assert len(command("why", "hello", "--json").document["jobs"]) == 2


@pytest.mark.parametrize("width", [40, 80])
def test_a_story_fits_the_terminal_but_for_its_commands(width: int) -> None:
    lines = why_lines(WHY, width)
    assert max(len(line) for line in lines if "orchestrator" not in line) <= width
    assert "  orchestrator retry spring/hello" in lines


def test_only_the_first_jobs_of_a_group_are_named() -> None:
    lines = sheet_lines(sheet(*(step(f"job-{n}") for n in range(25))), None)
    assert lines[0] == "would be changed: 25 jobs"
    assert lines[-1] == "  and 15 more"
    assert len(lines) == 12


def test_a_warning_stands_under_its_job() -> None:
    warned = step("one", replace(CHANGE, warning="it may be paid for a second time"))
    assert sheet_lines(sheet(warned), None)[-1] == "    beware: it may be paid for a second time"


def test_a_summary_names_the_rehearsal() -> None:
    rehearsed = replace(sheet(step("one", result=Result.CHANGED)), rehearsal=True)
    assert summary(rehearsed, dry_run=False) == "retry (rehearsal): 1 changed"


def test_a_rehearsal_is_marked_wherever_it_is_named(command: Command, fake: FakeOperator) -> None:
    fake.views = [replace(WHY, rehearsal=True)]
    told = command("why", "hello").out.splitlines()[0]
    assert told.startswith("spring/hello (rehearsal) failed, since ")
    fake.sheet = replace(sheet(step("hello")), rehearsal=True)
    assert "(rehearsal)" in question(fake.sheet)
    lines = command("retry", "hello").out.splitlines()
    assert lines[-2:] == [
        "retry (rehearsal): 1 changed",
        "next: orchestrator run jobs.yaml --emulator    # goes on with it",
    ]


def test_a_rehearsal_of_a_real_job_s_name_is_mentioned(
    command: Command, fake: FakeOperator
) -> None:
    fake.views = [replace(WHY, rehearsed_too=True)]
    fake.sheet = replace(sheet(step("hello")), rehearsed_too=True)
    for name in ("why", "retry"):
        ended = command(name, "hello", "--json")
        assert "a rehearsal of this name exists, too (--emulator)" in ended.err
        assert "rehearsed_too" not in ended.document


def test_the_question_counts() -> None:
    assert question(sheet(step("one"))) == "retry: 1 job matches, 1 would be changed"


def test_after_a_cancel_the_next_command_looks_at_the_batch() -> None:
    done = sheet(step("one", result=Result.CHANGED), command="cancel")
    assert next_commands(done, ["--emulator"]) == [
        "orchestrator status spring --emulator    # shows how it stands now"
    ]


def test_after_a_drop_no_run_is_said_to_go_on_with_the_job() -> None:
    dropped = step("one", result=Result.CHANGED, after=State.FAILED)
    assert next_commands(sheet(dropped, command="resolve"), []) == [
        "orchestrator status spring    # shows how it stands now; no run submits what was given up"
    ]
    anew = step("two", result=Result.CHANGED, after=State.PENDING)
    assert next_commands(sheet(dropped, anew, command="resolve"), []) == [
        "orchestrator run jobs.yaml    # goes on with it"
    ]


def test_with_a_run_at_work_the_next_command_waits_for_it() -> None:
    done = sheet(step("one", result=Result.CHANGED), running=frozenset({"spring"}))
    assert [line.partition("    # ")[0] for line in next_commands(done, [])] == [
        "orchestrator status spring",
        "orchestrator run jobs.yaml",
    ]
    assert "after the run at work" in next_commands(done, [])[1]


class Line:
    """What a shell has typed so far, as a completion sees it."""

    def __init__(self, **params: Any) -> None:
        self.params = params


@pytest.mark.parametrize("state", ["missing", "damaged"])
def test_completion_is_silent_whatever_the_state(
    state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if state == "damaged":
        (tmp_path / "state.db").write_bytes(b"no database at all" * 100)
    line: Any = Line(state=tmp_path, emulator=False)
    assert complete.job(line, "spring/") == []
    assert complete.batch(line, "") == []
    assert capsys.readouterr() == ("", "")
