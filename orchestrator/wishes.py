"""The jobs of a manifest on their way into the store, made one at a time.

A batch may have 100,000 jobs. What is held of each is what :class:`Packed` needs, its revision,
and a row of numbers for the change that a plan makes; specs, wire texts and changes are made when
they are asked for, and forgotten again.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.manifest.packed import Packed, packed
from orchestrator.manifest.revision import revision_of, wire_text, wire_values
from orchestrator.model import (
    FILE_AVATARS,
    AudioKind,
    ContentHash,
    Event,
    JobId,
    JobKey,
    JobSpec,
    MediaFacts,
    Revision,
    State,
)
from orchestrator.store.base import Change, ChangeKind, Known, Wanted

REVISION_BYTES = 32
_UNKNOWN = bytes(REVISION_BYTES)
"""In the place of a revision that nobody has asked for."""


class Wishes:
    """The wanted jobs in the manifest's order. ``facts`` has every file they need, by path.

    ``revisions``, where they are known: those of all jobs, 32 bytes each.
    """

    def __init__(
        self,
        specs: Sequence[JobSpec],
        facts: Mapping[str, MediaFacts],
        revisions: bytearray | None = None,
    ) -> None:
        self._specs = packed(specs)
        self._facts = facts
        self._hashes = {path: found.content_hash for path, found in facts.items()}
        self._revisions = revisions or bytearray(REVISION_BYTES * len(self._specs))

    def __len__(self) -> int:
        return len(self._specs)

    def __getitem__(self, position: int) -> Wanted:
        spec = self._specs[position]
        wire = wire_text(wire_values(spec, self._hashes))
        avatar, audio = files_of(spec, self._facts)
        return Wanted(
            spec=spec,
            revision=self._noted(position) or self._note(position, wire),
            wire=wire,
            avatar=avatar,
            audio=audio,
            audio_s=None if audio is None else audio.duration_s,
        )

    def __iter__(self) -> Iterator[Wanted]:
        return map(self.__getitem__, range(len(self._specs)))

    def submit(self, position: int) -> Submit:
        """What a submit of this job is made of."""
        spec = self._specs[position]
        return Submit(spec, *files_of(spec, self._facts))

    def spec(self, position: int) -> JobSpec:
        """The spec of this job."""
        return self._specs[position]

    def wire(self, position: int) -> str:
        """What is paid for in this job, as text."""
        return wire_text(wire_values(self._specs[position], self._hashes))

    def revision(self, position: int) -> Revision:
        """The revision of this job."""
        return self._noted(position) or self._note(position, self.wire(position))

    def _noted(self, position: int) -> Revision | None:
        start = REVISION_BYTES * position
        held = self._revisions[start : start + REVISION_BYTES]
        return None if held == _UNKNOWN else Revision(held.hex())

    def _note(self, position: int, wire: str) -> Revision:
        revision, start = revision_of(wire), REVISION_BYTES * position
        self._revisions[start : start + REVISION_BYTES] = bytes.fromhex(revision)
        return revision

    def output(self, position: int) -> str:
        """The path of this job's video."""
        return self._specs.output(position)

    @property
    def facts(self) -> Mapping[str, MediaFacts]:
        """What is known of every file, by path."""
        return self._facts

    def hashes(self, position: int) -> set[ContentHash]:
        """The contents of the local files that this job needs."""
        return {self._hashes[path] for path in self._specs.files(position)}

    def id(self, position: int) -> JobId:
        """The id of this job."""
        return self._specs.ids[position]

    def ids(self, positions: range) -> list[JobId]:
        """The ids of these jobs, which follow each other."""
        return self._specs.ids[positions.start : positions.stop]

    def contents(self) -> list[ContentHash]:
        """The contents of all files that the jobs need, each once."""
        return sorted(set(self._hashes.values()))

    def savers(self) -> frozenset[JobId]:
        """The jobs that save their avatar at the vendor."""
        specs = self._specs
        return frozenset(job_id for n, job_id in enumerate(specs.ids) if specs.alike(n).save_avatar)

    def packed(self) -> tuple[Packed, bytes]:
        """All jobs, and their revisions one behind the other."""
        for position in range(len(self)):
            self.revision(position)
        return self._specs, bytes(self._revisions)

    def clear(self) -> None:
        """Forget the jobs: they are in the store now."""
        self._specs, self._facts, self._hashes = Packed(), {}, {}
        self._revisions = bytearray()


def files_of(
    spec: JobSpec, facts: Mapping[str, MediaFacts]
) -> tuple[MediaFacts | None, MediaFacts | None]:
    """What is known of the job's avatar and audio; None for what is no local file."""
    avatar = facts[spec.avatar] if spec.avatar_kind in FILE_AVATARS else None
    audio = facts[spec.audio] if spec.audio_kind is AudioKind.FILE else None
    return avatar, audio


class Submit(NamedTuple):
    """A job that a plan would pay for."""

    spec: JobSpec
    avatar: MediaFacts | None
    audio: MediaFacts | None

    @property
    def audio_s(self) -> float | None:
        """How long its sound file lasts, None for a text or where the file does not say."""
        return None if self.audio is None else self.audio.duration_s


@dataclass(slots=True)
class Submits:
    """The jobs that a plan would pay for, by their positions in the manifest."""

    wishes: Wishes
    _positions: array[int] = field(default_factory=lambda: array("L"))

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[Submit]:
        return map(self.wishes.submit, self._positions)

    def positions(self) -> Iterator[int]:
        """Where they stand in the manifest, in its order."""
        return iter(self._positions)

    def add(self, position: int) -> None:
        """One more; positions come in order."""
        self._positions.append(position)

    def folders(self) -> list[str]:
        """Where their videos go, each folder once."""
        outputs = map(self.wishes.output, self._positions)
        return list(dict.fromkeys(map(os.path.dirname, outputs)))


KINDS, STATES = tuple(ChangeKind), tuple(State)
_KIND_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_STATE_NUMBERS = {state: number for number, state in enumerate(STATES)}


@dataclass(slots=True)
class Changes:
    """The changes of a plan, each made when the store comes to it.

    Columns of numbers, 26 bytes a change; ``_events`` by the change's number. A key of 0 is none.
    """

    wishes: Wishes
    _kinds: bytearray = field(default_factory=bytearray)
    _states: bytearray = field(default_factory=bytearray)
    _positions: array[int] = field(default_factory=lambda: array("q"))
    _keys: array[int] = field(default_factory=lambda: array("q"))
    _versions: array[int] = field(default_factory=lambda: array("q"))
    _events: dict[int, Event] = field(default_factory=dict)
    _orphans: list[Known] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._kinds) + len(self._orphans)

    def __iter__(self) -> Iterator[Change]:
        yield from map(self._made, range(len(self._kinds)))
        for known in self._orphans:
            yield Change(kind=ChangeKind.ORPHAN, known=known, selected=False)

    def add(
        self, position: int, kind: ChangeKind, known: Known | None, event: Event | None
    ) -> None:
        """Change the job at this position of the manifest."""
        if event is not None:
            self._events[len(self._kinds)] = event
        self._kinds.append(_KIND_NUMBERS[kind])
        self._positions.append(position)
        if known is None:
            state = key = version = 0
        else:
            state, key, version = _STATE_NUMBERS[known.state], known.key, known.version
        self._states.append(state)
        self._keys.append(key)
        self._versions.append(version)

    def orphan(self, known: Known) -> None:
        """A stored job left the manifest."""
        self._orphans.append(known)

    def _made(self, number: int) -> Change:
        position = self._positions[number]
        wanted = self.wishes[position]
        return Change(
            kind=KINDS[self._kinds[number]],
            wanted=wanted,
            known=self._known(number, wanted) if self._keys[number] else None,
            position=position,
            event=self._events.get(number),
        )

    def _known(self, number: int, wanted: Wanted) -> Known:
        """Which stored job is changed, and at which version. What served to judge it is left
        blank: 100,000 of those texts would be 50 MB."""
        return Known(
            key=JobKey(self._keys[number]),
            job_id=wanted.spec.job_id,
            state=STATES[self._states[number]],
            version=self._versions[number],
            revision=Revision(""),
            waiting_revision=None,
            wire="",
            output="",
            output_bytes=None,
            accepted_at=None,
            task_id=None,
            task_ended_badly=False,
            orphan=False,
        )
