"""The real clock, and the name of this machine's boot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path


class SystemClock:
    """Wall clock, monotonic clock and sleep of this process."""

    def wall(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since the machine's boot (Linux), comparable between its processes."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(max(0.0, seconds))

    def alarm(self, seconds: float, ring: Callable[[], None]) -> Callable[[], None]:
        """Call ``ring`` on the running loop after ``seconds``."""
        return asyncio.get_running_loop().call_later(max(0.0, seconds), ring).cancel


def boot_id() -> str:
    """A name for this boot of the machine; elsewhere than on Linux the boot's rough time."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"boot-{round((time.time() - time.monotonic()) / 60)}"
