"""``orchestrator plan``, ``validate`` and ``schema``: look, and change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import facade, options, output
from orchestrator.cli.complain import advice, complaint_lines, tally
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything
from orchestrator.manifest.complaints import in_order, to_json
from orchestrator.model import Complaint

Online = Annotated[
    bool,
    typer.Option(
        "--online",
        help="Compare avatar, voice and caption ids with the vendor's lists, too; needs "
        "credentials, spends nothing.",
    ),
]

PLAN_EXAMPLES = """\b
Examples:
  orchestrator plan jobs.yaml
  orchestrator plan jobs.yaml --retry-failed --all
  orchestrator plan jobs.yaml --out plan.json  for 'run --plan'
  orchestrator plan jobs.yaml --json | jq .credits"""

VALIDATE_EXAMPLES = """\b
Examples:
  orchestrator validate jobs.yaml
  orchestrator validate jobs.yaml --json | jq '.complaints[].problem'
  orchestrator validate jobs.yaml --online     ids against the vendor's lists

Exit code 0 without complaints (warnings are none), else 2."""

SCHEMA_EXAMPLES = """\b
Examples:
  orchestrator schema > jobs.schema.json
  orchestrator schema | jq '.properties | keys'"""


@guarded
def plan(
    manifest: options.Manifest,
    emulator: options.Emulator = False,
    only: options.Only = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    retry_failed: options.RetryFailed = False,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    new_account: options.NewAccount = False,
    same_batch: options.SameBatch = False,
    every_job: options.All = False,
    out: options.PlanOut = None,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Show what 'run' would do with each job and why, its uploads, credits and time."""
    from orchestrator.app import RunOptions
    from orchestrator.approval import write_plan
    from orchestrator.cli import choice
    from orchestrator.cli.planned import plan_lines, plan_steps

    log_everything(debug)
    chosen = RunOptions(
        rehearsal=choice.rehearsal(emulator, None, None),
        only=tuple(only or ()),
        limit=limit,
        sample=sample,
        retry_failed=retry_failed,
        overwrite=overwrite,
        skip_existing=skip_existing,
        new_account=new_account,
        same_batch=same_batch,
    )
    orchestrator = facade.make_orchestrator(state)
    view = facade.loop_of(orchestrator.plan(manifest, choice.checked(chosen)))
    output.tell_sentences(complaint_lines(view.warnings, manifest))
    if out is not None:
        write_plan(out, view.to_json())
    if as_json:
        output.document(view.to_json())
    else:
        width, again = output.width(), choice.same_command(manifest, chosen, state)
        lines = plan_lines(view, width, every_job=every_job)
        output.out([*lines, *plan_steps(view, again, out, width)])
    return 0


@guarded
def validate(
    manifest: options.Manifest,
    online: Online = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """List every complaint about MANIFEST and its media files as file:line:column."""
    from orchestrator.errors import ManifestError

    log_everything(debug)
    try:
        complaints = facade.loop_of(facade.make_orchestrator(None).validate(manifest))
    except ManifestError as error:
        complaints = error.complaints
    if online:
        complaints = _with_ids(complaints, manifest, state)
    valid = all(c.warning for c in complaints)
    if as_json:
        output.document({"valid": valid, "complaints": [to_json(c) for c in complaints]})
    else:
        output.out_sentences(complaint_lines(complaints, manifest))
    more = [] if as_json else advice(complaints, manifest)
    output.tell([f"{manifest}: {tally(complaints)}", *more])
    return 0 if valid else 2


def _with_ids(
    complaints: Sequence[Complaint], manifest: Path, state: Path | None
) -> tuple[Complaint, ...]:
    """The complaints, and those about ids that the vendor's lists do not show, by place."""
    from orchestrator.catalogues.facade import Catalogues

    catalogues = Catalogues(state, manifest=manifest)
    checked = facade.loop_of(catalogues.check_ids(manifest))
    output.tell(checked.notes)
    every = dict.fromkeys((*complaints, *checked.complaints))
    first = complaints[0].place.file if complaints else ""
    return in_order(every, first)


@guarded
def schema(debug: options.Debug = False) -> int:
    """Print the JSON Schema of the manifest, for editors and other programs."""
    log_everything(debug)
    output.document(facade.manifest_schema())
    return 0
