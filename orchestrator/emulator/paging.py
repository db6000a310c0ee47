"""Query parameters of the catalogues: pages and choices. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from orchestrator.emulator.validate import Refusal

_PAGE_SIZE = 20
LARGEST_PAGE = 500


def paging(query: Mapping[str, str]) -> tuple[int, int]:
    """``pageNo`` (from 1) and ``pageSize``, with the vendor's defaults.

    Raises:
        Refusal: 4000 for anything that is no whole number of at least 1.
    """
    number = _whole("pageNo", query.get("pageNo"), 1)
    size = _whole("pageSize", query.get("pageSize"), _PAGE_SIZE)
    return number, min(size, LARGEST_PAGE)


def _whole(key: str, text: str | None, default: int) -> int:
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise Refusal("4000", f"{key} must be a whole number of at least 1")
    return int(text)


def page(items: Sequence[Any], number: int, size: int) -> dict[str, Any]:
    """One page in the vendor's shape."""
    start = (number - 1) * size
    data = list(items[start : start + size])
    return {"total": len(items), "pageNo": number, "pageSize": size, "data": data}


def choice(query: Mapping[str, str], key: str, allowed: Collection[str] | None) -> str | None:
    """A filter; None if it is absent or empty. ``allowed`` None takes any value.

    Raises:
        Refusal: 4000 for a value that is not allowed.
    """
    value = query.get(key)
    if not value:
        return None
    if allowed is not None and value not in allowed:
        raise Refusal("4000", f"{key} must be one of {', '.join(allowed)}")
    return value
