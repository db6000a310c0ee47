"""From the user's YAML text to checked jobs, with every complaint at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.manifest.read import check_manifest, load_manifest

__all__ = ["check_manifest", "load_manifest"]


def __getattr__(name: str) -> Any:
    """The two entry points, imported when they are first used: pydantic and YAML are heavy."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orchestrator.manifest import read

    return getattr(read, name)
