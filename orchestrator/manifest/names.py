"""Names: of the batch, of jobs, of outputs; and that no two jobs share one."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath

from orchestrator.manifest.expand import Context, Draft, filled, placeholders
from orchestrator.manifest.findings import Page, shown
from orchestrator.manifest.nodes import Spot
from orchestrator.model import Complaint

_JOB_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")
_BATCH = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PLACEHOLDERS = frozenset({"batch", "id"})
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
    for name in placeholders(template):
        if name in ("{", "}"):
            problem = f"output {shown(template)} has a single {name}"
            return problem, "write {batch} or {id}, or double the brace to keep it"
        if name not in _PLACEHOLDERS:
            problem = f"output {shown(template)} has the unknown placeholder {{{name}}}"
            return problem, "write {batch} or {id}, or double the braces to keep them"
    sample = filled(template, {"batch": "b", "id": "i"})
    return _path_finding(template, sample)


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

    Only text is kept of a job, none of its nodes.
    """

    ids: dict[str, Spot] = field(default_factory=dict)
    outputs: dict[str, tuple[str, Spot]] = field(default_factory=dict)
    inputs: dict[str, tuple[str, Spot]] = field(default_factory=dict)

    def add_id(self, draft: Draft, page: Page) -> Iterator[Complaint]:
        """Remember the job's id; complain about a bad or a second one (it is spoiled then)."""
        spot = draft.spot("id")
        if draft.is_spoiled("id"):
            return
        if finding := id_finding(draft.job.id):
            draft.spoiled.add("id")
            yield page.complaint(spot, *finding)
            return
        if draft.job.id in self.ids:
            draft.spoiled.add("id")
            first = _at(page, self.ids[draft.job.id])
            problem = f'the id "{draft.job.id}" is taken by the job at {first}'
            yield page.complaint(spot, problem, "give every job an id of its own")
            return
        self.ids[draft.job.id] = spot

    def add_output(
        self, draft: Draft, output: str, page: Page, context: Context
    ) -> Iterator[Complaint]:
        """Remember the job's output; complain about a second one, or a name too long."""
        spot = draft.own.get("output") or draft.spot("id")
        name = output.rpartition("/")[2]
        if len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
            problem = f"the output's name {shown(name)} is longer than {_MAX_NAME_BYTES} bytes"
            yield page.complaint(spot, problem, "choose a shorter id or output")
        key = folded(output)
        if key not in self.outputs:
            self.outputs[key] = (output, spot)
            return
        other, first = self.outputs[key]
        problem = f'the output "{_short(output, context)}" is also the output at {_at(page, first)}'
        if other != output:
            problem += ", but for upper and lower case or the way of writing accents"
        remedy = "give every job an output of its own, for example with {id} in it"
        yield page.complaint(spot, problem, remedy)

    def add_input(self, path: str, spot: Spot) -> None:
        """Remember a local file that a job reads (absolute)."""
        self.inputs.setdefault(folded(os.path.normpath(path)), (path, spot))

    def overlaps(self, page: Page, context: Context) -> Iterator[Complaint]:
        """After the last job: outputs that would overwrite an input, or lie inside another."""
        clear: set[str] = set()
        for key, (output, spot) in self.outputs.items():
            if key in self.inputs:
                _, at = self.inputs[key]
                problem = f'the output "{_short(output, context)}" is the file that is read at'
                problem = f"{problem} {_at(page, at)}"
                yield page.complaint(spot, problem, "choose another output")
            if self._inside_another(key, clear):
                problem = f'the output "{_short(output, context)}" lies inside another output'
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


def _at(page: Page, spot: Spot) -> str:
    return f"{page.file}:{spot[0]}:{spot[1]}"


def _short(output: str, context: Context) -> str:
    return output.removeprefix(context.folder.rstrip("/") + "/")
