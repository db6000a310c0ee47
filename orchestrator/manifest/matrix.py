"""``matrix``: every avatar with every audio, less what is excluded, more what is included.

The pairs are made one by one while somebody iterates; only the two lists are held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.manifest.candidates import Candidate
from orchestrator.manifest.complaints import near
from orchestrator.manifest.expand import AXES, SOURCES, dropped, overlaid
from orchestrator.manifest.fill import Names, kept
from orchestrator.manifest.findings import Page, checked, shown
from orchestrator.manifest.nodes import Node, Plain, Rows, Spot, Table, Text, plain_of
from orchestrator.manifest.patterns import (
    Patterns,
    files_of,
    patterns_in,
    stem_of,
    with_path,
    without_paths,
)
from orchestrator.manifest.schema import Matrix
from orchestrator.model import Complaint

_OF_MATRIX = frozenset({*AXES.values(), "exclude", "include"})


@dataclass(frozen=True, slots=True)
class Choice:
    """One avatar or one audio of a matrix.

    ``name`` is what ``{avatar}`` or ``{audio}`` stands for (None: no name was given), ``label``
    the key it stands under; they differ where a pattern made many of one. ``part`` is a job that
    holds nothing but this source.
    """

    part: Plain
    name: str | None = None
    label: str | None = None
    stem: str | None = None

    def is_called(self, name: str | None) -> bool:
        """Whether ``name`` means this one; None means all."""
        return name is None or name in (self.name, self.label)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One item of ``exclude`` or ``include``. ``names`` has None for an axis that is left open.

    ``sources`` has, by axis, a source that was written here instead of a name. ``job`` holds the
    item's other keys; ``sure`` is False if anything in the item was refused.
    """

    names: Mapping[str, str | None]
    sources: Mapping[str, Choice]
    job: Plain
    sure: bool

    def covers(self, avatar: Choice, audio: Choice) -> bool:
        """Whether the rule is about this pair."""
        return (
            not self.sources
            and avatar.is_called(self.names["avatar"])
            and audio.is_called(self.names["audio"])
        )


@dataclass(slots=True)
class Grid:
    """A matrix that was read: what all its jobs share, its two axes and its rules.

    ``own`` has the places of ``common`` but for the keys that the axes bring themselves.
    """

    page: Page
    common: Plain
    axes: Mapping[str, Sequence[Choice]]
    own: dict[str, Spot] = field(default_factory=dict)
    excluded: list[_Rule] = field(default_factory=list)
    included: list[_Rule] = field(default_factory=list)

    def candidates(self) -> Iterator[Candidate]:
        """Every pair that is not excluded, then what ``include`` adds; one at a time."""
        met: set[int] = set()
        for avatar in self.axes["avatar"]:
            for audio in self.axes["audio"]:
                if any(rule.sure and rule.covers(avatar, audio) for rule in self.excluded):
                    continue
                over = [n for n, rule in enumerate(self.included) if rule.covers(avatar, audio)]
                met.update(over)
                yield self._pair(avatar, audio, [self.included[n].job for n in over])
        for number, rule in enumerate(self.included):
            if number not in met and rule.sure:
                yield from self._extras(rule)

    def _extras(self, rule: _Rule) -> Iterator[Candidate]:
        for avatar in self._meant("avatar", rule):
            for audio in self._meant("audio", rule):
                yield self._pair(avatar, audio, [rule.job])

    def _meant(self, axis: str, rule: _Rule) -> list[Choice]:
        if axis in rule.sources:
            return [rule.sources[axis]]
        return [choice for choice in self.axes[axis] if choice.is_called(rule.names[axis])]

    def _pair(self, avatar: Choice, audio: Choice, over: Sequence[Plain]) -> Candidate:
        job, own, names = self.common, dict(self.own), {}
        for axis, choice in (("avatar", avatar), ("audio", audio)):
            job = overlaid(job, choice.part)
            own.update(choice.part.spots)
            if choice.name is not None:
                names[axis] = choice.name
        for extra in over:
            job = overlaid(job, extra)
            own.update(extra.spots)
        stems = [choice.stem for choice in (avatar, audio) if choice.stem is not None]
        if len(stems) == 1:
            names["stem"] = stems[0]
        return Candidate(job, self.page, own, names)


def grid_of(
    table: Table, page: Page, names: Names, patterns: Patterns, found: list[Complaint]
) -> Grid:
    """The matrix written as ``table``; what is wrong with it is added to ``found``.

    ``names`` fills in the placeholders of patterns.
    """
    plain = plain_of(table)
    checked(Matrix, plain, page, found)
    found.extend(_emptiness(plain, page))
    common = _common(table, plain)
    axes = {
        axis: list(_choices(axis, table, plain, _Files(names, patterns, page, found)))
        for axis in AXES
    }
    grid = Grid(page, common, axes, _own(common, table))
    grid.excluded = _rules("exclude", table, plain, grid, found)
    grid.included = _rules("include", table, plain, grid, found)
    return grid


def _emptiness(plain: Plain, page: Page) -> Iterator[Complaint]:
    """A matrix without its lists, and a list beside the single source that it would replace."""
    given = [name for name in AXES.values() if name in plain.spots]
    if not given and not page.cut:
        problem = "the matrix has neither avatars nor audios"
        remedy = 'add them, for example "avatars: {anna: {video: media/anna.mp4}}"'
        yield page.complaint(plain.spots[""], problem, remedy)
    for name in given:
        if plain.values.get(name) == {}:
            remedy = f"add a line for each, or remove {name}"
            yield page.complaint(plain.spots[name], f"{name} is empty", remedy)
    for axis, name in AXES.items():
        source = next((k for k in SOURCES[axis] if f"{axis}.{k}" in plain.spots), None)
        if source and name in given:
            problem = f"the matrix has both {axis}.{source} and {name}"
            yield page.complaint(plain.spots[f"{axis}.{source}"], problem, "keep one of them")


def _section(node: Node, prefix: str, whole: Plain) -> Plain:
    """The mapping ``node``, without what was refused in it as part of ``whole``."""
    part = plain_of(node) if isinstance(node, Table) else Plain({}, {"": node.spot}, set())
    around = f"{prefix}." if prefix else ""
    part.spoiled |= {k.removeprefix(around) for k in whole.spoiled if k.startswith(around)}
    for key in part.spoiled:
        dropped(part.values, key)
    return part


def _common(table: Table, whole: Plain) -> Plain:
    """The keys that every job of the matrix gets."""
    entries = {name: e for name, e in table.entries.items() if name not in _OF_MATRIX}
    return _section(Table(entries, table.spot), "", whole)


def _own(common: Plain, table: Table) -> dict[str, Spot]:
    listed = tuple(f"{axis}." for axis, name in AXES.items() if name in table.entries)
    return {key: spot for key, spot in common.spots.items() if not key.startswith(listed)}


def _lists(table: Table) -> list[str]:
    return [name for name in AXES.values() if name in table.entries]


@dataclass(slots=True)
class _Files:
    """What it takes to look for the files of a pattern, and where to complain."""

    names: Names
    patterns: Patterns
    page: Page
    found: list[Complaint]

    def of(self, job: Plain, key: str) -> tuple[str, ...]:
        """The files that match the pattern at ``key``."""
        return files_of(job, key, self.names, self.patterns, self.page, self.found)


def _choices(axis: str, table: Table, whole: Plain, files: _Files) -> Iterator[Choice]:
    """The avatars or audios of a matrix; one without a name if it has no such list."""
    entry = table.entries.get(AXES[axis])
    if entry is None or not isinstance(entry.value, Table):
        refused = {axis} if entry is not None or not _lists(table) else set()
        yield Choice(Plain(values={}, spots={}, spoiled=refused))
        return
    for label, listed in entry.value.entries.items():
        part = _part(axis, listed.value, f"{AXES[axis]}.{label}", whole)
        keys = patterns_in(part.values, axis)
        if not keys:
            yield Choice(part, label, label)
            continue
        paths = files.of(part, keys[0])
        if not paths:  # one in its place, so that the other list is checked, too
            yield Choice(without_paths(part, keys), label, label)
        for path in paths:
            found = with_path(part, keys[0], kept(path))
            yield Choice(found, stem_of(path), label, stem_of(path))


def _part(axis: str, node: Node, prefix: str, whole: Plain) -> Plain:
    """A job that has nothing but the source ``node`` under ``axis``."""
    source = _section(node, prefix, whole)
    spots = {f"{axis}.{key}": spot for key, spot in source.spots.items() if key}
    spoiled = {f"{axis}.{key}" for key in source.spoiled}
    if prefix in whole.spoiled or not isinstance(node, Table):
        spoiled.add(axis)
    return Plain(values={axis: source.values}, spots={axis: node.spot, **spots}, spoiled=spoiled)


def _rules(
    name: str, table: Table, whole: Plain, grid: Grid, found: list[Complaint]
) -> list[_Rule]:
    entry = table.entries.get(name)
    if entry is None or not isinstance(entry.value, Rows):
        return []
    rules = []
    for number, node in enumerate(entry.value.items):
        if isinstance(node, Table):
            rule = _rule(node, f"{name}.{number}", whole, grid, found)
            if not rule.sure or rule.sources or any(rule.names.values()):
                rules.append(rule)
            else:
                problem = f"this {name} names neither an avatar nor an audio"
                remedy = 'write it like "{avatar: anna, audio: en}"; one of the two is enough'
                found.append(grid.page.complaint(node.spot, problem, remedy))
    return rules


def _rule(node: Table, prefix: str, whole: Plain, grid: Grid, found: list[Complaint]) -> _Rule:
    names: dict[str, str | None] = dict.fromkeys(AXES)
    sources: dict[str, Choice] = {}
    others = {key: entry for key, entry in node.entries.items() if key not in AXES}
    sure = not any(key == prefix or key.startswith(f"{prefix}.") for key in whole.spoiled)
    for axis in AXES.keys() & node.entries.keys():
        given = node.entries[axis].value
        if isinstance(given, Table):
            sources[axis] = Choice(_part(axis, given, f"{prefix}.{axis}", whole))
        elif isinstance(given, Text) and given.value is not None:
            names[axis] = given.value
            if complaint := _unknown_name(axis, given, grid):
                found.append(complaint)
                sure = False
    return _Rule(names, sources, _section(Table(others, node.spot), prefix, whole), sure)


def _unknown_name(axis: str, given: Text, grid: Grid) -> Complaint | None:
    choices, name = grid.axes[axis], given.value or ""
    if not choices or any(choice.is_called(name) for choice in choices):
        return None
    known = [c for choice in choices for c in (choice.label, choice.name) if c is not None]
    problem = f"the matrix has no {axis} {shown(name)}"
    if meant := near(name, known):
        return grid.page.complaint(given.spot, problem, f'did you mean "{meant}"?')
    listed = ", ".join(dict.fromkeys(known[:10])) or f"none; list them under {AXES[axis]}"
    return grid.page.complaint(given.spot, problem, f"it has {listed}")
