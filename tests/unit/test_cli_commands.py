"""Every command against a fake facade: what it asks, what it prints where, how it ends."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_fakes import (
    NOON,
    FakeOrchestrator,
    batch_view,
    complaint,
    job_view,
    plan_view,
    problem,
    run_view,
)

from orchestrator.app import Rehearsal, RunOptions
from orchestrator.cli import facade, output, planned, standing, summary, words
from orchestrator.cli.main import main
from orchestrator.errors import (
    BatchLocked,
    CredentialsError,
    ManifestError,
    StoreFull,
    UsageError,
)
from orchestrator.model import Complaint, Place, State
from orchestrator.report.told import Told
from orchestrator.report.views import Why, pace_of

MANIFEST = Path("jobs.yaml")


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
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeOrchestrator:
    orchestrator = FakeOrchestrator()
    monkeypatch.setattr(facade, "make_orchestrator", lambda state: orchestrator)
    monkeypatch.delenv("ORCHESTRATOR_STATE", raising=False)
    return orchestrator


@pytest.fixture
def command(
    fake: FakeOrchestrator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    def call(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *words])
        code = main()
        return Ended(code, *capsys.readouterr())

    return call


def test_run_hands_its_flags_to_the_facade(command: Command, fake: FakeOrchestrator) -> None:
    fake.ran = run_view()
    flags = "--only a* --only b* --limit 3 --retry-failed --skip-existing --new-account"
    more = "--same-batch --emulator --faults f.yaml --time-scale 60"
    assert command("run", "jobs.yaml", *flags.split(), *more.split()).code == 0
    options = RunOptions(
        rehearsal=Rehearsal(faults=Path("f.yaml"), time_scale=60.0),
        only=("a*", "b*"),
        limit=3,
        retry_failed=True,
        skip_existing=True,
        new_account=True,
        same_batch=True,
    )
    assert fake.asked == [("run", MANIFEST, options)]


def test_run_without_flags_asks_for_the_defaults(command: Command, fake: FakeOrchestrator) -> None:
    fake.ran = run_view()
    command("run", "jobs.yaml")
    command("run", "jobs.yaml", "--emulator")
    assert fake.asked == [
        ("run", MANIFEST, RunOptions()),
        ("run", MANIFEST, RunOptions(rehearsal=Rehearsal())),
    ]


@pytest.mark.parametrize("given", ["flag", "environment"])
def test_the_state_folder_comes_from_the_flag_or_the_environment(
    given: str, command: Command, fake: FakeOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path | None] = []

    def make(state: Path | None) -> FakeOrchestrator:
        folders.append(state)
        return fake

    monkeypatch.setattr(facade, "make_orchestrator", make)
    if given == "environment":
        monkeypatch.setenv("ORCHESTRATOR_STATE", "/var/avatars")
    command("status", *(["--state", "/var/avatars"] if given == "flag" else []))
    assert folders == [Path("/var/avatars")]


def test_run_ends_with_headline_counts_troubles_places_and_next_steps(
    command: Command, fake: FakeOrchestrator
) -> None:
    jobs = [
        job_view("a"),
        job_view("b", State.FAILED, error="the vendor says:\nno such voice (4003)"),
        job_view("c", State.IN_DOUBT, error="the reply to its submit was lost"),
        job_view("d", State.SUBMITTED, overdue=True),
    ]
    fake.ran = run_view(
        *jobs,
        exit_code=4,
        headline="spring: 1 of 4 done.",
        outputs="/videos/out",
        state_dir="/videos/state",
        next_steps=("orchestrator run jobs.yaml --retry-failed  (to try again)",),
    )
    ended = command("run", "jobs.yaml")
    assert ended.code == 4
    assert ended.out.splitlines() == [
        "spring: 1 of 4 done.",
        "",
        "  submitted   1",
        "  in doubt    1",
        "  done        1",
        "  failed      1",
        "  this run: 3 files uploaded, 2 jobs submitted, 1 video downloaded, in 1 min 12 s",
        "",
        "  b (failed): the vendor says: no such voice (4003)",
        "  c (in doubt): the reply to its submit was lost",
        "  d (overdue): -",
        "",
        "videos  /videos/out",
        "state   /videos/state",
        "next    orchestrator run jobs.yaml --retry-failed  (to try again)",
    ]
    assert "spring: run begins" in ended.err
    assert "spring: run ends" in ended.err


def test_run_with_json_ends_with_the_object_of_status(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.ran = run_view(job_view("hello", credits=1.5), exit_code=3)
    ended = command("run", "jobs.yaml", "--json")
    assert ended.code == 3
    assert ended.document == {
        "batch": "spring",
        "counts": {"done": 1},
        "jobs": [
            {
                "id": "hello",
                "state": "done",
                "task_id": "task-of-hello",
                "output": "/videos/out/hello.mp4",
                "attempts": 1,
                "credits": 1.5,
                "error": None,
            }
        ],
        "left_out": 0,
    }
    assert "every job is done" in ended.err


@pytest.mark.parametrize("code", [0, 1, 3, 4, 5, 6, 130, 143])
def test_a_run_ends_with_the_code_of_its_result(
    code: int, command: Command, fake: FakeOrchestrator
) -> None:
    fake.ran = run_view(exit_code=code)
    assert command("run", "jobs.yaml", "--quiet").code == code
    assert command("run", "jobs.yaml", "--json").code == code


def test_on_eighty_columns_nothing_but_commands_and_paths_is_wider() -> None:
    long = "a reason of many words " * 12
    troubled = job_view("customer-of-the-north-7", State.FAILED, error=long)
    view = plan_view(("a", Why.CHANGED, long), ("b", Why.CHANGED, "short"), balance=None)
    ended = run_view(
        troubled,
        notes=(long,),
        headline=long,
        next_steps=(f"orchestrator run jobs.yaml    # {'w' * 50}",),
    )
    status = batch_view(troubled, manifest="jobs.yaml")
    for lines in (
        planned.plan_lines(view, 80, every_job=True),
        planned.plan_steps(view, "orchestrator run jobs.yaml", None, 80),
        summary.run_lines(ended, 80),
        standing.detail(status, None, 80),
        standing.briefs([status, batch_view(batch="b" * 90)], 80),
        standing.job_lines([("spring", troubled)], 80),
    ):
        assert max(map(len, lines)) <= 80


def test_a_quiet_run_says_nothing_but_problems_and_the_last_line(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.ran = run_view()
    fake.notices = (problem("no such voice"),)
    ended = command("run", "jobs.yaml", "--quiet")
    assert ended.out == "spring: every job is done.\n"
    assert ended.err.splitlines()[0].endswith("problem: job-7: no such voice")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--faults", "f.yaml"], "--faults is for the emulator: add --emulator, or leave it out"),
        (["--time-scale", "3"], "--time-scale is for the emulator: add --emulator, or leave it"),
        (["--emulator", "--time-scale", "0"], "--time-scale 0: must be a number above 0"),
        (["--emulator", "--time-scale", "nan"], "--time-scale nan: must be a number above 0"),
        (["--sample", "3", "--limit", "3"], "--sample and --limit both say how many"),
        (["--overwrite", "--skip-existing"], "--overwrite and --skip-existing contradict"),
    ],
)
def test_flags_that_make_no_sense_are_refused_before_anything_happens(
    flags: list[str], message: str, command: Command, fake: FakeOrchestrator
) -> None:
    ended = command("run", "jobs.yaml", *flags)
    assert ended.code == 2
    assert message in ended.err
    assert fake.asked == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such file: jobs.yaml"), 2),
        (BatchLocked("batch spring is held by pid 4711 on host"), 7),
        (CredentialsError("TOPVIEW_API_KEY is not set"), 8),
        (StoreFull("no room left on /videos/state"), 9),
    ],
)
def test_an_expected_error_is_one_clear_message_and_its_exit_code(
    error: Exception, code: int, command: Command, fake: FakeOrchestrator
) -> None:
    fake.error = error
    ended = command("run", "jobs.yaml")
    assert (ended.code, ended.out, ended.err) == (code, "", f"orchestrator: {error}\n")
    ended = command("run", "jobs.yaml", "--json")
    assert ended.document == {"error": {"code": code, "message": str(error), "complaints": []}}


def test_the_gravest_error_of_a_group_decides(command: Command, fake: FakeOrchestrator) -> None:
    inner = ExceptionGroup("stages", [ValueError("x"), CredentialsError("refused")])
    fake.error = ExceptionGroup("run", [inner, StoreFull("no room")])
    ended = command("run", "jobs.yaml")
    assert (ended.code, ended.err) == (9, "orchestrator: no room\n")


def test_a_wrong_manifest_gives_one_line_a_complaint_and_their_number(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.error = ManifestError([complaint("odd", warning=True), complaint()])
    ended = command("plan", "jobs.yaml")
    assert ended.code == 2
    assert ended.err.splitlines() == [
        "jobs.yaml:3:5: unknown key 'avatr'; did you mean 'avatar'?",
        "jobs.yaml:3:5: warning: odd; did you mean 'avatar'?",
        "1 complaint, 1 warning",
    ]


def test_a_wrong_manifest_with_json_is_an_error_document(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.error = ManifestError([complaint()])
    assert command("plan", "jobs.yaml", "--json").document == {
        "error": {
            "code": 2,
            "message": "1 complaint",
            "complaints": [
                {
                    "file": "jobs.yaml",
                    "line": 3,
                    "column": 5,
                    "problem": "unknown key 'avatr'",
                    "remedy": "did you mean 'avatar'?",
                    "warning": False,
                }
            ],
        }
    }


def test_an_unexpected_error_is_one_sentence_that_names_debug(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.error = KeyError("slots")
    ended = command("run", "jobs.yaml")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "orchestrator: unexpected error, a fault of this program: KeyError: 'slots'. "
        "Run again with --debug for the traceback.\n"
    )


def test_debug_shows_the_traceback(command: Command, fake: FakeOrchestrator) -> None:
    fake.error = KeyError("slots")
    ended = command("run", "jobs.yaml", "--debug")
    assert ended.code == 1
    assert "Traceback (most recent call last)" in ended.err
    assert "Run again" not in ended.err


def test_an_interrupted_command_ends_130_with_an_error_document(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(state: Path | None) -> FakeOrchestrator:
        raise KeyboardInterrupt

    monkeypatch.setattr(facade, "make_orchestrator", interrupted)
    ended = command("jobs", "--json")
    assert ended.code == 130
    assert ended.document["error"] == {"code": 130, "message": "interrupted", "complaints": []}


def test_plan_groups_the_jobs_and_names_uploads_credits_and_time(
    command: Command, fake: FakeOrchestrator
) -> None:
    new = [(f"n{i}", Why.NEW, "not in the state store") for i in range(7)]
    fake.planned = plan_view(("k", Why.KEEP, "done, unchanged"), *new, uploaded_already=2)
    ended = command("plan", "jobs.yaml")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "spring: 8 jobs, jobs.yaml",
        "",
        "  new         7  made for the first time",
        "  keep        1  done, unchanged: kept as they are",
        "",
        "new: not in the state store",
        *(f"  n{i}" for i in range(5)),
        "  ... and 2 more (--all shows them)",
        "",
        "uploads  3 files, 412 MB; 2 there already",
        "submits  8 jobs",
        "credits  about 12 (estimate: nothing learned yet);"
        " balance not known (no credentials, or no answer)",
        "time     at least 1 min 30 s",
        "Nothing was sent or stored.",
        "next     orchestrator run jobs.yaml",
    ]


def test_a_group_with_several_reasons_names_each(command: Command, fake: FakeOrchestrator) -> None:
    changed = [("a", Why.CHANGED, "changed: mode"), ("long", Why.CHANGED, "changed: audio.text")]
    fake.planned = plan_view(*changed, credits_learned=1)
    lines = command("plan", "jobs.yaml").out.splitlines()
    assert lines[4:7] == ["changed", "  a     mode", "  long  audio.text"]
    assert "credits  about 12 (learned for 1 of 2 jobs, the others estimated)" in "\n".join(lines)


def test_a_plan_says_how_long_it_probably_takes(command: Command, fake: FakeOrchestrator) -> None:
    pace = pace_of(500, interval_s=1.0, in_flight=4, render_s=160.0)
    fake.planned = plan_view(("a", Why.NEW, ""), pace=pace)
    time = "about 5 h 34 min (estimate: assumed 2 min 40 s a video, 4 at once)"
    assert f"time     {time}; at least 1 min 30 s\n" in command("plan", "jobs.yaml").out


@pytest.mark.parametrize(
    ("submits", "in_flight", "interval_s", "seconds"),
    [(0, 2, 1.0, 0.0), (1, 2, 1.0, 160.0), (3, 2, 1.0, 320.0), (9, 100, 60.0, 640.0)],
)
def test_the_time_is_bound_by_slots_or_by_submits(
    submits: int, in_flight: int, interval_s: float, seconds: float
) -> None:
    pace = pace_of(submits, interval_s=interval_s, in_flight=in_flight, render_s=160.0)
    assert pace.time_s == seconds


def test_a_plan_with_a_file_in_the_way_says_that_a_run_would_stop(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.planned = plan_view(("a", Why.CONFLICT, "its output file exists"))
    ended = command("plan", "jobs.yaml")
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == (
        "run would stop with exit code 2: 1 file in the way (--skip-existing, --overwrite)"
    )
    assert command("plan", "jobs.yaml", "--json").document["run_stops"] is True


def test_a_plan_can_be_written_to_a_file_and_names_the_run_that_keeps_to_it(
    command: Command, fake: FakeOrchestrator, tmp_path: Path
) -> None:
    fake.planned = plan_view(("a", Why.NEW, ""))
    ended = command("plan", "jobs.yaml", "--only", "a*", "--out", str(tmp_path / "plan.json"))
    assert json.loads((tmp_path / "plan.json").read_text()) == fake.planned.to_json()
    again = f"orchestrator run jobs.yaml --only 'a*' --plan {tmp_path}/plan.json"
    assert ended.out.splitlines()[-1] == f"next     {again}"


def test_a_plan_that_cannot_be_written_or_read_ends_2(
    command: Command, fake: FakeOrchestrator, tmp_path: Path
) -> None:
    fake.planned = plan_view()
    ended = command("plan", "jobs.yaml", "--out", str(tmp_path / "none" / "plan.json"))
    assert (ended.code, "cannot write" in ended.err) == (2, True)
    for text in (None, "{", "[]", '{"version": 2, "jobs": []}'):
        path = tmp_path / "plan.json"
        if text is not None:
            path.write_text(text)
        ended = command("run", "jobs.yaml", "--plan", str(path))
        assert (ended.code, "plan" in ended.err) == (2, True)
    assert [question[0] for question in fake.asked] == ["plan"]


def test_sample_and_approved_plan_reach_the_facade(
    command: Command, fake: FakeOrchestrator, tmp_path: Path
) -> None:
    fake.planned, fake.ran = plan_view(("a", Why.NEW, "")), run_view()
    plan = tmp_path / "plan.json"
    command("plan", "jobs.yaml", "--sample", "3", "--out", str(plan))
    assert command("run", "jobs.yaml", "--sample", "3", "--plan", str(plan)).code == 0
    assert fake.asked[0] == ("plan", MANIFEST, RunOptions(sample=3))
    options = fake.asked[1][2]
    assert (options.sample, options.approved.batch, options.approved.credits) == (3, "spring", 12.0)


def test_plan_shows_every_job_if_asked(command: Command, fake: FakeOrchestrator) -> None:
    fake.planned = plan_view(*((f"n{i}", Why.NEW, "new here") for i in range(7)))
    assert "  n6" in command("plan", "jobs.yaml", "--all").out


@pytest.mark.parametrize(
    ("balance", "words"), [(300.0, "balance 300\n"), (10.5, "balance 10.5: 1.5 too few\n")]
)
def test_plan_compares_the_balance_with_the_estimate(
    balance: float, words: str, command: Command, fake: FakeOrchestrator
) -> None:
    fake.planned = plan_view(("a", Why.NEW, ""), balance=balance)
    assert f"(estimate: nothing learned yet); {words}" in command("plan", "jobs.yaml").out


def test_plan_with_json_is_the_plans_object_and_warnings_stay_words(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.planned = plan_view(("a", Why.NEW, ""), warnings=(complaint("odd", warning=True),))
    ended = command("plan", "jobs.yaml", "--json", "--emulator", "--only", "a")
    assert ended.document == fake.planned.to_json()
    assert ended.err == "jobs.yaml:3:5: warning: odd; did you mean 'avatar'?\n"
    assert fake.asked == [("plan", MANIFEST, RunOptions(rehearsal=Rehearsal(), only=("a",)))]


def test_every_reason_of_a_plan_has_words() -> None:
    from orchestrator.cli.planned import WHAT

    assert list(WHAT) == list(Why)


def test_validate_lists_complaints_and_nothing_else_on_stdout(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.complaints = (complaint(), complaint("odd", warning=True))
    ended = command("validate", "jobs.yaml")
    assert ended.code == 2
    assert len(ended.out.splitlines()) == 2
    assert ended.err == "jobs.yaml: 1 complaint, 1 warning\n"


def placed(file: Path, problem: str) -> Complaint:
    return Complaint(place=Place(file=str(file), line=3, column=5), problem=problem, remedy="mend")


def test_complaints_name_files_as_they_were_typed(
    command: Command, fake: FakeOrchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows, manifest = tmp_path / "batch" / "a.csv", tmp_path / "batch" / "jobs.yaml"
    fake.complaints = (placed(rows, "odd row"), placed(manifest, "odd key"))
    assert command("validate", "batch/jobs.yaml").out.splitlines() == [
        "batch/jobs.yaml:3:5: odd key; mend",
        "batch/a.csv:3:5: odd row; mend",
    ]
    assert command("validate", str(manifest)).out.splitlines() == [
        f"{manifest}:3:5: odd key; mend",
        f"{rows}:3:5: odd row; mend",
    ]
    shown = command("validate", "batch/jobs.yaml", "--json").document["complaints"]
    assert [c["file"] for c in shown] == [str(rows), str(manifest)]
    fake.error = ManifestError(fake.complaints)
    assert command("run", "batch/jobs.yaml").err.startswith("batch/jobs.yaml:3:5: odd key; mend\n")


def test_on_a_terminal_complaints_are_broken_between_words(
    command: Command, fake: FakeOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "width", lambda stream=None: 80)
    fake.complaints = (complaint("a problem of many words " * 8),)
    lines = command("validate", "jobs.yaml").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(line.strip() for line in lines) == " ".join(str(fake.complaints[0]).split())


def test_warnings_alone_leave_a_manifest_valid(command: Command, fake: FakeOrchestrator) -> None:
    fake.complaints = (complaint("odd", warning=True),)
    ended = command("validate", "jobs.yaml", "--json")
    assert ended.code == 0
    assert ended.document["valid"] is True
    assert [c["warning"] for c in ended.document["complaints"]] == [True]


def test_validate_lists_the_complaints_of_a_file_that_cannot_be_read_at_all(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.error = ManifestError([complaint("no mapping")])
    ended = command("validate", "jobs.yaml")
    assert (ended.code, ended.out.count("no mapping")) == (2, 1)


def test_status_without_a_batch_is_one_line_each(command: Command, fake: FakeOrchestrator) -> None:
    fake.views = [
        batch_view(job_view("a"), job_view("b", State.FAILED), running="pid 4711 on host"),
        batch_view(batch="autumn", rehearsal=True, orphans=1),
    ]
    ended = command("status")
    assert ended.out.splitlines() == [
        "spring: 1 of 2 done, 1 failed, running (pid 4711 on host)",
        "autumn (rehearsal): 1 of 1 done, besides 1 orphan",
    ]


@pytest.mark.parametrize("flags", [(), ("--quiet",)])
def test_the_headline_of_a_rehearsal_says_that_it_is_one(
    flags: tuple[str, ...], command: Command, fake: FakeOrchestrator
) -> None:
    fake.ran = run_view(status=batch_view(rehearsal=True), headline="spring: all 2 videos done")
    ended = command("run", "jobs.yaml", "--emulator", *flags)
    assert ended.out.splitlines()[0] == "spring (rehearsal): all 2 videos done"


def test_status_of_a_batch_names_failures_and_the_next_command(
    command: Command, fake: FakeOrchestrator
) -> None:
    jobs = [job_view("a"), job_view("b", State.FAILED, error="no such voice")]
    fake.views = [batch_view(*jobs, credits=2.5, rehearsal=True)]
    ended = command("status", "spring", "--state", "my state")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "spring (rehearsal): 1 of 2 done",
        "",
        "  done        1",
        "  failed      1",
        "",
        "  b (failed): no such voice",
        "",
        "manifest  jobs.yaml",
        "credits   2.5",
        "next      orchestrator jobs spring --in failed --state 'my state'"
        "    # shows why they failed",
        "next      orchestrator run jobs.yaml --emulator --state 'my state' --retry-failed"
        "    # tries the failed jobs again",
    ]


def test_status_of_an_unfinished_batch_says_how_it_goes_on(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.views = [batch_view(job_view("a", State.SUBMITTED), last_exit=130, last_ended_at=1.75e9)]
    lines = command("status", "spring").out.splitlines()
    assert lines[-1] == ("next      orchestrator run jobs.yaml    # goes on where this run stopped")
    assert lines[-2].endswith("exit code 130")


def test_status_counts_jobs_that_the_last_run_left_out(
    command: Command, fake: FakeOrchestrator
) -> None:
    told = Told(jobs=12, existing=1, by=("--only", "--sample"))
    fake.views = [batch_view(job_view("a"), left_out=11, told=told)]
    lines = command("status", "spring").out.splitlines()
    assert lines[0] == (
        "spring: 1 of 12 done, 10 not started: left out by --only and --sample of the last run"
    )
    assert "existing  1 job left out (--skip-existing)" in lines
    assert lines[-1] == (
        "next      orchestrator run jobs.yaml    # makes the 10 not selected this time, too"
    )
    assert command("status").out == "spring: 1 of 12 done, 10 not started\n"


def test_status_of_a_rehearsal_goes_on_with_its_flags(
    command: Command, fake: FakeOrchestrator
) -> None:
    told = Told(jobs=1, rehearsal=("--emulator", "--time-scale", "60"), time_scale=60.0)
    fake.views = [batch_view(job_view("a", State.READY), rehearsal=True, told=told)]
    assert command("status", "spring").out.splitlines()[-1] == (
        "next      orchestrator run jobs.yaml --emulator --time-scale 60"
        "    # goes on where this run stopped"
    )


def test_status_of_a_batch_without_credit_says_what_it_needs(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.views = [batch_view(job_view("a", State.READY), last_exit=5, last_ended_at=NOON)]
    last = command("status", "spring").out.splitlines()[-1]
    assert last.endswith("# goes on, once budget.credits is raised or credit is bought")


def test_status_of_a_batch_whose_run_was_killed_says_so_and_how_it_goes_on(
    command: Command, fake: FakeOrchestrator
) -> None:
    cut = batch_view(job_view("a", State.SUBMITTING), last_began_at=NOON)
    fake.views = [cut]
    began = words.moment(NOON)
    assert command("status", "spring").out.splitlines()[-2:] == [
        f"last run  began {began} and was cut off (killed, or the machine stopped)",
        "next      orchestrator run jobs.yaml    # goes on where the last run was cut off",
    ]
    assert command("status").out == "spring: 0 of 1 done, 1 submitting, last run cut off\n"
    for whole in ({"running": "process 4711 on host"}, {"last_ended_at": NOON + 9}):
        fake.views = [replace(cut, **whole)]
        assert "cut off" not in command("status", "spring").out


def test_jobs_given_up_in_doubt_are_not_sent_in_a_circle(
    command: Command, fake: FakeOrchestrator
) -> None:
    dropped = job_view("b", State.FAILED, given_up=True)
    fake.views = [batch_view(job_view("a"), dropped)]
    shown = command("status", "spring").out
    assert "--retry-failed" not in shown
    assert "orchestrator why spring/JOB    # says how 'resolve' brings back" in shown
    fake.views = [batch_view(job_view("a", State.FAILED), dropped)]
    assert "--retry-failed" in command("status", "spring").out


def test_status_of_a_running_batch_says_how_to_look_on(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.views = [batch_view(job_view("a", State.READY), running="process 4711 on host")]
    assert command("status", "spring").out.splitlines()[-2:] == [
        "running   process 4711 on host",
        "next      orchestrator status spring --watch",
    ]


def test_status_of_an_empty_folder_is_no_error(command: Command, fake: FakeOrchestrator) -> None:
    ended = command("status", "--state", "/nowhere")
    assert (ended.code, ended.out) == (0, "no batches in /nowhere\n")
    assert command("status", "--json").document == {"batches": []}


@pytest.mark.parametrize("name", ["status", "jobs"])
@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ("sprin", "no batch sprin in state; did you mean spring?"),
        ("x", "no batch x in state; there is: autumn, spring, winter (rehearsal)"),
        ("autumn", "no rehearsal autumn in state, but a batch: leave out --emulator"),
    ],
)
def test_an_unknown_batch_is_a_slip(
    name: str, batch: str, told: str, command: Command, fake: FakeOrchestrator
) -> None:
    rehearsed = batch_view(batch="winter", rehearsal=True)
    fake.views = [batch_view(), batch_view(batch="autumn"), rehearsed]
    ended = command(name, batch, *(["--emulator"] if batch == "autumn" else []))
    assert (ended.code, ended.out, ended.err) == (2, "", f"orchestrator: {told}\n")


@pytest.mark.parametrize("name", ["status", "jobs"])
def test_a_batch_in_a_folder_without_any_is_a_slip(
    name: str, command: Command, fake: FakeOrchestrator
) -> None:
    ended = command(name, "spring", "--state", "/nowhere")
    assert ended.code == 2
    assert "no batch spring in /nowhere: there is none at all (--state DIR?)" in ended.err


def test_no_job_of_a_batch_that_is_there_is_no_slip(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.views = [batch_view()]
    ended = command("jobs", "spring", "--in", "failed")
    assert (ended.code, ended.err) == (0, "no such jobs\n")


@pytest.mark.parametrize("name", [("jobs",), ("export", "spring")])
def test_a_state_that_does_not_exist_is_told_with_the_one_that_was_meant(
    name: tuple[str, ...], command: Command
) -> None:
    ended = command(*name, "--in", "faild")
    assert (ended.code, "--in faild: no such state (did you mean failed?); there" in ended.err) == (
        2,
        True,
    )
    ended = command(*name, "--in", "xyz")
    assert "no such state; there are: pending, ready, submitting" in ended.err
    ended = command(*name, "--state", "faild")
    assert (ended.code, "for the jobs in a state: --in failed" in ended.err) == (2, True)


def test_status_with_json_is_the_object_of_the_one_batch(
    command: Command, fake: FakeOrchestrator
) -> None:
    live, rehearsal = batch_view(), batch_view(job_view("r"), rehearsal=True)
    fake.views = [live, rehearsal]
    assert command("status", "spring", "--json").document == live.to_json()
    assert command("status", "spring", "--json", "--emulator").document == rehearsal.to_json()
    assert command("status", "--json").document == {
        "batches": [live.to_json(), rehearsal.to_json()]
    }
    fake.views = [rehearsal]
    assert command("status", "--json").document == rehearsal.to_json()


def test_who_watches_a_run_is_not_told_to_watch_it() -> None:
    view = batch_view(running="process 4711 on host")
    assert "--watch" in standing.detail(view, None)[-1]
    assert standing.detail(view, None, watching=True)[-1] == "running   process 4711 on host"
    failed = batch_view(job_view("b", State.FAILED))
    assert standing.detail(failed, None, watching=True) == standing.detail(failed, None)


def test_watching_and_json_exclude_each_other(command: Command) -> None:
    assert command("status", "--watch", "--json").code == 2


def test_watching_without_a_terminal_shows_the_status_once(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.views = [batch_view()]
    assert command("status", "--watch").out == "spring: 1 of 1 done\n"


def test_jobs_elsewhere_than_on_a_terminal_are_whole_and_tabbed(
    command: Command, fake: FakeOrchestrator
) -> None:
    long = "e" * 300
    fake.views = [batch_view(job_view("a"), job_view("b", State.FAILED, error=long, task_id=None))]
    assert command("jobs", "spring").out.splitlines() == [
        "ID\tSTATE\tTASK\tOUTPUT\tERROR",
        "a\tdone\ttask-of-a\t/videos/out/a.mp4\t",
        f"b\tfailed\t-\t/videos/out/b.mp4\t{long}",
    ]


def test_jobs_are_chosen_by_state_and_glob(command: Command, fake: FakeOrchestrator) -> None:
    fake.views = [batch_view(job_view("a"), job_view("b", State.FAILED, overdue=True))]
    ended = command("jobs", "--in", "failed", "--in", "in_doubt", "--match", "b*", "--json")
    assert fake.asked == [("jobs", None, "b*", (State.FAILED, State.IN_DOUBT))]
    assert [(j["batch"], j["id"]) for j in ended.document["jobs"]] == [("spring", "b")]


def test_jobs_are_chosen_by_tag_and_words_of_their_error(
    command: Command, fake: FakeOrchestrator
) -> None:
    jobs = [
        job_view("a", State.FAILED, error="Moderation: blocked", tags=("vip", "de")),
        job_view("b", State.FAILED, error="no such voice", tags=("vip",)),
        job_view("c", tags=("vip", "de")),
    ]
    fake.views = [batch_view(*jobs)]

    def ids(*flags: str) -> list[str]:
        return [job["id"] for job in command("jobs", "--json", *flags).document["jobs"]]

    assert ids("--tag", "vip", "--tag", "de") == ["a", "c"]
    assert ids("--error", "moderation") == ["a"]
    assert ids("--tag", "de", "--error", "voice") == []


def test_jobs_show_the_columns_that_were_asked_for(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.views = [batch_view(job_view("a", credits=1.5, tags=("vip", "de")))]
    ended = command("jobs", "--columns", "id, tags,credits,attempts,batch")
    assert ended.out.splitlines() == [
        "ID\tTAGS\tCREDITS\tATTEMPTS\tBATCH",
        "a\tvip, de\t1.5\t1\tspring",
    ]
    ended = command("jobs", "--columns", "id,colour")
    assert (ended.code, "no column colour; there are: batch, id" in ended.err) == (2, True)


def test_jobs_tell_rehearsals_apart(command: Command, fake: FakeOrchestrator) -> None:
    rehearsed = job_view("a", rehearsal=True)
    fake.views = [batch_view(job_view("a")), batch_view(rehearsed, rehearsal=True)]
    lines = command("jobs", "spring").out.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [
        ["BATCH", "ID"],
        ["spring", "a"],
        ["spring (rehearsal)", "a"],
    ]
    found = command("jobs", "--json", "--emulator").document["jobs"]
    assert [job["rehearsal"] for job in found] == [True]


def test_more_complaints_than_can_be_read_are_summed_up(
    command: Command, fake: FakeOrchestrator
) -> None:
    fake.complaints = tuple(complaint(f"no such file: media/{n}.wav") for n in range(51))
    ended = command("validate", "jobs.yaml")
    assert ended.out.splitlines() == [f"51 like {fake.complaints[0]}"]
    assert ended.err.splitlines() == [
        "jobs.yaml: 51 complaints",
        "Shown is one of each kind. All: orchestrator validate jobs.yaml --json",
    ]
    assert len(command("validate", "jobs.yaml", "--json").document["complaints"]) == 51
    fake.error = ManifestError(fake.complaints)
    ended = command("run", "jobs.yaml")
    assert ended.err.splitlines()[0] == f"51 like {fake.complaints[0]}"


def test_jobs_of_several_batches_name_them(command: Command, fake: FakeOrchestrator) -> None:
    fake.views = [batch_view(), batch_view(batch="autumn")]
    assert [line.split("\t")[0] for line in command("jobs").out.splitlines()] == [
        "BATCH",
        "spring",
        "autumn",
    ]


def test_no_such_jobs_is_no_error(command: Command) -> None:
    ended = command("jobs", "--match", "x*")
    assert (ended.code, ended.out, ended.err) == (0, "", "no such jobs\n")
    assert command("jobs", "--json").document == {"jobs": []}


def test_schema_prints_the_json_schema(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facade, "manifest_schema", lambda: {"type": "object"})
    assert command("schema").document == {"type": "object"}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []

    async def run_emulator(*asked: Any) -> None:
        *values, announce = asked
        calls.append(values)
        announce({"TOPVIEW_BASE_URL": "http://127.0.0.1:4711", "TOPVIEW_UID": "u 1"})
        await asyncio.sleep(0)

    monkeypatch.setattr(facade, "run_emulator", run_emulator)
    return calls


def test_the_emulator_prints_the_environment_and_its_data(
    command: Command, served: list[Any]
) -> None:
    ended = command("emulator", "--port", "4711", "--data", "/tmp/v", "--time-scale", "60")
    assert served == [[4711, Path("/tmp/v"), None, 60.0]]
    assert ended.out.splitlines() == [
        "export TOPVIEW_BASE_URL=http://127.0.0.1:4711",
        "export TOPVIEW_UID='u 1'",
    ]
    assert "are in /tmp/v. Ctrl-C ends it." in ended.err


def test_the_emulator_with_json_gives_the_environment_as_an_object(
    command: Command, served: list[Any]
) -> None:
    ended = command("emulator", "--json", "--faults", "f.yaml")
    assert served == [[0, Path("state/vendor"), Path("f.yaml"), 20.0]]
    assert ended.document["environment"]["TOPVIEW_UID"] == "u 1"
