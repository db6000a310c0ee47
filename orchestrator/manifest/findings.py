"""What a model refuses, said in our words at the place of the very value."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.manifest.complaints import near
from orchestrator.manifest.nodes import Plain, Spot, Table, key_spot, place_of
from orchestrator.manifest.schema import TAGS, Head
from orchestrator.model import Complaint

M = TypeVar("M", bound=BaseModel)

Location: TypeAlias = tuple[int | str, ...]
"""Keys and numbers of items, from the outside to a value."""

_TOP = "it belongs at the top of the manifest, not in a job"
_PLACEHOLDERS = {"id": "", "version": "1", "batch": ""}
"""Stand in for missing required keys so that the rest is checked all the same."""
_LISTS = ("jobs", "matrix", "from")
_ORDER = ("version", "batch", "id", "avatar", "audio", "avatars", "audios")
"""The keys that are named first."""


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
        place = place_of(spot, self.file)
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
            location = tuple(step for step in detail["loc"] if step not in TAGS)
            complaints.extend(_complaints_of(detail, location, model, plain, page))
            plain.spoiled.add(_dotted(location))
            _mend(values, location, detail["type"])
        return model.model_validate(values)


def _mend(values: dict[str, Any], location: Location, kind: str) -> None:
    """Take out of ``values`` what was refused, so that the rest passes."""
    *path, last = location
    around: Any = values
    for step in path:
        if isinstance(around, dict):
            around = around.get(step, {})
        elif isinstance(around, list) and isinstance(step, int) and step < len(around):
            around = around[step]
    if kind == "missing":
        around[last] = _PLACEHOLDERS[str(last)]
    elif isinstance(last, int):  # one item of a list: the key that holds the list goes
        _mend(values, tuple(path), kind)
    elif last in _PLACEHOLDERS and not path and kind != "extra_forbidden":
        around[last] = _PLACEHOLDERS[last]
    else:
        around.pop(last, None)


def _complaints_of(
    detail: ErrorDetails, location: Location, model: type[BaseModel], plain: Plain, page: Page
) -> Iterator[Complaint]:
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
            problem = f"{name} is {shown(detail['input'])}"
            remedy = _right_word(detail["ctx"]["expected"], detail["input"])
            yield page.complaint(value_spot, problem, remedy)
        case _:
            kind = {"string_type": "text", "list_type": "a list"}.get(detail["type"], "a mapping")
            yield page.complaint(
                value_spot,
                f"{name} is {shown(detail['input'])}, not {kind}",
                f'write it like "{_last_key(location)}: {_example(model, location)}"',
            )


def _right_word(expected: str, given: Any) -> str:
    """What to write instead of ``given``; ``expected`` is pydantic's "'this' or 'that'"."""
    meant = near(given, re.findall("'([^']*)'", expected)) if isinstance(given, str) else None
    return f'did you mean "{meant}"?' if meant else f"write {expected.replace(chr(39), '')}"


def _unknown_key(location: Location, model: type[BaseModel]) -> tuple[str, str]:
    """Problem and remedy for a key that the model does not have."""
    key, dotted = str(location[-1]), _name(location)
    section = _section(model, location[:-1])
    known = [*section.model_fields, *(_LISTS if section is Head else ())]
    problem = f'the key "{dotted}" is unknown'
    if meant := near(key, known):
        return problem, f'did you mean "{meant}"?'
    if elsewhere := _elsewhere(_plain_key(key), location[:-1], model):
        return problem, elsewhere if elsewhere == _TOP else f'did you mean "{elsewhere}"?'
    known.sort(key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    return problem, f"the keys known here are: {', '.join(known)}"


def _plain_key(key: str) -> str:
    return re.sub(r"[\s.-]+", "_", key.strip().lower())


def _elsewhere(key: str, around: Location, model: type[BaseModel]) -> str | None:
    """A key of this name in another section, dotted: further in first, then from the top.

    ``_TOP`` for a key of the whole batch that stands in a job; None if there is none.
    """
    for prefix in dict.fromkeys((around, ())):
        start = _section(model, prefix)
        for name, field in start.model_fields.items():
            section = next((m for m in get_args(field.annotation) if _is_model(m)), start)
            if section is not start and key in section.model_fields:
                return _name((*prefix, name, key))
    if model is not Head and key in Head.model_fields:
        return _TOP
    return None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _section(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """The model of the mapping at ``location`` (the one around it, if that is no mapping)."""
    is_name = False  # whether the next step is a name of the user's, such as an avatar's
    for step in location:
        if is_name or isinstance(step, int):
            is_name = False
            continue
        field = model.model_fields.get(step)
        inner = [*_parts(field.annotation)] if field else []
        model = next((part for part in inner if _is_model(part)), model)
        is_name = any(get_origin(part) is dict for part in inner)
    return model


def _parts(annotation: Any) -> Iterator[Any]:
    """``annotation`` and everything inside of it."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _example(model: type[BaseModel], location: Location) -> str:
    keys = tuple(step for step in location if isinstance(step, str))
    field = _section(model, keys[:-1]).model_fields.get(keys[-1]) if keys else None
    if field and field.examples:
        return _flow(field.examples[0])
    around = _section(model, keys[:-2]).model_fields.get(keys[-2]) if len(keys) > 1 else None
    if around and around.examples and isinstance(around.examples[0], dict):
        return _flow(next(iter(around.examples[0].values())))
    return "..."


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return str(value)


def _dotted(location: Location) -> str:
    return ".".join(str(step) for step in location)


def _name(location: Location) -> str:
    """``location`` for people: without the numbers of items, which the place makes clear."""
    if location and isinstance(location[-1], int):
        return f"item {location[-1] + 1} of {_name(location[:-1])}"
    return _dotted(tuple(step for step in location if isinstance(step, str)))


def _last_key(location: Location) -> str:
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
