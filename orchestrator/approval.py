"""A plan that somebody approved, and the promise that a run pays for nothing else.

The file is the document of ``plan --json``, written by ``plan --out``. What counts is the set of
(job, revision) that may be submitted, and the credits that were expected. What was done in the
meantime is left out: a run that was stopped goes on under the same approval.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import UsageError
from orchestrator.model import Settings
from orchestrator.report.views import PLAN_VERSION, PlanLine

SHOWN = 10
SLACK = 1e-6
"""Credits that come from adding floats, not from a price."""


class PlanMismatch(UsageError):
    """The run would pay for something that the approved plan does not cover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What may be paid for: revisions by job, and the credits expected for all of them."""

    path: Path
    batch: str
    rehearsal: bool
    account: str | None
    terms: Mapping[str, Any]
    credits: float
    revisions: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a run is about to pay for. ``identity`` is that of its account."""

    batch: str
    rehearsal: bool
    identity: str
    terms: Mapping[str, Any]
    lines: Iterable[PlanLine]
    credits: float


def terms_of(settings: Settings) -> dict[str, Any]:
    """The settings under which a job may be submitted more than once."""
    return {"on_doubt": settings.on_doubt.value, "retry_renders": settings.retry_renders}


def mark_of(identity: str, salt: str | None = None) -> str:
    """The account as a plan names it: ``salt:hash``, which tells nobody who it is."""
    salt = salt or secrets.token_hex(8)
    return f"{salt}:{hashlib.sha256(f'{salt}{identity}'.encode()).hexdigest()[:32]}"


def write_plan(path: Path, document: Mapping[str, Any]) -> None:
    """Write the document of a plan; the name appears only when all of it is on disk.

    Raises:
        UsageError: it cannot be written there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; give --out another") from error


def read_plan(path: Path) -> Approved:
    """The plan that ``plan --out`` wrote.

    Raises:
        UsageError: there is no such file, or it is no plan of this version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no plan: {error}; write one with plan --out") from error
    try:
        return _approved(path, document)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is no plan of version {PLAN_VERSION}; write one with plan --out"
        ) from error


def _approved(path: Path, document: Any) -> Approved:
    if document["version"] != PLAN_VERSION:
        raise ValueError(document["version"])
    jobs = document["jobs"]
    return Approved(
        path=path,
        batch=str(document["batch"]),
        rehearsal=document["rehearsal"] is True,
        account=document["account"],
        terms=dict(document["terms"]),
        credits=float(document["credits"]["estimate"]),
        revisions={str(j["id"]): str(j["revision"]) for j in jobs if j["revision"] is not None},
    )


def refuse_beyond(approved: Approved, bill: Bill) -> None:
    """Stop unless everything on the bill was approved.

    Raises:
        PlanMismatch: it names what differs; nothing was sent.
    """
    found = [*_other_batch(approved, bill), *_other_jobs(approved, bill)]
    if bill.credits > approved.credits + SLACK:
        found.append(
            f"the expected cost is {bill.credits:g} credits; {approved.credits:g} were approved"
        )
    if not found:
        return
    shown = [f"  {line}" for line in found[:SHOWN]]
    more = [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    raise PlanMismatch(
        "\n".join(
            [
                f"this run would pay for more than {approved.path} approves; nothing was sent:",
                *shown,
                *more,
                "Make a new plan with plan --out, have it approved, and run with that.",
            ]
        )
    )


def _other_batch(approved: Approved, bill: Bill) -> Iterable[str]:
    if bill.batch != approved.batch:
        yield f"the batch is {bill.batch}; the plan is for {approved.batch}"
    if bill.rehearsal != approved.rehearsal:
        kinds = ("the real thing", "a rehearsal")
        yield f"this is {kinds[bill.rehearsal]}; the plan is for {kinds[approved.rehearsal]}"
    elif approved.account is not None:
        salt = approved.account.partition(":")[0]
        if mark_of(bill.identity, salt) != approved.account:
            yield "the account (TOPVIEW_UID, TOPVIEW_BASE_URL) is not the one of the plan"
    for name, value in bill.terms.items():
        if name in approved.terms and approved.terms[name] != value:
            yield f"{name} is {value}; {approved.terms[name]} was approved"


def _other_jobs(approved: Approved, bill: Bill) -> Iterable[str]:
    for line in bill.lines:
        if line.revision is None:
            continue
        known = approved.revisions.get(line.id)
        if known is None:
            yield f"job {line.id} ({line.what.value}) was not to be submitted"
        elif known != line.revision:
            yield f"job {line.id} was changed since the plan was made"
