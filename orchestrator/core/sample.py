"""A few of many, chosen so that every kind is among them: what ``run --sample`` makes first."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def sample(named: Iterable[tuple[Name, Hashable]], count: int) -> frozenset[Name]:
    """``count`` (>= 1) of the names, or all if there are fewer; each comes with its kind.

    Every kind gets one before any gets a second, in the order in which the kinds appear; within a
    kind the chosen ones lie spread evenly from the first to the last. The same input gives the
    same choice.
    """
    by_kind: dict[Hashable, list[Name]] = {}
    for name, kind in named:
        by_kind.setdefault(kind, []).append(name)
    shares = _shares([len(names) for names in by_kind.values()], count)
    pairs = zip(by_kind.values(), shares, strict=True)
    return frozenset(name for names, share in pairs for name in _spread(names, share))


def _shares(sizes: list[int], count: int) -> list[int]:
    """How many of each kind: dealt out in rounds, as long as there are any."""
    shares = [0] * len(sizes)
    left = min(count, sum(sizes))
    while left:
        for kind, size in enumerate(sizes):
            if left and shares[kind] < size:
                shares[kind] += 1
                left -= 1
    return shares


def _spread(names: list[Name], share: int) -> list[Name]:
    if share == 1:
        return names[:1]
    last = len(names) - 1
    return [names[i * last // (share - 1)] for i in range(share)]
