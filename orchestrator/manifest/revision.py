"""A job's revision: the hash of what is paid for, and of nothing else.

Only values that go over the wire count: files by their content, never by their path; a value that
equals its default counts as absent, so that a key that is added later changes no old hash. The
rules of version 1 never change; golden hashes in the tests hold them fast. New rules would be a
version 2 beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from orchestrator.model import (
    FILE_AVATARS,
    AudioKind,
    ContentHash,
    JobSpec,
    Mode,
    Revision,
)

VERSION = 1

_DEFAULTS: Mapping[str, Any] = {
    "mode": Mode.AVATAR1.value,
    "audio.speed": 1.0,
    "save_avatar": False,
}
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_FILES = frozenset({"avatar.video", "avatar.image", "audio.file"})


def wire_values(spec: JobSpec, hashes: Mapping[str, ContentHash]) -> dict[str, Any]:
    """What is paid for in ``spec``, by manifest key; ``hashes`` has its files' contents by path.

    Voice and speed are left out for a sound file, everything that equals its default always.

    Raises:
        KeyError: ``hashes`` lacks a file of the job.
    """
    is_file = spec.avatar_kind in FILE_AVATARS
    speaks = spec.audio_kind is AudioKind.TEXT
    values: dict[str, Any] = {
        f"avatar.{spec.avatar_kind.value}": hashes[spec.avatar] if is_file else spec.avatar,
        f"audio.{spec.audio_kind.value}": spec.audio if speaks else hashes[spec.audio],
        "audio.voice": spec.voice if speaks else None,
        "audio.speed": float(spec.speed) if speaks else None,
        "mode": spec.mode.value,
        "caption": spec.caption,
        "save_avatar": spec.save_avatar,
    }
    return {k: v for k, v in values.items() if v is not None and v != _DEFAULTS.get(k)}


def wire_text(values: Mapping[str, Any]) -> str:
    """``values`` as canonical JSON: ASCII, keys sorted, no spaces."""
    return _ENCODER.encode(values)


def revision_of(wire: str) -> Revision:
    """The hash of a wire text, with the version of these rules hashed in front of it."""
    seed = f"avatar-orchestrator revision {VERSION}\n{wire}"
    return Revision(hashlib.sha256(seed.encode("ascii")).hexdigest())


def differences(old_wire: str, new_wire: str) -> list[tuple[str, str | None, str | None]]:
    """What changed from one wire text to another: (manifest key, old, new), sorted by key.

    None: the key is absent. A file's value is the beginning of its content hash.
    """
    old, new = json.loads(old_wire), json.loads(new_wire)
    return [
        (key, _told(key, old), _told(key, new))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _told(key: str, values: Mapping[str, Any]) -> str | None:
    value = values.get(key, _DEFAULTS.get(key))
    if value is None:
        return None
    if key in _FILES:
        return f"sha256:{str(value)[:12]}"
    return json.dumps(value) if isinstance(value, bool) else str(value)
