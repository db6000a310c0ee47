"""The vendor's lists for people: asked for, filtered, kept as a copy for days without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.catalogues.facade import Catalogues

__all__ = ["Catalogues"]


def __getattr__(name: str) -> Any:
    """The facade, imported when it is first used: the network library is heavy."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orchestrator.catalogues import facade

    return getattr(facade, name)
