"""The arguments and options that several commands share, each with its help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import complete
from orchestrator.errors import UsageError
from orchestrator.manifest.complaints import near
from orchestrator.model import State

Manifest = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="The YAML file that lists the jobs.")
]
Batch = Annotated[
    str | None,
    typer.Argument(
        metavar="BATCH",
        autocompletion=complete.batch,
        help="Name of a batch; all batches without it.",
    ),
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        envvar="ORCHESTRATOR_STATE",
        help="Folder of the state store. Default: 'state' beside the manifest, or in the "
        "current folder for commands without one.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, words on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only problems and the last line.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and the program's log.")]

Emulator = Annotated[
    bool,
    typer.Option(
        "--emulator",
        help="Rehearse against an embedded emulator: no account, no credits. Its state and "
        "videos live apart from the real ones.",
    ),
]
Faults = Annotated[
    Path | None,
    typer.Option("--faults", metavar="FILE", help="Fault file for the emulator (YAML or JSON)."),
]
TimeScale = Annotated[
    float | None,
    typer.Option(
        "--time-scale",
        metavar="N",
        help="The emulator renders N times faster than life (N > 0). Default: 20.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="GLOB", help="Only jobs whose id matches; may be given several times."
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Start at most N jobs. Default: no limit."),
]
Sample = Annotated[
    int | None,
    typer.Option(
        "--sample",
        metavar="N",
        min=1,
        help="Start N jobs only, chosen over the kinds, to be looked at before the rest is "
        "paid for. Excludes --limit.",
    ),
]
ApprovedPlan = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        help="Pay for nothing that this plan (of 'plan --out FILE') does not hold: refused "
        "before anything is sent.",
    ),
]
PlanOut = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Write the plan to a file, too, for 'run --plan FILE'.",
    ),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Start failed and cancelled jobs once more.")
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Make a job that is new here though its output file exists already."
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Leave out a job that is new here if its file exists."),
]
NewAccount = Annotated[
    bool,
    typer.Option(
        "--new-account", help="The batch is known under another account: make it anew on this one."
    ),
]
SameBatch = Annotated[
    bool,
    typer.Option(
        "--same-batch", help="The batch is known from another file: this file describes it now."
    ),
]
MaxCredits = Annotated[
    float | None,
    typer.Option(
        "--max-credits",
        metavar="N",
        min=0.0,
        help="What this run may cost at most, in credits; the manifest's budget holds too.",
    ),
]
MaxTime = Annotated[
    str | None,
    typer.Option(
        "--max-time",
        metavar="DURATION",
        help="After this long (90m, 6h) submit nothing more, and end when what is under way is "
        "finished.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="HH:MM",
        help="The same at the next such time of this machine's clock.",
    ),
]
WebhookUrl = Annotated[
    str | None,
    typer.Option(
        "--webhook-url",
        metavar="URL",
        help="Public address that the vendor calls when a task ends; needs --webhook-listen.",
    ),
]
WebhookListen = Annotated[
    str | None,
    typer.Option(
        "--webhook-listen",
        metavar="HOST:PORT",
        help="Where this machine listens for those calls.",
    ),
]
OfRehearsal = Annotated[
    bool, typer.Option("--emulator", help="Only rehearsals, made with 'run --emulator'.")
]
Watch = Annotated[
    bool, typer.Option("--watch", help="On a terminal: show it again every 2 s, until Ctrl-C.")
]
InState = Annotated[
    list[str] | None,
    typer.Option("--in", metavar="STATE", help=f"Only jobs in this state ({', '.join(State)})."),
]
Match = Annotated[
    str,
    typer.Option(
        "--match",
        metavar="GLOB",
        show_default=False,
        help="Only jobs whose id matches. Default: all.",
    ),
]
Tag = Annotated[
    list[str] | None,
    typer.Option(
        "--tag", metavar="TAG", help="Only jobs with this tag; may be given several times."
    ),
]
ErrorText = Annotated[
    str | None,
    typer.Option(
        "--error", metavar="TEXT", help="Only jobs whose error has TEXT in it, in any case."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="LIST",
        help="Columns of the table, with commas: batch, id, state, task, output, attempts, "
        "credits, tags, error.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Every job of every group. Default: the first 5.")]

Port = Annotated[
    int,
    typer.Option(
        "--port",
        metavar="PORT",
        min=0,
        max=65535,
        show_default=False,
        help="TCP port of the API on 127.0.0.1. Default: 0, any free one.",
    ),
]
Data = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="DIR",
        show_default=False,
        help="Where its tasks, files and ledger are kept. Default: state/vendor.",
    ),
]


def positive(value: float | None) -> None:
    """Refuse a time scale that is no number above zero.

    Raises:
        UsageError: it is none.
    """
    if value is not None and not 0 < value < float("inf"):
        raise UsageError(f"--time-scale {value:g}: must be a number above 0, such as 20")


def states_of(names: list[str] | None, state_dir: Path | None) -> tuple[State, ...]:
    """The states that ``--in`` names; none: of every state.

    Raises:
        UsageError: there is no such state, or ``--state`` (a folder) was given a state's name.
    """
    if state_dir is not None and not state_dir.exists():
        meant = near(state_dir.name, State)
        if meant is not None and len(state_dir.parts) == 1:
            raise UsageError(
                f"--state {state_dir}: this is the folder of the state store, and there is no such "
                f"folder; for the jobs in a state: --in {meant}"
            )
    wrong = [name for name in names or () if name not in list(State)]
    if wrong:
        meant = near(wrong[0], State)
        hint = f" (did you mean {meant}?)" if meant else ""
        there = ", ".join(State)
        raise UsageError(f"--in {wrong[0]}: no such state{hint}; there are: {there}")
    return tuple(State(name) for name in names or ())
