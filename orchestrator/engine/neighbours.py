"""Other live runs of the same account on this machine: where limits differ, the lowest holds.

Each run writes its limits into the lock file that it holds. A lock that nobody holds is history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from orchestrator.engine.lock import is_held
from orchestrator.model import AccountKey, BatchKey, Limits, Rate

KEY = "limits"


def note_of(batch: BatchKey, limits: Limits) -> dict[str, Any]:
    """What a run tells its neighbours."""
    return {
        KEY: {
            "batch": batch,
            "submit_rate": asdict(limits.submit_rate),
            "request_rate": asdict(limits.request_rate),
            "in_flight": limits.in_flight,
        }
    }


def live_limits(folder: Path, account: AccountKey, own: Path) -> list[Mapping[str, Any]]:
    """The notes of all other live runs of the account. Reads a few small files."""
    found = []
    for path in sorted(folder.glob(f"*.{account}.lock")):
        if path != own and is_held(path):
            note = _read(path)
            if note is not None:
                found.append(note)
    return found


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        note = json.loads(path.read_text())[KEY]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if isinstance(note, dict) else None


def lowest(own: Limits, others: Iterable[Mapping[str, Any]]) -> Limits:
    """The limits that hold while the others run too."""
    limits = own
    for other in others:
        limits = replace(
            limits,
            submit_rate=_slower(limits.submit_rate, other.get("submit_rate")),
            request_rate=_slower(limits.request_rate, other.get("request_rate")),
            in_flight=_fewer(limits.in_flight, other.get("in_flight")),
        )
    return limits


def _fewer(own: int | None, other: Any) -> int | None:
    """The lower number; a run that finds the account's cap out by itself has none."""
    if other is None:
        return own
    return int(other) if own is None else min(own, int(other))


def _slower(own: Rate, other: Any) -> Rate:
    if not isinstance(other, dict):
        return own
    rate = Rate(count=int(other["count"]), per_s=float(other["per_s"]))
    return rate if rate.interval_s > own.interval_s else own
