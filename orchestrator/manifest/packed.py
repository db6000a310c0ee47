"""The specs of 100,000 jobs in some 200 bytes each, made when somebody asks for one.

What many jobs have in common (all but id, words and output, as a rule) is held once. An output
that holds the job's id, as most do, is held as what stands around the id.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, overload

from orchestrator.model import (
    FILE_AVATARS,
    AudioKind,
    AvatarKind,
    JobId,
    JobSpec,
    Mode,
    Place,
)

MAX_FRAMES = 4096
"""So many ways to put an id into a path are shared; outputs of further ones are kept whole."""
NOWHERE: Mapping[str, Place] = {}

Frame: TypeAlias = tuple[str, ...]
"""An output cut at the id: joined with the id between its parts it is the path."""


class Alike(NamedTuple):
    """What many jobs have in common."""

    avatar_kind: AvatarKind
    audio_kind: AudioKind
    mode: Mode
    voice: str | None
    speed: float
    caption: str | None
    save_avatar: bool
    priority: int
    tags: tuple[str, ...]


def alike_of(spec: JobSpec) -> Alike:
    """The part of ``spec`` that other jobs may have, too."""
    return Alike(
        spec.avatar_kind,
        spec.audio_kind,
        spec.mode,
        spec.voice,
        spec.speed,
        spec.caption,
        spec.save_avatar,
        spec.priority,
        spec.tags,
    )


def packed(specs: Sequence[JobSpec]) -> Packed:
    """``specs`` packed, if they are not yet."""
    return specs if isinstance(specs, Packed) else Packed(specs)


class Packed(Sequence[JobSpec]):
    """Specs, equal to those that were added, in their order.

    ``ids``, ``avatars`` and ``audios`` may be read; each has one value a job.
    """

    __slots__ = (
        "_alike",
        "_alike_numbers",
        "_alikes",
        "_frame_numbers",
        "_framed",
        "_frames",
        "_outputs",
        "_places",
        "audios",
        "avatars",
        "ids",
    )

    def __init__(self, specs: Iterable[JobSpec] = ()) -> None:
        self.ids: list[JobId] = []
        self.avatars: list[str] = []
        self.audios: list[str] = []
        self._places: list[Mapping[str, Place]] = []
        self._alikes: list[Alike] = []
        self._alike_numbers: dict[Alike, int] = {}
        self._alike = array("I")
        self._frames: list[Frame] = []
        self._frame_numbers: dict[Frame, int] = {}
        self._framed = array("i")
        self._outputs: dict[int, str] = {}
        for spec in specs:
            self.append(spec)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, position: int) -> JobSpec: ...

    @overload
    def __getitem__(self, position: slice) -> tuple[JobSpec, ...]: ...

    def __getitem__(self, position: int | slice) -> JobSpec | tuple[JobSpec, ...]:
        if isinstance(position, slice):
            return tuple(self._spec(number) for number in range(*position.indices(len(self))))
        return self._spec(range(len(self.ids))[position])

    def __iter__(self) -> Iterator[JobSpec]:
        return map(self._spec, range(len(self.ids)))

    def _spec(self, number: int) -> JobSpec:
        alike = self._alikes[self._alike[number]]
        return JobSpec(
            job_id=self.ids[number],
            avatar_kind=alike.avatar_kind,
            avatar=self.avatars[number],
            audio_kind=alike.audio_kind,
            audio=self.audios[number],
            output=Path(self.output(number)),
            mode=alike.mode,
            voice=alike.voice,
            speed=alike.speed,
            caption=alike.caption,
            save_avatar=alike.save_avatar,
            priority=alike.priority,
            tags=alike.tags,
            places=self.places(number),
        )

    def append(self, spec: JobSpec) -> None:
        """One more job."""
        output, alike = str(spec.output), alike_of(spec)
        self.add(spec.job_id, spec.avatar, spec.audio, output, alike, spec.places)

    def add(
        self,
        job_id: JobId,
        avatar: str,
        audio: str,
        output: str,
        alike: Alike,
        places: Mapping[str, Place],
    ) -> None:
        """One more job; ``output`` is a normal path."""
        number = self._alike_numbers.setdefault(alike, len(self._alikes))
        if number == len(self._alikes):
            self._alikes.append(alike)
        self.ids.append(job_id)
        self.avatars.append(sys.intern(avatar))
        self.audios.append(sys.intern(audio) if alike.audio_kind is AudioKind.FILE else audio)
        self._places.append(places)
        self._alike.append(number)
        self._frame(output, job_id)

    def _frame(self, output: str, job_id: JobId) -> None:
        frame = tuple(output.split(job_id))
        number = self._frame_numbers.get(frame)
        if number is None:
            if len(self._frames) >= MAX_FRAMES:
                self._outputs[len(self._framed)] = output
                self._framed.append(-1)
                return
            number = self._frame_numbers[frame] = len(self._frames)
            self._frames.append(frame)
        self._framed.append(number)

    def places(self, number: int) -> Mapping[str, Place]:
        """Where the job was written; empty if nobody kept that."""
        return self._places[number] if self._places else NOWHERE

    def output(self, number: int) -> str:
        """The absolute path of the job's video."""
        framed = self._framed[number]
        if framed < 0:
            return self._outputs[number]
        return self.ids[number].join(self._frames[framed])

    def alike(self, number: int) -> Alike:
        """What the job has in common with others."""
        return self._alikes[self._alike[number]]

    def files(self, number: int) -> tuple[str, ...]:
        """Paths of the local files this job needs, avatar first; none to two of them."""
        alike = self._alikes[self._alike[number]]
        avatar = (self.avatars[number],) if alike.avatar_kind in FILE_AVATARS else ()
        audio = (self.audios[number],) if alike.audio_kind is AudioKind.FILE else ()
        return avatar + audio

    def all_files(self) -> list[str]:
        """Paths of the local files of all jobs, each once, as the jobs come to them."""
        if not self.need_files():
            return []
        return list(dict.fromkeys(path for n in range(len(self)) for path in self.files(n)))

    def need_files(self) -> bool:
        """Whether any job needs a local file."""
        return any(
            alike.avatar_kind in FILE_AVATARS or alike.audio_kind is AudioKind.FILE
            for alike in self._alikes
        )

    def shared(self) -> dict[str, Any]:
        """What many jobs share, as JSON values: the ``shared`` of :meth:`begun`."""
        return {"alikes": self._alikes, "frames": self._frames}

    def part(self, start: int, stop: int, numbers: Mapping[str, int]) -> dict[str, Any]:
        """Some jobs as JSON values: a ``part`` of :meth:`extend`.

        ``numbers`` has a number for every avatar and every path.
        """
        alikes, audios = self._alike[start:stop], self.audios[start:stop]
        spoken = [alike.audio_kind is AudioKind.TEXT for alike in self._alikes]
        framed = enumerate(self._framed[start:stop], start)
        return {
            "ids": self.ids[start:stop],
            "avatars": [numbers[avatar] for avatar in self.avatars[start:stop]],
            "audios": [
                audio if spoken[alike] else numbers[audio]
                for audio, alike in zip(audios, alikes, strict=True)
            ],
            "alike": alikes.tolist(),
            "outputs": [self._outputs[n] if frame < 0 else frame for n, frame in framed],
        }

    @classmethod
    def begun(cls, shared: Mapping[str, Any]) -> Packed:
        """No jobs yet, but what those of :meth:`extend` will share. Nobody knows their places.

        Raises:
            KeyError, TypeError, ValueError: this is not what :meth:`shared` gave.
        """
        made = cls()
        made._alikes = [_alike_from(*values) for values in shared["alikes"]]
        made._frames = [_texts(frame) for frame in shared["frames"]]
        return made

    def extend(self, part: Mapping[str, Any], names: Sequence[str]) -> None:
        """Add the jobs of a :meth:`part`; ``names`` has the avatars and paths by their numbers.

        Raises:
            IndexError, KeyError, TypeError, ValueError: this is not what :meth:`part` gave.
        """
        ids, outputs = _texts(part["ids"]), part["outputs"]
        lengths = {len(part[key]) for key in ("ids", "avatars", "audios", "alike", "outputs")}
        if lengths != {len(ids)} or max(part["alike"], default=-1) >= len(self._alikes):
            raise ValueError("columns do not fit together")
        if max((n for n in outputs if type(n) is int), default=-1) >= len(self._frames):
            raise ValueError("an output has no frame")
        for number, output in enumerate(outputs, len(self.ids)):
            if type(output) is str:
                self._outputs[number] = output
        self._framed.extend(-1 if type(n) is str else n for n in outputs)
        self._alike.extend(part["alike"])
        self.ids.extend(map(JobId, ids))
        self.avatars.extend([names[number] for number in part["avatars"]])
        audios = [audio if type(audio) is str else names[audio] for audio in part["audios"]]
        self.audios.extend(audios)


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    if not all(type(value) is str for value in values):
        raise TypeError("not a text")
    return tuple(values)


def _alike_from(
    avatar_kind: str,
    audio_kind: str,
    mode: str,
    voice: str | None,
    speed: float,
    caption: str | None,
    save_avatar: bool,
    priority: int,
    tags: Sequence[str],
) -> Alike:
    return Alike(
        AvatarKind(avatar_kind),
        AudioKind(audio_kind),
        Mode(mode),
        voice,
        float(speed),
        caption,
        bool(save_avatar),
        int(priority),
        _texts(tags),
    )
