"""A look at everything that a batch depends on, before it does: each check ok, warning or fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.doctor.examine import examine

__all__ = ["examine"]


def __getattr__(name: str) -> Any:
    """The one entry point, imported when it is first used: the network library is heavy."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orchestrator.doctor import examine as module

    return module.examine
