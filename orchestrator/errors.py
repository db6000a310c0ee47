"""Every error that this project raises on purpose.

::

    OrchestratorError                exit code
    +-- UsageError                       2       the caller asked for something impossible
    |   +-- ManifestError                2       complaints about the manifest, all of them
    |   +-- BatchConflict                2       the batch belongs to another account or file
    |   +-- OutputConflict               2       output files exist that the store does not know
    +-- StoreError                       9       the state store cannot be used
    |   +-- ForeignStore                 9       not ours, damaged, or of a newer version
    |   +-- StoreFull                    9       no room, or no right, to write a checkpoint
    +-- BatchLocked                      7       another run holds the batch
    +-- CredentialsError                 8       missing, or refused by the vendor
    +-- VendorUnavailable                1       the vendor did not answer a question at start
    +-- StaleJob                         1       somebody else changed the job meanwhile
    +-- TaskOwned                        1       another attempt owns the task already
    +-- IllegalTransition                1       a bug: this event cannot happen in this state
    +-- MediaError                       1       a local media file cannot be used
    |   +-- FileChanged                  1       its bytes are not those that were planned
    +-- DownloadError                    1       a finished video cannot be fetched (see there)

A message is written for the person who reads it: what happened, where, what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.model import Complaint, EventKind, JobId, State


class OrchestratorError(Exception):
    """Root of the tree. ``exit_code`` is what the command line ends with."""

    exit_code = 1


class UsageError(OrchestratorError):
    """The caller asked for something impossible; nothing was changed."""

    exit_code = 2


class ManifestError(UsageError):
    """The manifest is wrong; ``complaints`` holds every finding, sorted by place."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(str(c) for c in self.complaints))


class BatchConflict(UsageError):
    """The store knows this batch under another account or from another manifest file."""


class OutputConflict(UsageError):
    """Output files exist for jobs that the store does not know."""


class StoreError(OrchestratorError):
    """The state store cannot be used."""

    exit_code = 9


class ForeignStore(StoreError):
    """The file is not ours, is damaged, or was written by a newer version. It is not touched."""


class StoreFull(StoreError):
    """A checkpoint could not be written: no room, no right, or an input/output error."""


class BatchLocked(OrchestratorError):
    """Another run holds the batch."""

    exit_code = 7


class CredentialsError(OrchestratorError):
    """The API key or the uid is missing, or the vendor refused them."""

    exit_code = 8


class VendorUnavailable(OrchestratorError):
    """The vendor did not answer a question that has to be answered before a run begins."""


class StaleJob(OrchestratorError):
    """The job's version is not the one this change was based on; the change was not made."""

    def __init__(self, job: str, expected: int, found: int | None) -> None:
        self.job, self.expected, self.found = job, expected, found
        super().__init__(f"job {job} changed meanwhile: version {found}, expected {expected}")


class TaskOwned(OrchestratorError):
    """Another attempt of the account owns the task already; nothing was changed."""


class IllegalTransition(OrchestratorError):
    """The event cannot happen in the job's state; nothing was changed."""

    def __init__(self, job: JobId | None, state: State, event: EventKind) -> None:
        self.job, self.state, self.event = job, state, event
        super().__init__(f"job {job or '?'}: event {event} cannot happen in state {state}")


class MediaError(OrchestratorError):
    """A local media file cannot be used. ``problem`` and ``remedy`` read like a complaint."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        self.path, self.problem, self.remedy = path, problem, remedy
        super().__init__(f"{path}: {problem}; {remedy}")


class FileChanged(MediaError):
    """The file's bytes are not those that were hashed when the run was planned."""


class DownloadError(OrchestratorError):
    """A finished video could not be fetched this time.

    ``link_dead``: the link is refused or its object is gone (HTTP 403, 404, 410): ask the vendor
    for a fresh one. ``bad_content``: all bytes came but they are no acceptable video.
    ``disk_full``: the disk does not take it. None of them set: the network; try again later.
    """

    def __init__(
        self,
        message: str,
        *,
        link_dead: bool = False,
        bad_content: bool = False,
        disk_full: bool = False,
    ) -> None:
        self.link_dead, self.bad_content, self.disk_full = link_dead, bad_content, disk_full
        super().__init__(message)
