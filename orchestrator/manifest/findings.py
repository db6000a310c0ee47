"""What a model refuses, said in our words at the place of the very value."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.manifest.nodes import Plain, Spot, Table, key_spot
from orchestrator.manifest.schema import NOT_YET, Head, Job
from orchestrator.model import Complaint, Place

M = TypeVar("M", bound=BaseModel)

_TOP = "it belongs at the top of the manifest, not in a job"
_PLACEHOLDERS = {"id": "", "version": "1", "batch": ""}
"""Stand in for missing required keys so that the rest is checked all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The file (and the table in it) that findings are about.

    ``cut``: a syntax error ended the table, so nothing may be called missing from it.
    """

    file: str
    table: Table
    cut: bool

    def complaint(
        self, spot: Spot, problem: str, remedy: str, *, warning: bool = False
    ) -> Complaint:
        """A complaint about ``spot`` of this file."""
        place = Place(file=self.file, line=spot[0], column=spot[1])
        return Complaint(place=place, problem=problem, remedy=remedy, warning=warning)


def checked(model: type[M], plain: Plain, page: Page, complaints: list[Complaint]) -> M:
    """``plain.values`` as ``model``, without what had to be refused.

    Refused and missing keys are added to ``plain.spoiled`` and one complaint each to
    ``complaints``; the model then holds None there (or a placeholder for a required key).
    """
    try:
        return model.model_validate(plain.values)
    except ValidationError as error:
        values = copy.deepcopy(plain.values)
        for detail in error.errors(include_url=False):
            complaints.extend(_complaints_of(detail, model, plain, page))
            plain.spoiled.add(_dotted(detail["loc"]))
            _mend(values, detail)
        return model.model_validate(values)


def _mend(values: dict[str, Any], detail: ErrorDetails) -> None:
    *path, last = detail["loc"]
    around: Any = values
    for step in path:
        around = around.get(step, {}) if isinstance(around, dict) else {}
    if detail["type"] == "missing":
        around[last] = _PLACEHOLDERS[str(last)]
    elif isinstance(last, int):  # one item of a list: the key that holds the list goes
        _mend(values, {**detail, "loc": tuple(path)})
    elif last in _PLACEHOLDERS and not path and detail["type"] != "extra_forbidden":
        around[last] = _PLACEHOLDERS[last]
    else:
        around.pop(last, None)


def _complaints_of(
    detail: ErrorDetails, model: type[BaseModel], plain: Plain, page: Page
) -> Iterator[Complaint]:
    location = detail["loc"]
    dotted = _dotted(location)
    value_spot = plain.spots.get(dotted, page.table.spot)
    name = _name(location)
    match detail["type"]:
        case "missing":
            if not page.cut and dotted not in plain.spoiled:
                spot = plain.spots.get(_dotted(location[:-1]), page.table.spot)
                yield page.complaint(
                    spot,
                    f'the key "{name}" is missing',
                    f'add it, for example "{location[-1]}: {_example(model, location)}"',
                )
        case "extra_forbidden":
            spot = key_spot(page.table, location)
            yield page.complaint(spot, *_unknown_key(location, model))
        case "unexpected":
            expected = detail["ctx"]["expected"]
            problem = f"{name} is {shown(detail['input'])}"
            yield page.complaint(value_spot, problem, f"write {expected}")
        case "enum":
            words = detail["ctx"]["expected"].replace("'", "")
            problem = f"{name} is {shown(detail['input'])}"
            yield page.complaint(value_spot, problem, f"write {words}")
        case _:
            kind = {"string_type": "text", "list_type": "a list"}.get(detail["type"], "a mapping")
            yield page.complaint(
                value_spot,
                f"{name} is {shown(detail['input'])}, not {kind}",
                f'write it like "{_last_key(location)}: {_example(model, location)}"',
            )


def _unknown_key(location: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, str]:
    """Problem and remedy for a key that the model does not have."""
    key, dotted = str(location[-1]), _dotted(location)
    if model is Head and dotted in NOT_YET:
        return f'the key "{dotted}" is not supported by this version yet', NOT_YET[dotted]
    section = _section(model, location[:-1])
    known = list(section.model_fields) + (["jobs"] if section is Head else [])
    problem = f'the key "{dotted}" is unknown'
    plain_key = key.lower().replace("-", "_").replace(" ", "_")
    if close := difflib.get_close_matches(plain_key, known, n=1, cutoff=0.6):
        return problem, f'did you mean "{close[0]}"?'
    if elsewhere := _elsewhere(plain_key, location[:-1], model):
        return problem, elsewhere if elsewhere == _TOP else f'did you mean "{elsewhere}"?'
    return problem, f"the keys known here are: {', '.join(known)}"


def _elsewhere(key: str, around: tuple[int | str, ...], model: type[BaseModel]) -> str | None:
    """A key of this name in another section, dotted: further in first, then from the top.

    ``_TOP`` for a key of the whole batch that stands in a job; None if there is none.
    """
    for prefix in dict.fromkeys((around, ())):
        start = _section(model, prefix)
        for name in start.model_fields:
            section = _section(start, (name,))
            if section is not start and key in section.model_fields:
                return _dotted((*prefix, name, key))
    if model is Job and key in Head.model_fields:
        return _TOP
    return None


def _section(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model of the mapping at ``location`` (the one around it, if that is no mapping)."""
    for step in location:
        field = model.model_fields.get(str(step))
        for annotation in get_args(field.annotation) if field else ():
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                model = annotation
    return model


def _example(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    keys = tuple(step for step in location if isinstance(step, str))
    field = _section(model, keys[:-1]).model_fields.get(keys[-1]) if keys else None
    return _flow(field.examples[0]) if field and field.examples else "..."


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return str(value)


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location)


def _name(location: tuple[int | str, ...]) -> str:
    if location and isinstance(location[-1], int):
        return f"item {location[-1] + 1} of {_dotted(location[:-1])}"
    return _dotted(location)


def _last_key(location: tuple[int | str, ...]) -> str:
    return next((step for step in reversed(location) if isinstance(step, str)), "")


def shown(value: Any, limit: int = 40) -> str:
    """``value`` for a complaint: text in quotes on one line, cut after ``limit`` characters."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    text = str(value)
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return json.dumps(cut, ensure_ascii=False)
