"""Turn a YAML manifest of avatar/audio pairs into finished talking-avatar videos.

What the command line calls is what a Python user calls::

    import asyncio
    from pathlib import Path
    from orchestrator import Orchestrator, RunOptions

    result = asyncio.run(Orchestrator().run(Path("jobs.yaml"), RunOptions(limit=10)))
    print(result.headline)

Names are imported on first use, so that ``import orchestrator`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.app import Orchestrator, manifest_schema, run_emulator
    from orchestrator.engine.progress import Level, Notice, Observer, Progress, Watched
    from orchestrator.errors import (
        BatchConflict,
        BatchLocked,
        CredentialsError,
        ManifestError,
        OrchestratorError,
        OutputConflict,
        StoreError,
        UsageError,
        VendorUnavailable,
    )
    from orchestrator.manifest.read import check_manifest, load_manifest
    from orchestrator.model import Complaint, JobSpec, Manifest, Place, State
    from orchestrator.rehearsal import Rehearsal
    from orchestrator.report.views import (
        BatchView,
        JobView,
        PlanLine,
        PlanView,
        RunView,
        Why,
    )
    from orchestrator.session import RunOptions

_HOMES = {
    "app": ("Orchestrator", "manifest_schema", "run_emulator"),
    "engine.progress": ("Level", "Notice", "Observer", "Progress", "Watched"),
    "errors": (
        "BatchConflict",
        "BatchLocked",
        "CredentialsError",
        "ManifestError",
        "OrchestratorError",
        "OutputConflict",
        "StoreError",
        "UsageError",
        "VendorUnavailable",
    ),
    "manifest.read": ("check_manifest", "load_manifest"),
    "model": ("Complaint", "JobSpec", "Manifest", "Place", "State"),
    "rehearsal": ("Rehearsal",),
    "report.views": ("BatchView", "JobView", "PlanLine", "PlanView", "RunView", "Why"),
    "session": ("RunOptions",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BatchConflict",
    "BatchLocked",
    "BatchView",
    "Complaint",
    "CredentialsError",
    "JobSpec",
    "JobView",
    "Level",
    "Manifest",
    "ManifestError",
    "Notice",
    "Observer",
    "Orchestrator",
    "OrchestratorError",
    "OutputConflict",
    "Place",
    "PlanLine",
    "PlanView",
    "Progress",
    "Rehearsal",
    "RunOptions",
    "RunView",
    "State",
    "StoreError",
    "UsageError",
    "VendorUnavailable",
    "Watched",
    "Why",
    "check_manifest",
    "load_manifest",
    "manifest_schema",
    "run_emulator",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
