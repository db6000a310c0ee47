"""Where the values of 100,000 jobs stand, in a hundred bytes a job.

Jobs that are written alike share the list of their keys (a :class:`_Shape`); what a job keeps of
its own are two packed numbers a key. A :class:`Place` is made only when somebody asks for one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import cast

from orchestrator.manifest.nodes import Spot, place_of
from orchestrator.model import Place

MAX_SHAPES = 4096
"""So many shapes are shared; jobs of further ones keep their own."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """The keys of many jobs, and in which file the value of each stands."""

    numbers: Mapping[str, int]
    files: tuple[str, ...]


class Places(Mapping[str, Place]):
    """Places by dotted key."""

    __slots__ = ("_packed", "_shape")

    def __init__(self, shape: _Shape, packed: bytes) -> None:
        self._shape, self._packed = shape, packed

    def __getitem__(self, key: str) -> Place:
        number = self._shape.numbers[key]
        line, column = memoryview(self._packed).cast("I")[2 * number : 2 * number + 2]
        return Place(file=self._shape.files[number], line=line, column=column)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shape.numbers)

    def __len__(self) -> int:
        return len(self._shape.numbers)


class Packer:
    """Makes :class:`Places`; ``file`` is the one of spots that name none."""

    __slots__ = ("_file", "_shapes")

    def __init__(self, file: str) -> None:
        self._file = file
        self._shapes: dict[tuple[object, ...], _Shape] = {}

    def places(self, spots: Mapping[str, Spot]) -> Places:
        """``spots`` in little room."""
        flat = [*chain.from_iterable(spots.values())]
        if len(flat) == 2 * len(spots):  # all in the manifest, as most are
            key: tuple[object, ...] = tuple(spots)
        else:
            files = [spot[2] if len(spot) == 3 else None for spot in spots.values()]
            key = (*spots, *files)
            flat = [number for spot in spots.values() for number in spot[:2]]
        shape = self._shapes.get(key) or self._new_shape(key, spots)
        return Places(shape, array("I", cast(list[int], flat)).tobytes())

    def _new_shape(self, key: tuple[object, ...], spots: Mapping[str, Spot]) -> _Shape:
        shape = _Shape(
            numbers={name: number for number, name in enumerate(spots)},
            files=tuple(place_of(spot, self._file).file for spot in spots.values()),
        )
        if len(self._shapes) < MAX_SHAPES:
            self._shapes[key] = shape
        return shape


_BITS = 32
_MASK = (1 << _BITS) - 1


class SpotNumbers:
    """A spot as one number and back, for dictionaries of many."""

    __slots__ = ("_files", "_numbers")

    def __init__(self) -> None:
        self._files: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, spot: Spot) -> int:
        """``spot`` as a whole number."""
        number = spot[0] << _BITS | spot[1]
        return number if len(spot) == 2 else self._file(spot[2]) << 2 * _BITS | number

    def spot(self, number: int) -> Spot:
        """The spot that :meth:`number` made into ``number``."""
        line, column, file = number >> _BITS & _MASK, number & _MASK, number >> 2 * _BITS
        return (line, column, self._files[file - 1]) if file else (line, column)

    def _file(self, name: str) -> int:
        """From 1; 0 stands for the manifest itself."""
        if name not in self._numbers:
            self._files.append(name)
            self._numbers[name] = len(self._files)
        return self._numbers[name]
