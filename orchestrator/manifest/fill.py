"""Placeholders: ``{name}`` in a text of a job stands for a value; ``{{`` and ``}}`` for braces.

Every text of a job may have them: its id, paths, words to speak, ids of the vendor, tags and its
output. What they stand for is not looked into again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from orchestrator.manifest.complaints import near
from orchestrator.manifest.findings import Page, shown
from orchestrator.manifest.nodes import Plain, Spot, Table
from orchestrator.model import Complaint

OWN_NAMES = {
    "batch": "the name of the batch",
    "id": "the job's id; it cannot stand in the id itself",
    "avatar": "known in a matrix that has avatars",
    "audio": "known in a matrix that has audios",
    "stem": 'known where a path of the job has "*" or "?" in it',
}
"""Names that no var may have, and what they stand for."""
MADE_NAMES = frozenset({"avatar", "audio", "stem"})
"""Those that only some jobs have."""

_MARKS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_VAR = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SECTION_TEXTS = {
    "avatar": ("video", "public", "private", "image"),
    "audio": ("file", "text", "text_file", "voice"),
}
_MANY = 8


class Unfillable(Exception):
    """A text with a placeholder that nothing is known for, or with a single brace."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(f"{problem}; {remedy}")


@dataclass(slots=True)
class Names:
    """What the placeholders of one job stand for; ``used`` collects names over all jobs."""

    values: dict[str, str]
    used: set[str]

    def fill(self, key: str, template: str) -> str:
        """``template`` with its placeholders filled in; ``key`` is what complaints call it.

        Raises:
            Unfillable: see there.
        """
        found = placeholders(template)
        self.used.update(found)
        for name in found:
            if name not in self.values:
                raise self._refused(key, template, name)
        return filled(template, self.values)

    def _refused(self, key: str, template: str, name: str) -> Unfillable:
        words = f"{key} {shown(template)}"
        known = _listed(self.values)
        if name in ("{", "}"):
            return Unfillable(
                f"{words} has a single {name}", f"write {known}, or double the brace to keep it"
            )
        problem = f"{words} has the unknown placeholder {{{name}}}"
        if name in OWN_NAMES:
            return Unfillable(problem, f"{{{name}}} is {OWN_NAMES[name]}")
        if meant := near(name, self.values):
            self.used.add(meant)
            return Unfillable(problem, f"did you mean {{{meant}}}?")
        return Unfillable(problem, f"write {known}, or double the braces to keep them")


def _listed(names: Collection[str]) -> str:
    """``{a}, {b} or {c}``: the names that may stand in braces."""
    braced = [f"{{{name}}}" for name in sorted(names)]
    if len(braced) > _MANY:
        return f"{', '.join(braced[:_MANY])} or another var"
    return " or ".join(filter(None, [", ".join(braced[:-1]), *braced[-1:]]))


def placeholders(template: str) -> list[str]:
    """The names in braces in ``template``; a brace without its partner counts as itself."""
    return [piece for number, piece in enumerate(_pieces(template)) if number % 2]


def filled(template: str, values: Mapping[str, str]) -> str:
    """``template`` with every placeholder filled in and doubled braces made single."""

    pieces = _pieces(template)
    if len(pieces) == 1:
        return pieces[0]
    return "".join(values[p] if number % 2 else p for number, p in enumerate(pieces))


@lru_cache(maxsize=1024)
def _pieces(template: str) -> tuple[str, ...]:
    """Literal text and names in turn, beginning and ending with literal text."""
    pieces, start = [""], 0
    for match in _MARKS.finditer(template):
        pieces[-1] += template[start : match.start()]
        start = match.end()
        if match[0] in ("{{", "}}"):
            pieces[-1] += match[0][0]
        else:
            pieces += [match[0] if match[1] is None else match[1], ""]
    pieces[-1] += template[start:]
    return tuple(pieces)


def kept(text: str) -> str:
    """A template that becomes ``text``, braces and all."""
    return text.replace("{", "{{").replace("}", "}}")


def has_braces(text: str) -> bool:
    """Whether filling in would change ``text`` or refuse it."""
    return "{" in text or "}" in text


def filled_job(
    job: Plain, names: Names, own: Mapping[str, Spot], page: Page
) -> tuple[Plain, list[Complaint]]:
    """``job`` with the placeholders of all its texts but ``output`` filled in, and complaints.

    ``names`` learns the id. A text that cannot be filled in is left out and spoiled. ``own`` has
    the places of what the job wrote itself, which are the better ones to complain at.
    """
    found: list[Complaint] = []
    if _may_have_braces(job.values):
        job = Plain(values=_copied(job.values), spots=job.spots, spoiled=set(job.spoiled))
        for text in [*_braced(job.values)]:
            if text.key != "id":  # which comes first
                names.values["id"] = _id_of(job)
            try:
                text.holder[text.name] = names.fill(text.called, text.holder[text.name])
            except Unfillable as error:
                spot = own.get(text.key) or job.spots[text.key]
                found.append(page.complaint(spot, error.problem, error.remedy))
                _refuse(job, text)
    names.values["id"] = _id_of(job)
    return job, found


def _id_of(job: Plain) -> str:
    """The job's id; a stand-in, if it was refused."""
    job_id = job.values.get("id")
    return job_id if job_id and isinstance(job_id, str) else "id"


@dataclass(slots=True)
class _Braced:
    """A text with braces: its dotted key, and the dict or list that holds it under ``name``."""

    key: str
    holder: Any
    name: Any

    @property
    def called(self) -> str:
        """What complaints call it."""
        return self.key.partition(".")[0] if isinstance(self.holder, list) else self.key


def _refuse(job: Plain, text: _Braced) -> None:
    job.spoiled.add(text.key)
    if text.key == "id" or isinstance(text.holder, list):
        text.holder[text.name] = ""
    else:
        del text.holder[text.name]


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: dict(value) if type(value) is dict else list(value) if type(value) is list else value
        for key, value in values.items()
    }


def _may_have_braces(values: Mapping[str, Any]) -> bool:
    """A quick answer for the many jobs without any; vars and outputs may count, too."""
    for value in values.values():
        if type(value) is str:
            if "{" in value or "}" in value:
                return True
        elif type(value) is dict:
            if _may_have_braces(value):
                return True
        elif type(value) is list and any("{" in str(item) or "}" in str(item) for item in value):
            return True
    return False


def _braced(values: dict[str, Any]) -> Iterator[_Braced]:
    """Every text with braces that is to be filled in, the id first."""
    for key in ("id", "caption"):
        text = values.get(key)
        if type(text) is str and has_braces(text):
            yield _Braced(key, values, key)
    for section, keys in _SECTION_TEXTS.items():
        holder = values.get(section)
        if type(holder) is dict:
            for key in keys:
                text = holder.get(key)
                if type(text) is str and has_braces(text):
                    yield _Braced(f"{section}.{key}", holder, key)
    tags = values.get("tags")
    if type(tags) is list:
        for number, text in enumerate(tags):
            if type(text) is str and has_braces(text):
                yield _Braced(f"tags.{number}", tags, number)


def usable_vars(plain: Plain, page: Page) -> tuple[dict[str, str], list[Complaint]]:
    """The vars under the key ``vars`` of ``plain``, and what is wrong with them."""
    given = plain.values.get("vars")
    usable: dict[str, str] = {}
    found: list[Complaint] = []
    for name, value in given.items() if type(given) is dict else ():
        spot = plain.spots.get(f"vars.{name}", plain.spots[""])
        if finding := var_finding(name):
            found.append(page.complaint(_key_of(name, page) or spot, *finding))
        elif type(value) is str:
            usable[name] = value
            if has_braces(value):
                problem = f"the var {name} is {shown(value)}: braces in a var are not filled in"
                remedy = "write the value out"
                found.append(page.complaint(spot, problem, remedy, warning=True))
    return usable, found


def _key_of(name: str, page: Page) -> Spot | None:
    """Where the name of a var stands; None if that is not on this page."""
    around = page.table.entries.get("vars")
    if around is None or not isinstance(around.value, Table) or name not in around.value.entries:
        return None
    return around.value.entries[name].key_spot


def var_finding(name: str) -> tuple[str, str] | None:
    """What is wrong with the name of a var: problem and remedy."""
    if name in OWN_NAMES:
        return f'"{name}" cannot be a var: it has a meaning already', "choose another name"
    if _VAR.fullmatch(name):
        return None
    return (
        f"{shown(name)} cannot be a var",
        'use a-z, 0-9 and "_", at most 64 of them; begin with a letter',
    )
