"""Names: of the batch, of jobs, of outputs; and that no two jobs share one."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath

from orchestrator.manifest.expand import Draft
from orchestrator.manifest.fill import filled, placeholders
from orchestrator.manifest.findings import Page, shown
from orchestrator.manifest.nodes import Spot, place_of
from orchestrator.manifest.patterns import Patterns
from orchestrator.manifest.places import SpotNumbers
from orchestrator.model import Complaint

_JOB_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")
_BATCH = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SAFE = frozenset({"batch", "id"})
"""Placeholders whose values are names that were checked."""
_MAX_NAME_BYTES = 240
"""Leaves room in 255 for what the names of a partial and of a kept older video add."""

Finding = tuple[str, str]
"""Problem and remedy."""


def batch_finding(name: str) -> Finding | None:
    """What is wrong with the name of a batch."""
    if _BATCH.fullmatch(name):
        return None
    return (
        f"batch is {shown(name)}",
        'use a-z, 0-9, ".", "_" and "-", at most 64 of them; begin with a letter or a digit',
    )


def id_finding(job_id: str) -> Finding | None:
    """What is wrong with the id of a job."""
    if _JOB_ID.fullmatch(job_id):
        return None
    return (
        f"id is {shown(job_id)}",
        'use A-Z, a-z, 0-9, ".", "_" and "-", at most 128 of them; begin with a letter or a digit'
        ' and do not end with "."',
    )


@lru_cache(maxsize=1024)
def template_finding(template: str) -> Finding | None:
    """What is wrong with an output template, whatever is filled in."""
    names = placeholders(template)
    for name in names:
        if name in ("{", "}"):
            problem = f"output {shown(template)} has a single {name}"
            return problem, "write {batch} or {id}, or double the brace to keep it"
    return _path_finding(template, filled(template, dict.fromkeys(names, "x")))


def filled_finding(template: str, values: Mapping[str, str]) -> Finding | None:
    """What is wrong with a right template once ``values`` are filled in."""
    names = _unsafe(template)
    for name in names:
        if "/" in values[name] or "\\" in values[name]:
            problem = f"output {shown(template)}: {{{name}}} is {shown(values[name])}"
            return problem, "a placeholder may not bring a folder: write the folder out"
    return _path_finding(template, filled(template, values)) if names else None


@lru_cache(maxsize=1024)
def _unsafe(template: str) -> tuple[str, ...]:
    return tuple(name for name in placeholders(template) if name not in _SAFE)


def _path_finding(template: str, path: str) -> Finding | None:
    if not path.isprintable() or not path.strip():
        return f"output is {shown(template)}", "write a path such as out/{batch}/{id}.mp4"
    pure = PurePosixPath(path)
    if path.endswith("/") or pure.suffix.lower() != ".mp4":
        problem = f"output {shown(template)} does not name an mp4 file"
        return problem, "let it end with .mp4, such as out/{batch}/{id}.mp4"
    if not pure.is_absolute() and _climbs_out(pure):
        problem = f"output {shown(template)} leaves the manifest's folder"
        return problem, 'remove "..", or write an absolute path'
    return None


def _climbs_out(path: PurePosixPath) -> bool:
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def output_complaints(template: str, spot: Spot, page: Page) -> Iterator[Complaint]:
    """What is wrong with an output template, at the place where it is written."""
    if finding := template_finding(template):
        yield page.complaint(spot, *finding)
    elif template.startswith("~"):
        problem = f'output {shown(template)} begins with "~", which is not expanded'
        remedy = "write the path out, if your home folder is meant"
        yield page.complaint(spot, problem, remedy, warning=True)


def folded(path: str) -> str:
    """``path`` as a file system sees it that ignores case and composition of letters."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


@dataclass(slots=True)
class Register:
    """The names of all jobs of one manifest, to find two that are the same.

    Only text is kept of a job, none of its nodes, and a number for its place. Paths are the keys
    of ``outputs`` and ``inputs``: folded, and relative to ``folder`` where they lie in it;
    ``spelled`` has those that folding changed as they are.
    """

    folder: str
    ids: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    inputs: dict[str, int] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    spots: SpotNumbers = field(default_factory=SpotNumbers)

    def add_id(self, draft: Draft, page: Page) -> Iterator[Complaint]:
        """Remember the job's id; complain about a bad or a second one (it is spoiled then)."""
        if draft.is_spoiled("id"):
            return
        job_id, spot = draft.job.id, draft.spot("id")
        if finding := id_finding(job_id):
            draft.spoiled.add("id")
            yield page.complaint(spot, *finding)
            return
        if job_id in self.ids:
            draft.spoiled.add("id")
            problem = f'the id "{job_id}" is taken by the job at {self._at(self.ids[job_id], page)}'
            yield page.complaint(spot, problem, "give every job an id of its own")
            return
        self.ids[job_id] = self.spots.number(spot)

    def add_output(self, draft: Draft, output: str, page: Page) -> Iterator[Complaint]:
        """Remember the job's output; complain about a second one, or a name too long."""
        spot = draft.own.get("output") or draft.spot("id")
        name = output.rpartition("/")[2]
        if len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
            problem = f"the output's name {shown(name)} is longer than {_MAX_NAME_BYTES} bytes"
            yield page.complaint(spot, problem, "choose a shorter id or output")
        key, short = self._key(output), _below(self.folder, output)
        if key not in self.outputs:
            self.outputs[key] = self.spots.number(spot)
            if short != key:
                self.spelled[key] = short
            return
        first = self._at(self.outputs[key], page)
        problem = f'the output "{short}" is also the output at {first}'
        if self._spelled(key) != short:
            problem += ", but for upper and lower case or the way of writing accents"
        remedy = "give every job an output of its own, for example with {id} in it"
        yield page.complaint(spot, problem, remedy)

    def add_input(self, path: str, spot: Spot) -> None:
        """Remember a local file that a job reads (absolute)."""
        key = _input_key(self.folder, path)
        if key not in self.inputs:
            self.inputs[key] = self.spots.number(spot)

    def overlaps(self, page: Page, patterns: Patterns) -> Iterator[Complaint]:
        """After the last job: outputs that would overwrite an input, become one by a pattern the
        next time, or lie inside another output."""
        clear: set[str] = set()
        for key, number in self.outputs.items():
            spot, short = self.spots.spot(number), self._spelled(key)
            if key in self.inputs:
                at = self._at(self.inputs[key], page)
                problem = f'the output "{short}" is the file that is read at {at}'
                yield page.complaint(spot, problem, "choose another output")
            elif again := patterns.matching(os.path.join(self.folder, short)):  # noqa: PTH118
                at = str(place_of(again, page.file))
                problem = f'the output "{short}" matches the pattern at {at}'
                remedy = "the next run would take it for an input: choose another folder for it"
                yield page.complaint(spot, problem, remedy)
            if self._inside_another(key, clear):
                problem = f'the output "{short}" lies inside another output'
                yield page.complaint(spot, problem, "an output is a file, not a folder")

    def _inside_another(self, key: str, clear: set[str]) -> bool:
        """``clear`` collects folders that lie inside no output."""
        parents = []
        while (key := key.rpartition("/")[0]) and key not in clear:
            if key in self.outputs:
                return True
            parents.append(key)
        clear.update(parents)
        return False

    def _key(self, path: str) -> str:
        return _below(_folded_once(self.folder), folded(path))

    def _spelled(self, key: str) -> str:
        return self.spelled.get(key, key)

    def _at(self, number: int, page: Page) -> str:
        return str(place_of(self.spots.spot(number), page.file))


@lru_cache(maxsize=4096)
def _input_key(folder: str, path: str) -> str:
    return _below(_folded_once(folder), folded(os.path.normpath(path)))


@lru_cache(maxsize=8)
def _folded_once(folder: str) -> str:
    return folded(folder)


def _below(folder: str, path: str) -> str:
    """``path`` without ``folder`` in front, if it lies there."""
    return path.removeprefix("/" if folder == "/" else f"{folder}/")
