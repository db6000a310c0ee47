"""The JSON Schema for editors, and the reference of keys in the docs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from orchestrator.manifest.schema import ManifestFile, json_schema

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json_schema()


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key; the items of lists and of maps with names of the user's count as one."""
    for field_name, field in model.model_fields.items():
        name = field.alias or field_name
        yield prefix + name, field
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _keys(part, f"{prefix}{name}.")


def _parts(annotation: Any) -> Iterator[Any]:
    for part in get_args(annotation):
        yield part
        yield from _parts(part)


KEYS = dict(_keys(ManifestFile))


def _properties(name: str) -> dict[str, Any]:
    """The schema around a dotted key, references followed."""
    around = SCHEMA
    for step in name.split(".")[:-1]:
        reference = next(_references(around["properties"][step]))
        around = SCHEMA["$defs"][reference.rpartition("/")[2]]
    properties: dict[str, Any] = around["properties"]
    return properties


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from _references(item)


@pytest.mark.parametrize("name", KEYS)
def test_every_key_has_a_description_and_an_example(name: str) -> None:
    shown = _properties(name)[name.rpartition(".")[2]]

    assert shown["description"]
    assert shown["examples"]


def test_the_schema_is_plain_json_of_the_2020_draft() -> None:
    assert json.loads(json.dumps(SCHEMA, allow_nan=False)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["required"] == ["version", "batch"]
    assert SCHEMA["anyOf"] == [{"required": [key]} for key in ("jobs", "matrix", "from")]
    assert SCHEMA["$defs"]["Job"]["required"] == ["id"]


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    assert {r.removeprefix("#/$defs/") for r in _references(SCHEMA)} <= SCHEMA["$defs"].keys()


def test_every_mapping_refuses_unknown_keys() -> None:
    sections = [SCHEMA, *SCHEMA["$defs"].values()]

    assert all(s["additionalProperties"] is False for s in sections if s.get("type") == "object")


def test_values_are_as_a_yaml_user_writes_them() -> None:
    limits = _properties("limits.in_flight")

    assert limits["in_flight"]["anyOf"][0] == {"type": "integer", "minimum": 1}
    assert limits["submit_rate"]["anyOf"][0]["type"] == "string"
    assert _properties("version")["version"]["const"] == 1
    assert _properties("jobs")["jobs"]["minItems"] == 1


def _explained_as_a_jobs_key(name: str) -> bool:
    """Whether the reference sends its reader to the keys of a job."""
    same = re.sub(r"^(defaults|matrix\.include|matrix)\.", "jobs.", name)
    same = re.sub(r"^jobs\.(avatar|audio)s\.", r"jobs.\1.", same)
    return same != name and same in KEYS and not name.endswith(ONLY_HERE)


ONLY_HERE = ("matrix.id", "include.id", "include.avatar", "include.audio")


@pytest.mark.parametrize("name", [key for key in KEYS if not _explained_as_a_jobs_key(key)])
def test_every_key_is_in_the_reference(name: str) -> None:
    text = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8")

    assert f"`{name}`" in text


def test_the_reference_names_no_key_that_does_not_exist() -> None:
    lines = (ROOT / "docs" / "manifest.md").read_text(encoding="utf-8").splitlines()
    cells = [line.split("|")[1].strip() for line in lines if re.match(r"\| `(?!\{)", line)]

    assert [c for c in cells if c.strip("`") not in KEYS] == []
