"""What a batch's last run was told, kept in the store: which jobs of the manifest it left out.

A job that was left out and never begun has no row. Without this, three done jobs of a sample
would look like a batch of three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.store.base import BatchRow, EngineStore, JobRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """``jobs``: how many the manifest had. ``existing``: so many were left out because their
    output files were there (``--skip-existing``). ``by``: the flags that left out others.

    ``rehearsal``: the flags that a rehearsal goes on with. ``time_scale`` (> 0): so many times
    faster than life; 1 for the real thing, None where it is not known.
    """

    jobs: int = 0
    existing: int = 0
    by: tuple[str, ...] = ()
    rehearsal: tuple[str, ...] = ()
    time_scale: float | None = None

    def left_out(self, rows: Sequence[JobRow]) -> int:
        """Jobs of the manifest of which the store has none of these rows."""
        return max(0, self.jobs - sum(not row.orphan for row in rows))


NOTHING = Told()
"""Nothing is known of what it was told."""


def _fact(batch: BatchRow) -> str:
    """The account's fact about one batch."""
    return f"told:{batch.key}"


async def remember(store: EngineStore, batch: BatchRow, told: Told) -> None:
    """Keep it, in place of what an earlier run was told."""
    await store.set_fact(batch.account, _fact(batch), asdict(told))


async def recall(store: EngineStore, batch: BatchRow) -> Told:
    """What the last run was told; an empty one where nothing readable is kept."""
    kept = await store.fact(batch.account, _fact(batch))
    return _read(kept) if isinstance(kept, Mapping) else NOTHING


def _read(kept: Mapping[str, Any]) -> Told:
    try:
        scale = kept["time_scale"]
        return Told(
            jobs=int(kept["jobs"]),
            existing=int(kept["existing"]),
            by=tuple(map(str, kept["by"])),
            rehearsal=tuple(map(str, kept["rehearsal"])),
            time_scale=None if scale is None else float(scale),
        )
    except (KeyError, TypeError, ValueError):
        return NOTHING
