"""The few doors through which the command line reaches the application.

Imports behind them are heavy, so they happen on the first use; tests put a fake facade here.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from orchestrator.app import Orchestrator

T = TypeVar("T")
YOUNG, YOUNGER, OLD = 50_000, 20, 50
"""After so many new objects the collector looks for cycles; its default is 700. A large manifest
makes millions of objects, hardly any of them in a cycle: a fifth of its reading was the search."""
Announce = Callable[[dict[str, str]], None]


def make_orchestrator(state_dir: Path | None) -> Orchestrator:
    """The facade on one state folder; None: where the facade finds it by itself."""
    from orchestrator.app import Orchestrator

    return Orchestrator(state_dir)


def run_emulator(
    port: int,
    data: Path,
    faults: Path | None,
    time_scale: float,
    announce: Announce,
) -> Coroutine[Any, Any, None]:
    """The emulator alone, until cancelled; ``announce`` gets the environment to use."""
    from orchestrator import app

    return app.run_emulator(port, data, faults, time_scale, announce)


def manifest_schema() -> dict[str, Any]:
    """JSON Schema of the manifest."""
    from orchestrator import app

    return app.manifest_schema()


def loop_of(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end in a new event loop: uvloop's where it is installed."""
    gc.set_threshold(YOUNG, YOUNGER, OLD)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
