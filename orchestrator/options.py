"""What a caller may ask of one run or plan."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.approval import Approved
from orchestrator.choice import Choice
from orchestrator.errors import UsageError
from orchestrator.rehearsal import Rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a caller may ask of one run or plan.

    ``only``: GLOBs on job ids, any may match; empty means all. ``limit`` (>= 1): make at most
    so many jobs; None means no limit. ``sample`` (>= 1): make so many, chosen over the kinds.
    ``approved``: pay for nothing that this plan does not hold. ``retry_failed``: try failed jobs
    again. ``overwrite`` and ``skip_existing``: what to do with output files of jobs that the
    store does not know.
    ``new_account``: the batch is known under another account, and that is right.
    ``same_batch``: it is known from another manifest file, and that is right. ``max_credits``
    (>= 0): what this run may cost; None means no limit of its own. ``webhook_url`` and
    ``webhook_listen`` replace the manifest's. ``max_time_s`` (> 0): so long after its beginning
    the run submits nothing more, and ends when what is under way is finished.
    """

    rehearsal: Rehearsal | None = None
    only: tuple[str, ...] = ()
    limit: int | None = None
    sample: int | None = None
    approved: Approved | None = None
    retry_failed: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    new_account: bool = False
    same_batch: bool = False
    max_credits: float | None = None
    webhook_url: str | None = None
    webhook_listen: str | None = None
    max_time_s: float | None = None

    def choice(self) -> Choice:
        """The part that planning needs.

        Raises:
            UsageError: the options contradict each other.
        """
        if self.limit is not None and self.limit < 1:
            raise UsageError("--limit must be at least 1")
        if self.sample is not None and self.sample < 1:
            raise UsageError("--sample must be at least 1")
        if self.sample is not None and self.limit is not None:
            raise UsageError("--sample and --limit both choose how many; give one")
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing contradict each other; give one")
        if self.max_credits is not None and self.max_credits < 0:
            raise UsageError("--max-credits must not be below 0")
        if self.max_time_s is not None and not self.max_time_s > 0:
            raise UsageError("--max-time must be more than nothing")
        if (self.webhook_url is None) != (self.webhook_listen is None):
            raise UsageError("--webhook-url and --webhook-listen go together; give both or none")
        return Choice(
            only=self.only,
            limit=self.limit,
            sample=self.sample,
            retry_failed=self.retry_failed,
            overwrite=self.overwrite,
            skip_existing=self.skip_existing,
        )
