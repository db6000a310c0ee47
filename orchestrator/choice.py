"""Which jobs a run may start: ``--only`` and its kin, and what to say when nothing is meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice

from orchestrator.errors import UsageError
from orchestrator.model import JobId

NEAR, LIKENESS = 3, 0.6
"""So many ids are named that may have been meant, and so like they are at least."""
COMPARED = 2_000
"""So many ids are compared letter by letter at the most: it takes a millisecond for a dozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which jobs a run may start, and what else its caller allowed.

    ``picked``: of the jobs to be submitted only these; None: all.
    """

    only: tuple[str, ...] = ()
    limit: int | None = None
    sample: int | None = None
    picked: frozenset[JobId] | None = None
    retry_failed: bool = False
    overwrite: bool = False
    skip_existing: bool = False

    def names(self, job_id: JobId) -> bool:
        """Whether ``--only`` leaves the job in."""
        return not self.only or any(fnmatchcase(job_id, glob) for glob in self.only)


def refuse_nothing_meant(globs: Sequence[str], ids: Sequence[JobId], batch: str) -> None:
    """Stop where ``--only`` names no job of the manifest: that is a slip, not a wish.

    Raises:
        UsageError: which names the globs, and ids that may have been meant.
    """
    if not globs or any(fnmatchcase(job_id, glob) for job_id in ids for glob in globs):
        return
    given = " and ".join(f"--only '{glob}'" for glob in globs)
    verb = "match" if len(globs) > 1 else "matches"
    raise UsageError(f"{given} {verb} no job of batch {batch}: {_advice(globs, ids)}")


def _advice(globs: Sequence[str], ids: Sequence[JobId]) -> str:
    near = list(dict.fromkeys(job_id for glob in globs for job_id in _near(glob, ids)))[:NEAR]
    if near:
        return f"did you mean {' or '.join(near)}? A GLOB has to fit the whole id ('*part*')"
    shown, more = ", ".join(ids[:NEAR]), len(ids) - NEAR
    return f"its jobs are {shown}{f' and {more} more' if more > 0 else ''}"


def _near(glob: str, ids: Sequence[JobId]) -> Iterable[JobId]:
    """Ids that fit but for case, then those that hold the glob's letters, then those like it."""
    plain, core = glob.casefold(), glob.strip("*?").casefold()
    yield from islice((i for i in ids if fnmatchcase(i.casefold(), plain)), NEAR)
    if core:
        yield from islice((i for i in ids if core in i.casefold()), NEAR)
        folded = {i.casefold(): i for i in ids[:COMPARED]}
        close = difflib.get_close_matches(core, folded, n=NEAR, cutoff=LIKENESS)
        yield from (folded[name] for name in close)
