"""All checks, in the order in which a run would meet what they look at."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.config import state_dir
from orchestrator.doctor.findings import Report
from orchestrator.doctor.machine import machine_checks
from orchestrator.doctor.state import state_checks
from orchestrator.doctor.vendor import vendor_checks
from orchestrator.doctor.work import room_check, work_checks
from orchestrator.media.places import existing


async def examine(
    manifest: Path | None = None,
    state: Path | None = None,
    *,
    env: Mapping[str, str] | None = None,
    wall: Callable[[], float] = time.time,
) -> Report:
    """Look at everything that a batch depends on; changes and spends nothing.

    ``state`` None: where the commands find it by themselves. ``env`` is where credentials and
    proxies are read from; ``wall`` is Unix seconds. Nothing of what is found is raised.
    """
    env = os.environ if env is None else env
    folder = state_dir(state, env, manifest)
    machine = await asyncio.to_thread(machine_checks)
    vendor = await vendor_checks(env, wall)
    stored = await asyncio.to_thread(state_checks, folder)
    if manifest is None:
        work = [await asyncio.to_thread(room_check, existing(folder))]
    else:
        work = await asyncio.to_thread(work_checks, manifest, vendor.balance)
    return Report(checks=(*machine, *vendor.checks, *stored, *work))
