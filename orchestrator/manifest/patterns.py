"""Paths with ``*`` or ``?`` in them: one job for every file that they match."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath

from orchestrator.manifest.fill import Names, Unfillable, kept
from orchestrator.manifest.findings import Page, shown
from orchestrator.manifest.inputs import Inputs
from orchestrator.manifest.nodes import Plain, Spot
from orchestrator.model import Complaint

_PATHS = {"avatar": ("video", "image"), "audio": ("file", "text_file")}
_ANYWHERE = "**"


def is_pattern(path: str) -> bool:
    """Whether ``path`` stands for all files that match it. Brackets alone make no pattern."""
    return "*" in path or "?" in path


def stem_of(path: str) -> str:
    """The file's name without its folder and its extension."""
    return PurePosixPath(path).stem


@dataclass(slots=True)
class Patterns:
    """The patterns of one manifest and the files that they match, each looked for once.

    ``folder`` is what relative ones are taken from; ``inputs`` looks for the files.
    """

    folder: str
    inputs: Inputs = field(default_factory=Inputs)
    seen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    places: dict[str, Spot] = field(default_factory=dict)

    def files(self, pattern: str, spot: Spot) -> tuple[str, ...]:
        """Paths of the files that match, sorted; relative if ``pattern`` is."""
        if pattern not in self.seen:
            self.seen[pattern] = self.inputs.matching(self.folder, pattern)
            path = os.path.join(self.folder, pattern)  # noqa: PTH118  (pathlib keeps "..")
            self.places[os.path.normpath(path)] = spot
        return self.seen[pattern]

    def matching(self, path: str) -> Spot | None:
        """Where a pattern stands that ``path`` (absolute) would match; None if there is none."""
        for pattern, spot in self.places.items():
            if matches(path.split("/"), tuple(pattern.split("/"))):
                return spot
        return None


def matches(parts: Sequence[str], pattern: tuple[str, ...]) -> bool:
    """Whether a path matches a pattern, both cut at their slashes, as the shell would say."""
    if not pattern:
        return not parts
    if pattern[0] == _ANYWHERE:
        return any(matches(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    if not parts or not _fits(parts[0], pattern[0]):
        return False
    return matches(parts[1:], pattern[1:])


@lru_cache(maxsize=4096)
def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern)


def patterns_in(values: dict[str, object], *sections: str) -> list[str]:
    """Dotted keys of ``values`` whose paths are patterns."""
    found: list[str] = []
    for section in sections or _PATHS:
        holder = values.get(section)
        if type(holder) is dict:
            for key, path in holder.items():
                if type(path) is str and is_pattern(path) and key in _PATHS[section]:
                    found.append(f"{section}.{key}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One job out of a pattern, and the stem of its file."""

    job: Plain
    stem: str


def each_file(
    job: Plain, names: Names, patterns: Patterns, page: Page, found: list[Complaint]
) -> Iterator[Match]:
    """``job``, which has a pattern, once for each file that matches it.

    A pattern that matches nothing, or a second one, is complained about in ``found``; the job
    then comes once, without it.
    """
    keys = patterns_in(job.values)
    for key in keys[1:]:
        problem = f"{key} is a second path with * or ? in one job"
        remedy = "write {stem} for the name that the first one matched, or use a matrix"
        found.append(page.complaint(job.spots[key], problem, remedy))
    files = files_of(job, keys[0], names, patterns, page, found) if len(keys) == 1 else ()
    for path in files:
        yield Match(job=with_path(job, keys[0], kept(path)), stem=stem_of(path))
    if not files:
        yield Match(job=without_paths(job, keys), stem="stem")


def files_of(
    job: Plain, key: str, names: Names, patterns: Patterns, page: Page, found: list[Complaint]
) -> tuple[str, ...]:
    """The files for the pattern at ``key`` of ``job``; complained about if there are none."""
    section, _, name = key.partition(".")
    spot = job.spots[key]
    try:
        pattern = names.fill(key, job.values[section][name])
    except Unfillable as error:
        found.append(page.complaint(spot, error.problem, error.remedy))
        return ()
    files = patterns.files(pattern, spot)
    if not files:
        problem = f"{key}: no file matches {shown(pattern)}"
        remedy = "check the path; it starts in the manifest's folder"
        found.append(page.complaint(spot, problem, remedy))
    return files


def with_path(job: Plain, key: str, path: str) -> Plain:
    """``job`` with another path at ``key``; nothing is shared that would be changed later."""
    section, _, name = key.partition(".")
    values = {**job.values, section: {**job.values[section], name: path}}
    return Plain(values=values, spots=dict(job.spots), spoiled=set(job.spoiled))


def without_paths(job: Plain, keys: list[str]) -> Plain:
    """``job`` without the paths at ``keys``, and without an id that would need them."""
    values, spoiled = dict(job.values), {*job.spoiled, *keys}
    for key in keys:
        section, _, name = key.partition(".")
        values[section] = {k: v for k, v in values[section].items() if k != name}
    job_id = values.get("id")
    if isinstance(job_id, str) and "{stem}" in job_id:
        spoiled.add("id")
        values["id"] = ""
    return Plain(values=values, spots=job.spots, spoiled=spoiled)
