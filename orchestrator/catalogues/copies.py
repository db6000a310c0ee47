"""Copies of the vendor's lists in the state folder, for days without a network.

One JSON file an account, named by a salted hash, readable by its owner only. It holds no key and
no signature: links were stripped when the lists were read. A copy that cannot be read is no copy.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.store.folder import make_folder
from orchestrator.topview.catalog import Avatar, Caption, Ethnicity, Voice

FOLDER = "catalogues"
VERSION = 1
MOST_ANSWERS = 50
"""Of one account; the oldest give way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Credits that the account holds; None: the vendor did not say in a readable way."""

    credits: float | None


Value = Avatar | Voice | Caption | Ethnicity | Balance


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A list as it was at ``at`` (Unix seconds). ``complete``: all that the vendor counted."""

    at: float
    items: tuple[Any, ...]
    total: int | None
    complete: bool


class Copies:
    """The copies of one account in one state folder."""

    def __init__(self, state_dir: Path, account: str | None) -> None:
        """``account`` is its identity; None stands for the only account that has copies here."""
        self._folder = state_dir / FOLDER
        self._account = account

    def find(self, key: str) -> Kept | None:
        """The kept answer to the question with this key, None if there is none."""
        path = self._path()
        answers = {} if path is None else _read(path)
        return _decoded(key, answers.get(key))

    def keep(self, key: str, kept: Kept) -> None:
        """Keep an answer; the file is replaced as a whole.

        Raises:
            StoreError: it cannot be written.
        """
        if self._account is None:
            return
        make_folder(self._folder.parent)
        make_folder(self._folder)
        try:
            path = self._folder / f"{_fingerprint(self._account, self._salt())}.json"
            answers = {**_read(path), key: _encoded(kept)}
            newest = sorted(answers.items(), key=lambda pair: _at(pair[1]), reverse=True)
            _replace(path, {"version": VERSION, "answers": dict(newest[:MOST_ANSWERS])})
        except OSError as error:
            raise StoreError(
                f"{self._folder}: no copy can be kept there ({error.strerror}); "
                "check owner and rights of the folder"
            ) from error

    def _path(self) -> Path | None:
        if self._account is not None:
            salt = _text(self._folder / "salt")
            return self._folder / f"{_fingerprint(self._account, salt)}.json" if salt else None
        found = sorted(self._folder.glob("*.json"))
        return found[0] if len(found) == 1 else None

    def _salt(self) -> str:
        """The folder's salt, made at the first use. Of two makers at a time the last one wins,
        and the other's copy is made again some day."""
        path = self._folder / "salt"
        if not (salt := _text(path)):
            salt = secrets.token_hex(16)
            _draft(self._folder, salt).replace(path)
        return salt


def _fingerprint(account: str, salt: str) -> str:
    return hashlib.sha256(f"{salt}\n{account}".encode()).hexdigest()[:32]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeError):
        return ""


def _read(path: Path) -> dict[str, Any]:
    """The answers in a file; none if it is missing, damaged or of another version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(document, dict) or document.get("version") != VERSION:
        return {}
    answers = document.get("answers")
    return answers if isinstance(answers, dict) else {}


def _replace(path: Path, document: Mapping[str, Any]) -> None:
    draft = _draft(path.parent, json.dumps(document, ensure_ascii=False, indent=1))
    draft.replace(path)


def _draft(folder: Path, text: str) -> Path:
    """A new file with this text; ``mkstemp`` makes it private (mode 0600)."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".new")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _encoded(kept: Kept) -> dict[str, Any]:
    rows = [asdict(item) for item in kept.items]
    return {"at": kept.at, "total": kept.total, "complete": kept.complete, "items": rows}


def _avatar(row: Mapping[str, Any]) -> Avatar:
    return Avatar(**{**row, "ethnicities": tuple(row["ethnicities"])})


_DECODERS: Mapping[str, Callable[[Mapping[str, Any]], Value]] = {
    "avatars": _avatar,
    "voices": lambda row: Voice(**row),
    "captions": lambda row: Caption(**row),
    "ethnicities": lambda row: Ethnicity(**row),
    "credits": lambda row: Balance(**row),
}


def _decoded(key: str, answer: Any) -> Kept | None:
    """The answer as it was kept, None for one that is not what we write."""
    try:
        decode = _DECODERS[key.partition("?")[0]]
        rows: Sequence[Mapping[str, Any]] = answer["items"]
        return Kept(
            at=float(answer["at"]),
            items=tuple(decode(row) for row in rows),
            total=answer["total"],
            complete=answer["complete"] is True,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _at(answer: Any) -> float:
    at = answer.get("at") if isinstance(answer, dict) else None
    return at if isinstance(at, int | float) else 0.0
