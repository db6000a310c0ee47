"""A manifest's avatar, voice and caption ids against the vendor's lists. Pure.

An id that no list shows is a complaint at every place where it was written, with what is close
to it. It is only a warning where the list may not tell all: for private items (they appear late),
for a list that is a copy or that the vendor showed in part.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.catalogues.filters import or_list
from orchestrator.model import AudioKind, AvatarKind, Complaint, JobSpec, Place

AVATARS, OWN_AVATARS = "avatars", "avatars?private"
VOICES, OWN_VOICES = "voices", "voices?private"
CAPTIONS = "captions"
MOST_NEAR = 50
"""Near misses are looked for so many wrong ids; comparing thousands with thousands takes long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """The ids of a manifest by key, each with the places where it stands.

    ``voiceless``: public avatars that are to speak a text without a voice being named.
    """

    by_key: Mapping[str, Mapping[str, Sequence[Place]]]
    voiceless: Mapping[str, Sequence[Place]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """The vendor's lists by name; ``sure`` names those that are whole and fresh."""

    items: Mapping[str, Sequence[Any]]
    sure: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Where ids of one key are looked for. ``lists`` hold it, ``others`` hold its neighbours."""

    noun: str
    command: str
    lists: tuple[str, ...]
    others: Mapping[str, str] = field(default_factory=dict)
    warning: bool = False


_KINDS: Mapping[str, _Kind] = {
    "avatar.public": _Kind(
        noun="public avatars",
        command="orchestrator avatars",
        lists=(AVATARS,),
        others={OWN_AVATARS: 'it is one of your own: write "private" instead of "public".'},
    ),
    "avatar.private": _Kind(
        noun="private avatars",
        command="orchestrator avatars --private",
        lists=(OWN_AVATARS,),
        others={AVATARS: 'it is a public one: write "public" instead of "private".'},
        warning=True,
    ),
    "audio.voice": _Kind(noun="voices", command="orchestrator voices", lists=(VOICES, OWN_VOICES)),
    "caption": _Kind(noun="captions", command="orchestrator captions", lists=(CAPTIONS,)),
}


def uses_of(jobs: Iterable[JobSpec]) -> Uses:
    """The ids that the jobs name, each place once (a default stands for many jobs)."""
    by_key: dict[str, dict[str, dict[Place, None]]] = {key: {} for key in _KINDS}
    voiceless: dict[str, dict[Place, None]] = {}
    for spec in jobs:
        for key, id_ in _ids(spec):
            by_key[key].setdefault(id_, {})[_place(spec, key)] = None
        speaks = spec.audio_kind is AudioKind.TEXT and spec.voice is None
        if speaks and spec.avatar_kind is AvatarKind.PUBLIC:
            voiceless.setdefault(spec.avatar, {})[_place(spec, "audio.text")] = None
    return Uses(
        by_key={key: {i: tuple(p) for i, p in ids.items()} for key, ids in by_key.items()},
        voiceless={i: tuple(p) for i, p in voiceless.items()},
    )


def _ids(spec: JobSpec) -> Iterator[tuple[str, str]]:
    if spec.avatar_kind is AvatarKind.PUBLIC:
        yield "avatar.public", spec.avatar
    if spec.avatar_kind is AvatarKind.PRIVATE:
        yield "avatar.private", spec.avatar
    if spec.audio_kind is AudioKind.TEXT and spec.voice is not None:
        yield "audio.voice", spec.voice
    if spec.caption is not None:
        yield "caption", spec.caption


def _place(spec: JobSpec, key: str) -> Place:
    dotted = key
    while dotted not in spec.places and "." in dotted:
        dotted = dotted.rpartition(".")[0]
    place = spec.places.get(dotted) or spec.places.get("")
    return place or Place(file=f"job {spec.job_id}", line=1, column=1)


def needed(uses: Uses, lists: Mapping[str, Sequence[Any]]) -> str | None:
    """The next list to ask for; None when those that are here tell all.

    The list of neighbours, and the account's own voices, are asked for only when an id was not
    found.
    """
    for key, kind in _KINDS.items():
        wanted: set[str] = set(uses.by_key[key])
        for name in (*kind.lists, *kind.others):
            if not wanted:
                break
            if name not in lists:
                return name
            wanted -= {item.id for item in lists[name]}
    return None


def complaints_about(uses: Uses, lists: Lists) -> list[Complaint]:
    """Every id that is not where it should be, sorted by place. Takes long for many wrong ids:
    call it in a thread."""
    found = [
        *(c for key in _KINDS for c in _unknown(key, uses.by_key[key], lists)),
        *_without_voice(uses, lists),
    ]
    return sorted(found, key=lambda c: (c.place.file, c.place.line, c.place.column))


def _unknown(key: str, ids: Mapping[str, Sequence[Place]], lists: Lists) -> Iterator[Complaint]:
    kind = _KINDS[key]
    known = [item for name in kind.lists for item in lists.items.get(name, ())]
    here = {item.id for item in known}
    sure = all(name in lists.sure for name in kind.lists)
    wrong = [id_ for id_ in ids if id_ not in here]
    for number, id_ in enumerate(wrong):
        hint = _elsewhere(id_, kind, lists)
        if hint is None and number < MOST_NEAR:
            hint = _near_miss(id_, known)
        remedy = f"list them with: {kind.command}"
        for place in ids[id_]:
            yield Complaint(
                place=place,
                problem=f'{key} is "{id_}", which is not among the {kind.noun} ({len(here)})',
                remedy=f"{hint} {remedy[0].upper()}{remedy[1:]}" if hint else remedy,
                warning=kind.warning or not sure,
            )


def _elsewhere(id_: str, kind: _Kind, lists: Lists) -> str | None:
    for name, words in kind.others.items():
        if any(item.id == id_ for item in lists.items.get(name, ())):
            return words
    return None


def _near_miss(id_: str, known: Sequence[Any]) -> str | None:
    """What the user may have meant: an item that is called so, else ids that are spelled alike."""
    called = [i for i in known if _name(i).casefold() == id_.strip().casefold()]
    if called:
        return f"that is a name; did you mean {or_list([f'{_shown(i)}' for i in called[:3]])}?"
    plain = {i.id.casefold(): i for i in known}
    word = id_.strip().casefold()
    close = [plain[word]] if word in plain else [plain[k] for k in _alike(word, plain)]
    return f"did you mean {or_list([_shown(i) for i in close])}?" if close else None


def _alike(word: str, known: Iterable[str]) -> list[str]:
    """Digits that changed places first. Long ids are random: only one that differs in little can
    be meant."""
    options = list(known)
    swapped = [k for k in options if len(k) == len(word) and sorted(k) == sorted(word)]
    if swapped:
        return swapped[:3]
    cutoff = 0.7 if len(word) < 12 else 0.85
    return difflib.get_close_matches(word, options, 2, cutoff)


def _shown(item: Any) -> str:
    name = _name(item)
    return f'"{item.id}" ({name})' if name else f'"{item.id}"'


def _name(item: Any) -> str:
    return getattr(item, "name", "")


def _without_voice(uses: Uses, lists: Lists) -> Iterator[Complaint]:
    """Avatars that have no voice of their own; nobody knows what the vendor does then."""
    avatars = {item.id: item for item in lists.items.get(AVATARS, ())}
    for id_, places in uses.voiceless.items():
        avatar = avatars.get(id_)
        if avatar is None or avatar.voice is not None:
            continue
        for place in places:
            yield Complaint(
                place=place,
                problem=f"{_shown(avatar)} has no voice of its own, and the job names none",
                remedy='add a voice, for example "voice: ID"; list them with: orchestrator voices',
                warning=True,
            )
