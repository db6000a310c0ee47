"""A manifest without its jobs: the settings of the batch, and what all jobs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from orchestrator.manifest.expand import Context, dropped, section_of, without_nulls
from orchestrator.manifest.fill import usable_vars
from orchestrator.manifest.findings import Page, checked
from orchestrator.manifest.names import batch_finding, output_complaints
from orchestrator.manifest.nodes import Plain, Spoiled, Table, Text, plain_of
from orchestrator.manifest.schema import DEFAULT_OUTPUT, Head
from orchestrator.model import Complaint, Limits, OnDoubt, Settings

T = TypeVar("T")

JOB_LISTS = ("jobs", "matrix", "from")
"""The keys under which jobs are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """All that a manifest says outside of its list of jobs."""

    context: Context
    settings: Settings
    complaints: tuple[Complaint, ...]


def front_of(top: Table, *, file: str, folder: str, cut: bool) -> Front:
    """Check everything under ``top`` but the lists of jobs. ``cut``: more keys may follow."""
    complaints: list[Complaint] = []
    rest = {name: entry for name, entry in top.entries.items() if name not in JOB_LISTS}
    page = Page(file=file, table=Table(rest, top.spot), cut=cut)
    plain = plain_of(page.table)
    plain.values = without_nulls(plain.values)
    head = checked(Head, plain, page, complaints)
    batch = _batch(head, plain, page, complaints)
    if head.output is not None:
        complaints.extend(output_complaints(head.output, plain.spots["output"], page))
    if head.defaults is not None and head.defaults.output is not None:
        spot = plain.spots["defaults.output"]
        complaints.extend(output_complaints(head.defaults.output, spot, page))
    usable, about_vars = usable_vars(plain, page)
    complaints.extend(about_vars)
    settings = settings_of(head)
    for look in (_useless_resubmit, _half_a_webhook, _unreachable_rate):
        complaints.extend(look(settings, plain, page))
    context = Context(
        file=file,
        folder=folder,
        batch=batch,
        output=DEFAULT_OUTPUT if head.output is None else head.output,
        output_spot=plain.spots["output"] if head.output is not None else None,
        output_spoiled="output" in plain.spoiled,
        defaults=_defaults(plain, head),
        vars=usable,
        var_spots={name: plain.spots[f"vars.{name}"] for name in usable},
    )
    return Front(context=context, settings=settings, complaints=tuple(complaints))


def _batch(head: Head, plain: Plain, page: Page, complaints: list[Complaint]) -> str:
    """The batch's name; "" if it cannot be used."""
    if "batch" in plain.spoiled:
        return ""
    if finding := batch_finding(head.batch):
        complaints.append(page.complaint(plain.spots["batch"], *finding))
        return ""
    return head.batch


def _defaults(plain: Plain, head: Head) -> Plain:
    """The defaults as they were written, without what was refused."""
    if head.defaults is None:
        return Plain(values={}, spots={}, spoiled=set())
    written = section_of(plain, "defaults")
    for dotted in written.spoiled:
        dropped(written.values, dotted)
    return written


def _or(value: T | None, default: T) -> T:
    return default if value is None else value


def settings_of(head: Head) -> Settings:
    """``head`` as settings, with the program's defaults where it is silent."""
    base = Settings()
    return Settings(
        limits=_limits(head, base.limits),
        budget_credits=head.budget.credits if head.budget else None,
        on_doubt=_or(head.on_doubt, base.on_doubt),
        doubt_horizon_s=_or(head.doubt_horizon, base.doubt_horizon_s),
        task_deadline_s=_or(head.task_deadline, base.task_deadline_s),
        stop_after=_or(head.stop_after, base.stop_after),
        verify=_or(head.verify, base.verify),
        retry_renders=_or(head.retry.renders if head.retry else None, base.retry_renders),
        webhook_url=head.webhook.url if head.webhook else None,
        webhook_listen=head.webhook.listen if head.webhook else None,
    )


def _limits(head: Head, base: Limits) -> Limits:
    if head.limits is None:
        return base
    given = head.limits
    return Limits(
        submit_rate=_or(given.submit_rate, base.submit_rate),
        request_rate=_or(given.request_rate, base.request_rate),
        in_flight=None if given.in_flight == "auto" else given.in_flight,
        uploads=_or(given.uploads, base.uploads),
        downloads=_or(given.downloads, base.downloads),
        upload_bytes_per_s=given.upload_bandwidth,
        download_bytes_per_s=given.download_bandwidth,
        poll_interval_s=_or(given.poll_interval, base.poll_interval_s),
    )


def _useless_resubmit(settings: Settings, plain: Plain, page: Page) -> list[Complaint]:
    """A search shorter than a rendering may take proves nothing, so nothing is resubmitted."""
    if settings.on_doubt is not OnDoubt.RESUBMIT:
        return []
    if settings.doubt_horizon_s >= settings.task_deadline_s:
        return []
    spot = plain.spots.get("doubt_horizon", plain.spots["on_doubt"])
    problem = "doubt_horizon is shorter than task_deadline, so on_doubt: resubmit acts like hold"
    remedy = "make doubt_horizon at least as long as task_deadline"
    return [page.complaint(spot, problem, remedy, warning=True)]


def jobs_complaint(top: Table, count: int, page: Page) -> Complaint | None:
    """What is wrong with the lists of jobs as a whole; ``count`` jobs were read from them all."""
    example = 'write "jobs:" and below it one "- id: NAME" with avatar and audio for every video'
    given = [name for name in JOB_LISTS if name in top.entries]
    if "jobs" in given:
        value = top.entries["jobs"].value
        if isinstance(value, Table) or (isinstance(value, Text) and value.value is not None):
            what = "a text" if isinstance(value, Text) else "a mapping"
            return page.complaint(value.spot, f"jobs is {what}, not a list", example)
    if count or page.cut:
        return None
    if not given:
        return page.complaint(top.spot, 'the key "jobs" is missing', example)
    if given != ["jobs"] or isinstance(top.entries["jobs"].value, Spoiled):
        return None
    return page.complaint(top.entries["jobs"].value.spot, "the list of jobs is empty", example)


def _half_a_webhook(settings: Settings, plain: Plain, page: Page) -> list[Complaint]:
    """Notices need both an address and somebody who listens; with one of them there are none."""
    url, listen = settings.webhook_url, settings.webhook_listen
    if (url is None) == (listen is None):
        return []
    there, missing = ("url", "listen") if listen is None else ("listen", "url")
    problem = f"webhook has no {missing}, so the vendor is asked for no notices"
    remedy = f"add {missing}, or give --webhook-url and --webhook-listen to the run"
    return [page.complaint(plain.spots[f"webhook.{there}"], problem, remedy, warning=True)]


def _unreachable_rate(settings: Settings, plain: Plain, page: Page) -> list[Complaint]:
    """A submit is a request too."""
    limits = settings.limits
    if limits.submit_rate.interval_s >= limits.request_rate.interval_s:
        return []
    key = "limits.submit_rate" if "limits.submit_rate" in plain.spots else "limits.request_rate"
    problem = "submit_rate is above request_rate, and every submit is a request too"
    remedy = "raise request_rate, or lower submit_rate"
    return [page.complaint(plain.spots[key], problem, remedy, warning=True)]
