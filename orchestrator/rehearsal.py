"""A rehearsal: the same batch against the emulator, so that it can never be taken for the real one.

It has a state folder of its own, its videos go under `rehearsal/`, its account is the fixed
identity `emulator`, and every wait that depends on the vendor's pace is scaled with the
emulator's time.
"""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.engine.lock import FolderLock
from orchestrator.model import JobSpec, Manifest, Settings

IDENTITY = "emulator"
"""The account of every rehearsal."""
FOLDER = "emulator"
"""Inside the state folder: the state of rehearsals and the emulated vendor's data."""
DATA = "vendor"
"""Inside that: what the emulated vendor keeps."""
OUTPUTS = "rehearsal"
"""In front of every output path of a rehearsal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Run against the embedded emulator.

    ``faults``: a fault file, None for none. ``time_scale`` (> 0): the emulator renders, and the
    orchestrator polls, so many times faster than life.
    """

    faults: Path | None = None
    time_scale: float = 20.0

    def flags(self) -> tuple[str, ...]:
        """The flags of a run that asks for it; what is usual is left out."""
        faults = () if self.faults is None else ("--faults", str(self.faults))
        usual = self.time_scale == Rehearsal().time_scale
        scale = () if usual else ("--time-scale", f"{self.time_scale:g}")
        return ("--emulator", *faults, *scale)


def rehearsed(manifest: Manifest, rehearsal: Rehearsal) -> Manifest:
    """The manifest as a rehearsal runs it: other outputs, scaled waits, all else the same."""
    folder = manifest.path.parent
    jobs = tuple(replace(job, output=_output(job, folder)) for job in manifest.jobs)
    return replace(manifest, jobs=jobs, settings=_scaled(manifest.settings, rehearsal.time_scale))


def _output(job: JobSpec, folder: Path) -> Path:
    """`rehearsal/` in front of the path relative to the manifest's folder, or without its root."""
    if job.output.is_relative_to(folder):
        return folder / OUTPUTS / job.output.relative_to(folder)
    return folder / OUTPUTS / job.output.relative_to(job.output.anchor)


def _scaled(settings: Settings, time_scale: float) -> Settings:
    limits = replace(settings.limits, poll_interval_s=settings.limits.poll_interval_s / time_scale)
    return replace(
        settings,
        limits=limits,
        task_deadline_s=settings.task_deadline_s / time_scale,
        doubt_horizon_s=settings.doubt_horizon_s / time_scale,
    )


@asynccontextmanager
async def embedded(state_dir: Path, rehearsal: Rehearsal) -> AsyncIterator[dict[str, str]]:
    """The emulator in this process, its data on disk; gives the environment that reaches it.

    Raises:
        BatchLocked: another rehearsal uses the emulator of this state folder.
        UsageError: the fault file is wrong.
    """
    from orchestrator.emulator.config import EmulatorConfig
    from orchestrator.emulator.faults import load_faults
    from orchestrator.emulator.server import Emulator

    faults = None if rehearsal.faults is None else load_faults(rehearsal.faults)
    data = state_dir / DATA
    config = EmulatorConfig(time_scale=rehearsal.time_scale, catalog="open")
    with FolderLock(data):
        async with Emulator(config, data=data, faults=faults) as emulator:
            yield emulator.environment


def spent_faults(state_dir: Path, rehearsal: Rehearsal) -> str:
    """A sentence about the faults that earlier runs have used up, "" if there are none. Blocking.

    Raises:
        UsageError: the fault file is wrong.
    """
    if rehearsal.faults is None:
        return ""
    from orchestrator.emulator.faults import load_faults
    from orchestrator.emulator.faults_used import used_up

    spent = used_up(load_faults(rehearsal.faults), state_dir / DATA)
    if not spent:
        return ""
    return (
        f"faults of {rehearsal.faults.name} that are used up in this rehearsal: "
        f"{'; '.join(spent)}. Counts go on from run to run; to begin anew, remove "
        f"{shlex.quote(str(state_dir))} and run with --overwrite"
    )


async def run_emulator(
    port: int,
    data: Path,
    faults: Path | None,
    time_scale: float,
    announce: Callable[[dict[str, str]], None],
) -> None:
    """The emulator alone, until cancelled. ``announce`` gets the environment to use.

    Raises:
        BatchLocked: another emulator uses ``data``.
        UsageError: the fault file or a number is wrong.
    """
    import asyncio

    from orchestrator.emulator.config import EmulatorConfig
    from orchestrator.emulator.faults import load_faults
    from orchestrator.emulator.server import Emulator

    plan = None if faults is None else load_faults(faults)
    config = EmulatorConfig(port=port, time_scale=time_scale, catalog="open")
    with FolderLock(data):
        async with Emulator(config, data=data, faults=plan) as emulator:
            announce(dict(emulator.environment))
            await asyncio.Event().wait()


def environment_of(address: Mapping[str, str]) -> dict[str, str]:
    """The emulator's environment and nothing of the real account's."""
    return {name: value for name, value in address.items() if name.startswith("TOPVIEW_")}
