"""The pages say what the program does, all of it and nothing else; links and examples work."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

from orchestrator import errors
from orchestrator.catalogues.facade import Avatar, Caption, Charge, Ethnicity, Voice
from orchestrator.cli import emulate, guard, results, standing, telling
from orchestrator.cli.main import EXAMPLES, app
from orchestrator.core.intervene import Effect, Ruling
from orchestrator.core.story import Story, Told, Typed
from orchestrator.doctor.findings import Report, warning
from orchestrator.manifest.schema import Head, Job, Matrix
from orchestrator.model import (
    AccountKey,
    AudioKind,
    AvatarKind,
    BatchKey,
    Complaint,
    Event,
    EventKind,
    JobId,
    JobKey,
    JobSpec,
    Place,
    Revision,
    State,
)
from orchestrator.model import Job as StoredJob
from orchestrator.operate.views import Sheet, WhyView, step_of
from orchestrator.report.export import COLUMNS
from orchestrator.report.views import BatchView, JobView, PlanLine, PlanView, Why
from orchestrator.results import Made
from orchestrator.store.base import BatchRow, StoredEvent

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
COMMANDS = (DOCS / "commands.md").read_text(encoding="utf-8")
JSON = (DOCS / "json.md").read_text(encoding="utf-8")
MANIFEST = (DOCS / "manifest.md").read_text(encoding="utf-8")
OTHER_SECTIONS = {"Exit codes", "Completion", "Environment"}


def section(page: str, title: str, level: str = "##") -> str:
    """The text under a heading, up to the next of its level."""
    return f"\n{page}".split(f"\n{level} {title}\n", 1)[1].split(f"\n{level} ")[0]


def first_cells(text: str) -> list[str]:
    """First cells of all table rows, without heads and rules."""
    cells = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    return [cell for cell in cells if cell.startswith("`")]


def words(cells: list[str]) -> list[str]:
    """Everything in back-ticks, without what follows a blank: `--limit N` is --limit."""
    return [code.split()[0] for cell in cells for code in re.findall(r"`([^`]+)`", cell)]


GROUP: Any = typer.main.get_command(app)


def test_the_reference_has_every_command_and_no_other() -> None:
    titles = set(re.findall(r"^## (.+)$", COMMANDS, re.M))
    assert titles - OTHER_SECTIONS == set(GROUP.commands)


@pytest.mark.parametrize("name", list(GROUP.commands))
def test_the_reference_has_every_flag_of_a_command_and_no_other(name: str) -> None:
    options = {o for p in GROUP.commands[name].params for o in p.opts if o.startswith("-")}
    shown = [word for word in words(first_cells(section(COMMANDS, name))) if word[0] == "-"]
    assert sorted(shown) == sorted(options | {"--help", "-h"})


def test_the_reference_has_every_group_of_a_plan_and_no_other() -> None:
    shown = [word for word in words(first_cells(section(COMMANDS, "plan"))) if word[0] != "-"]
    assert shown == [why.value for why in Why]


def all_codes() -> set[int]:
    """0, what errors end with, and what the order of gravity names."""
    kinds = [errors.OrchestratorError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return {0, *(kind.exit_code for kind in kinds), *guard._FIRST_THAT_APPLIES}


def test_exit_codes_are_the_same_in_the_code_the_reference_the_readme_and_the_help() -> None:
    table = r"^\| ([\d, ]+) \|"
    reference = re.findall(table, section(COMMANDS, "Exit codes"), re.M)
    readme = ", ".join(re.findall(table, (ROOT / "README.md").read_text(), re.M)).split(", ")
    help_text = EXAMPLES.split("Exit codes:")[1].split("\n\n")[0]
    in_help = re.findall(r"(?:^|[ /])(\d+)(?= |/)", help_text, re.M)
    for found in (reference, readme, in_help):
        assert sorted(map(int, found)) == sorted(all_codes())


def test_the_reference_has_every_environment_variable_and_no_other() -> None:
    name = re.compile(r"(?:TOPVIEW|ORCHESTRATOR)_[A-Z_]+")
    used = set()
    for path in sorted((ROOT / "orchestrator").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used |= {node.value} if name.fullmatch(node.value) else set()
    shown = set(words(first_cells(section(COMMANDS, "Environment"))))
    assert {word for word in shown if name.fullmatch(word)} == used
    assert shown - used == {"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "NO_COLOR"}


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Dotted keys of a model and of the mappings in it."""
    found = set()
    for name, info in model.model_fields.items():
        key = prefix + (info.alias or name)
        found.add(key)
        parts = [info.annotation, *getattr(info.annotation, "__args__", ())]
        inner = [p for p in parts if isinstance(p, type) and issubclass(p, BaseModel)]
        for part in inner:
            if name != "defaults":
                found |= keys(part, f"{key}.")
    return found


def test_the_reference_has_every_key_of_a_batch_and_of_a_job_and_no_other() -> None:
    batch = words(first_cells(section(MANIFEST, "Keys of the batch")))
    job = words(first_cells(section(MANIFEST, "Keys of a job")))
    assert set(batch) == keys(Head) | {"jobs", "matrix", "from"}
    assert set(job) == keys(Job, "jobs.")


def test_the_reference_has_every_key_of_a_matrix_that_is_no_key_of_a_job() -> None:
    shown = set(words(first_cells(section(MANIFEST, "Matrix"))))
    own = {f"matrix.{name}" for name in Matrix.model_fields.keys() - Job.model_fields.keys()}
    assert {key for key in shown if key.count(".") == 1} - {"matrix.id"} == own


JOB = JobView(
    id=JobId("hello"),
    state=State.DONE,
    task_id=None,
    output="hello.mp4",
    attempts=1,
    credits=1.0,
    error=None,
    tags=("vip",),
)
BATCH = BatchView(
    batch="spring", manifest="jobs.yaml", rehearsal=False, counts={State.DONE: 1}, jobs=(JOB,)
)
LINE = PlanLine(id=JobId("bye"), what=Why.NEW, reason="not made yet", revision=Revision("0f1e"))
PLAN = PlanView(
    batch="spring",
    manifest="jobs.yaml",
    rehearsal=False,
    lines=(LINE,),
    upload_files=1,
    upload_bytes=1,
    uploaded_already=0,
    submits=1,
    credits_estimate=1.0,
    balance=None,
    at_least_s=1.0,
    terms={"on_doubt": "hold", "retry_renders": 0},
)
HELLO = StoredJob(
    key=JobKey(1),
    job_id=JobId("hello"),
    state=State.IN_DOUBT,
    version=1,
    spec=JobSpec(
        job_id=JobId("hello"),
        avatar_kind=AvatarKind.PUBLIC,
        avatar="3327",
        audio_kind=AudioKind.TEXT,
        audio="Hello.",
        output=Path("hello.mp4"),
    ),
    revision=Revision("0f1e"),
)
EVENT = Event(kind=EventKind.SUBMIT_UNKNOWN, at=0.0)
WHY = WhyView(
    batch="spring",
    job=HELLO,
    rehearsal=False,
    story=Story(
        headline="spring/hello is in doubt",
        known=(),
        history=(Told(at=0.0, kind=EVENT.kind, attempt=1, sentence="nobody knows"),),
        attempts=(),
        next=(),
        commands=(Typed(command="orchestrator resolve spring/hello", does="settles it"),),
    ),
    events=(
        StoredEvent(
            job_id=HELLO.job_id, before=State.SUBMITTING, after=State.IN_DOUBT, event=EVENT
        ),
    ),
)
SPRING = BatchRow(
    key=BatchKey(1),
    name="spring",
    account=AccountKey(1),
    manifest=Path("jobs.yaml"),
    created_at=0.0,
)
LEFT = Ruling(effect=Effect.LEAVE, words="done")
SHEET = Sheet(command="retry", rehearsal=False, steps=(step_of(SPRING, HELLO, LEFT),))
COMPLAINT = Complaint(place=Place(file="jobs.yaml", line=3, column=5), problem="x", remedy="y")
DOCUMENTS: dict[str, Any] = {
    "Errors": guard.error_document(2, errors.ManifestError([COMPLAINT])),
    "`run --json` and `status --json`": BATCH.to_json(),
    "`jobs --json`": standing.jobs_document([("spring", JOB)]),
    "`plan --json`": PLAN.to_json(),
    "`why --json`": WHY.to_json(),
    "`retry --json`, `cancel --json`, `resolve --json`": telling.sheet_document(
        SHEET, dry_run=False, steps=()
    ),
    "`report --json`": results.report_document(
        Made(path=Path("report-spring.html"), batch="spring", rehearsal=False, accounts=1)
    ),
    "`validate --json`": {"valid": True, "complaints": []},
    "`doctor --json`": Report(checks=(warning("clock", "75 s ahead", "set it"),)).to_json(),
    "`emulator --json`": emulate.document_of({"TOPVIEW_UID": "u"}, Path("state/vendor")),
    "`export`": {
        "batch": "spring",
        "rehearsal": False,
        "jobs": [dict.fromkeys(COLUMNS)],
    },
}
FREE = {"counts", "data", "environment"}
"""Objects whose keys are data."""


def paths(value: Any, prefix: str = "") -> set[str]:
    """Dotted paths of every key; of an array those of its objects."""
    if isinstance(value, list):
        return {path for item in value for path in paths(item, f"{prefix}[]")}
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, inner in value.items():
        here = f"{prefix}.{key}".lstrip(".")
        found |= {here} | (set() if key in FREE else paths(inner, here))
    return found


def example(title: str) -> Any:
    """The first JSON example under a heading."""
    return json.loads(re.findall(r"```json\n(.*?)```", section(JSON, title), re.S)[0])


@pytest.mark.parametrize("title", DOCUMENTS)
def test_a_json_document_has_the_keys_of_its_example_and_no_other(title: str) -> None:
    assert paths(example(title)) == paths(DOCUMENTS[title])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("avatars", Avatar), ("voices", Voice), ("captions", Caption), ("ethnicities", Ethnicity)],
)
def test_the_items_of_a_list_have_the_keys_of_their_row(name: str, kind: Any) -> None:
    text = JSON.split("| list | keys of an item")[1].split("\n\n")[0]
    row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    assert re.findall(r"`(\w+)`", row.split("|")[2]) == [field.name for field in fields(kind)]


def test_a_charge_has_the_keys_of_its_example() -> None:
    [charge] = example("`credits --json`")["log"]["charges"]
    assert set(charge) == {field.name for field in fields(Charge)}


def slug(heading: str) -> str:
    """The anchor that a heading gets on the usual sites."""
    plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return plain.replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            dead.append(link)
        elif anchor and target.suffix == ".md":
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            dead += [] if anchor in map(slug, titles) else [link]
    assert dead == []


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = {"tutorial.md", "how-to.md", "commands.md", "manifest.md", "json.md"}
    assert {name for name in start if f"docs/{name}" not in readme} == set()


def runnable(page: Path) -> str:
    """The examples of a page that are marked to be run, as one script."""
    return "\n".join(re.findall(r"^```sh run\n(.*?)^```$", page.read_text(), re.M | re.S))


@pytest.mark.slow
def test_the_tutorial_can_be_typed_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    command = tmp_path / "bin" / "orchestrator"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orchestrator "$@"\n')
    command.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOPVIEW", "ORCH"))}
    env = {**kept, "PATH": f"{command.parent}:{kept['PATH']}", "PYTHONPATH": str(ROOT)}
    script = "set -eux\n" + runnable(DOCS / "tutorial.md")
    ended = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, text=True, capture_output=True, timeout=120
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "nothing was uploaded, submitted or downloaded" in ended.stdout
    assert "  changed     1  changed: made anew" in ended.stdout
    records = (tmp_path / "first" / "results.jsonl").read_text().splitlines()
    assert {json.loads(record)["state"] for record in records} == {"done"}
