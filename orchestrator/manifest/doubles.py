"""Jobs that ask for the same video under two ids: each of them would be made and paid for.

What is the same is what :mod:`orchestrator.manifest.revision` hashes. To find it among 100,000
jobs costs a number each; only jobs with equal numbers are compared.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.manifest.packed import Packed, packed
from orchestrator.model import FILE_AVATARS, AudioKind, Complaint, ContentHash, JobSpec, Place

MOST_TOLD = 20
"""So many warnings name their jobs; one more counts the rest."""

_ONCE = "it is made and paid for twice: remove one, or leave it if that is meant"
_OFTEN = "each is made and paid for by itself: remove some, or leave them if that is meant"


@dataclass(slots=True)
class _Repeats:
    """The jobs at one place (an expansion makes many) that repeat others: the first, and more.

    Jobs are numbers of their order.
    """

    first: int
    again: int
    more: int = 0


def double_warnings(
    jobs: Sequence[JobSpec], contents: Mapping[str, ContentHash]
) -> list[Complaint]:
    """Warnings at the jobs that ask for the very video of a job above them.

    ``contents`` has the hash of each file by its path; one that it lacks is known by its path.
    Jobs of one place share a warning; beyond MOST_TOLD places all jobs do.
    """
    found: dict[Place, _Repeats] = {}
    beyond: Place | None = None
    left = 0
    every = packed(jobs)
    for first, again in _pairs(every, _Contents(contents)):
        place = _place(every, again)
        if (known := found.get(place)) is not None:
            known.more += 1
        elif len(found) < MOST_TOLD:
            found[place] = _Repeats(first, again)
        else:
            beyond, left = beyond or place, left + 1
    told = [_told(every, place, repeats) for place, repeats in found.items()]
    if beyond is not None:
        problem = f"from here on {_jobs(left)} for a video that a job above asks for"
        told.append(Complaint(place=beyond, problem=problem, remedy=_OFTEN, warning=True))
    return told


def _jobs(count: int) -> str:
    return "1 more job asks" if count == 1 else f"{count:,} more jobs ask"


class _Contents(dict[str, ContentHash]):
    """Hashes by path; a file of unknown content is known by its path."""

    def __missing__(self, path: str) -> ContentHash:
        return ContentHash(path)


def _pairs(jobs: Packed, contents: _Contents) -> Iterator[tuple[int, int]]:
    """Every job that repeats an earlier one, behind the first of its like."""
    numbers = array("q", (hash(_wanted(jobs, n, contents)) for n in range(len(jobs))))
    repeated = {one for one, next_one in pairwise(sorted(numbers)) if one == next_one}
    if not repeated:
        return
    firsts: dict[int, int] = {}
    for again, number in enumerate(numbers):
        if number not in repeated:
            continue
        first = firsts.setdefault(number, again)
        if first != again and _wanted(jobs, first, contents) == _wanted(jobs, again, contents):
            yield first, again


def _wanted(jobs: Packed, number: int, contents: _Contents) -> tuple[object, ...]:
    """All that is paid for in a job: equal where the values on the wire are equal."""
    alike, avatar, audio = jobs.alike(number), jobs.avatars[number], jobs.audios[number]
    speaks = alike.audio_kind is AudioKind.TEXT
    return (
        alike.avatar_kind,
        contents[avatar] if alike.avatar_kind in FILE_AVATARS else avatar,
        audio if speaks else contents[audio],
        (alike.voice, alike.speed) if speaks else None,
        alike.mode,
        alike.caption,
        alike.save_avatar,
    )


def _place(jobs: Packed, number: int) -> Place:
    place = jobs.places(number).get("")
    return place or Place(file=f"job {jobs.ids[number]}", line=1, column=1)


def _told(jobs: Packed, place: Place, repeats: _Repeats) -> Complaint:
    first, again = jobs.ids[repeats.first], jobs.ids[repeats.again]
    at = _place(jobs, repeats.first)
    where = f"line {at.line}" if at.file == place.file else f"{at.file}:{at.line}"
    where = "" if at == place else f" ({where})"
    more = f", and here {_jobs(repeats.more)} for one that is asked for above" * bool(repeats.more)
    problem = f'jobs "{first}" and "{again}" ask for the same video{where}{more}'
    remedy = _OFTEN if repeats.more else _ONCE
    return Complaint(place=place, problem=problem, remedy=remedy, warning=True)
