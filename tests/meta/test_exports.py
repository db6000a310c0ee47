"""The public surface: what a Python user may import from `orchestrator`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import orchestrator


def exported() -> dict[str, object]:
    return {name: getattr(orchestrator, name) for name in orchestrator.__all__}


def test_the_list_is_sorted_and_names_nothing_twice() -> None:
    assert list(orchestrator.__all__) == sorted(set(orchestrator.__all__))
    assert orchestrator.__all__


def test_everything_on_the_list_can_be_imported() -> None:
    missing = [name for name in orchestrator.__all__ if not hasattr(orchestrator, name)]
    assert missing == []


def test_dir_shows_the_list() -> None:
    assert set(orchestrator.__all__) <= set(dir(orchestrator))


def test_everything_on_the_list_is_documented() -> None:
    assert [name for name, thing in exported().items() if not documented(name, thing)] == []


def test_every_public_method_is_documented() -> None:
    undocumented = [
        f"{name}.{method}"
        for name, thing in exported().items()
        if inspect.isclass(thing)
        for method, function in own_methods(thing)
        if not inspect.getdoc(function)
    ]
    assert undocumented == []


def documented(name: str, thing: object) -> bool:
    """Whether a class or function has words of its own. (A dataclass gets a signature for free.)"""
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return True
    words = thing.__doc__ or ""
    return bool(words.strip()) and not words.startswith(f"{name}(")


def own_methods(cls: type) -> Iterator[tuple[str, object]]:
    """Public functions and properties that our own code defines on the class or its bases."""
    for base in cls.__mro__:
        if not base.__module__.startswith("orchestrator"):
            continue
        for name, member in vars(base).items():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if not name.startswith("_") and inspect.isfunction(function):
                yield name, function


PUBLIC = [
    "BatchConflict",
    "BatchLocked",
    "BatchView",
    "Complaint",
    "CredentialsError",
    "JobSpec",
    "JobView",
    "Level",
    "Manifest",
    "ManifestError",
    "Notice",
    "Observer",
    "Orchestrator",
    "OrchestratorError",
    "OutputConflict",
    "Place",
    "PlanLine",
    "PlanView",
    "Progress",
    "Rehearsal",
    "RunOptions",
    "RunView",
    "State",
    "StoreError",
    "UsageError",
    "VendorUnavailable",
    "Watched",
    "Why",
    "check_manifest",
    "load_manifest",
    "manifest_schema",
    "run_emulator",
]
"""What the library promises. A name that leaves this list is a change for its users: say so in
CHANGELOG.md."""


def test_the_public_names_are_exactly_these() -> None:
    assert orchestrator.__all__ == PUBLIC
