"""Single jobs in the hands of an operator: explain, retry, cancel, resolve.

``Operator`` is the facade; what it finds is a ``Sheet`` (one step a job), which it carries out
when it is told to. The rules stand in ``core.intervene``, the sentences in ``core.story``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.operate.operator import Operator

__all__ = ["Operator"]


def __getattr__(name: str) -> Any:
    """The facade, imported when it is first used: completing a name in a shell has to be quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orchestrator.operate import operator

    return getattr(operator, name)
