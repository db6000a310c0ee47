"""The snapshot of a run for those who watch."""

from __future__ import annotations

from orchestrator.engine.desk import Desk
from orchestrator.engine.floor import Floor
from orchestrator.engine.progress import Progress
from orchestrator.model import State


def snapshot(desk: Desk, floor: Floor, *, draining: bool) -> Progress:
    """What there is to see of a run now."""
    tally, now = floor.tally, desk.now()
    per_s = tally.rate_per_s(now)
    counts = {state: tally.counts[state] for state in State if tally.counts[state] > 0}
    return Progress(
        batch=desk.batch.name,
        started_at=desk.wall() - (now - tally.started),
        now=desk.wall(),
        counts=counts,
        total=sum(counts.values()),
        reached=tally.reached(),
        done_here=tally.done_here,
        uploaded=tally.uploaded,
        submitted=tally.submitted,
        downloaded=tally.downloaded,
        uploading=len(floor.uploading),
        submitting=len(floor.unanswered),
        rendering=floor.tasks.rendering(),
        downloading=len(floor.downloading),
        slots=desk.flow.at_once,
        overdue=tally.overdue,
        rate_per_h=None if per_s is None else per_s * 3600,
        eta_s=None if not per_s else tally.remaining() / per_s,
        draining=draining,
        waiting_for=_waiting_for(desk, floor, now),
    )


def _waiting_for(desk: Desk, floor: Floor, now: float) -> str:
    """A phrase for what holds the run up, "" while it is simply busy."""
    if floor.disk_full_until > now:
        return "downloads wait for the disk"
    silent = [n for n, host in floor.hosts().items() if host.open_at > now]
    if silent:
        return f"no answer from {', '.join(silent)}: tried again in {_in(desk, floor, now)}"
    if floor.gate.open_at > now and not floor.gate.closed:
        return f"submits pause for {round(floor.gate.open_at - now)} s"
    if floor.tasks.rendering() >= desk.flow.at_once:
        return "every slot is rendering"
    return ""


def _in(desk: Desk, floor: Floor, now: float) -> str:
    latest = max(host.open_at for host in floor.hosts().values())
    return f"{max(1, round(latest - now))} s"
