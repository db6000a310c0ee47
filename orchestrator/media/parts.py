"""Files on their way to an output: parts that can be resumed, and the last step, the rename.

A part is named ``.{output's name}.{tag}.part``, in the output's folder. The tag is a short hash
of the validator (ETag or modification time) that the server gave for these bytes, so that a new
process can tell whether the rest it is offered belongs to the part. Everything here blocks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

NO_TAG = "0" * 8
"""The tag of a part whose server gave no validator: it is never resumed."""
_LONGEST_NAME_BYTES = 255
_CHUNK_BYTES = 1024 * 1024
_PART_NAME = re.compile(r"\.(.+)\.([0-9a-f]{8})\.part", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes from the beginning of a video: ``size_bytes`` (>= 0) of them.

    ``validator`` is the whole one behind the tag, None if another process wrote the part.
    """

    path: Path
    tag: str
    size_bytes: int
    validator: str | None = None


def tag_of(validator: str | None) -> str:
    """Eight hex digits for a validator; :data:`NO_TAG` for None."""
    if validator is None:
        return NO_TAG
    return hashlib.sha256(validator.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def part_path(output: Path, tag: str) -> Path:
    """Where the part of an output is written."""
    return output.with_name(f".{_stem(output)}.{tag}.part")


class Parts:
    """The parts in the folders of outputs. Each folder is listed once, when first asked about:
    listing it for every video of a large batch would take longer than the videos."""

    def __init__(self) -> None:
        self._tags: dict[Path, dict[str, set[str]]] = {}
        self._validators: dict[Path, str] = {}

    def find(self, output: Path) -> Part | None:
        """The longest part of an output that can be resumed."""
        found = (self._part(output, tag) for tag in self._known(output) if tag != NO_TAG)
        whole = [part for part in found if part is not None and part.size_bytes > 0]
        return max(whole, key=lambda part: part.size_bytes, default=None)

    def none_of(self, output: Path) -> bool:
        """Whether it is known already, without a look at the disk, that an output has no part."""
        folder = self._tags.get(output.parent)
        return folder is not None and not folder.get(_stem(output))

    def begin(self, output: Path, validator: str | None) -> Path:
        """Where to write the part of an output; it is known from now on."""
        tag = tag_of(validator)
        path = part_path(output, tag)
        self._known(output).add(tag)
        if validator is not None:
            self._validators[path] = validator
        return path

    def settled(self, output: Path, path: Path) -> None:
        """The part at ``path`` has become the output; remove the others."""
        for tag in tuple(self._known(output)):
            if part_path(output, tag) == path:
                self._known(output).discard(tag)
        self._validators.pop(path, None)
        self.remove(output)

    def remove(self, output: Path) -> None:
        """Remove every part of an output."""
        tags = self._known(output)
        for tag in tuple(tags):
            path = part_path(output, tag)
            path.unlink(missing_ok=True)
            self._validators.pop(path, None)
        self._tags[output.parent].pop(_stem(output), None)

    def _part(self, output: Path, tag: str) -> Part | None:
        path = part_path(output, tag)
        try:
            size_bytes = path.stat().st_size
        except FileNotFoundError:
            return None
        validator = self._validators.get(path)
        return Part(path=path, tag=tag, size_bytes=size_bytes, validator=validator)

    def _known(self, output: Path) -> set[str]:
        folder = self._tags.get(output.parent)
        if folder is None:
            folder = self._tags.setdefault(output.parent, _listed(output.parent))
        return folder.setdefault(_stem(output), set())


def _listed(folder: Path) -> dict[str, set[str]]:
    """Tags by stem of all parts in a folder; nothing for a folder that does not exist."""
    tags: dict[str, set[str]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if match := _PART_NAME.fullmatch(entry.name):
                    tags.setdefault(match.group(1), set()).add(match.group(2))
    except FileNotFoundError:
        return {}
    return tags


def settle(part: Path, output: Path, keep_as: Path | None) -> Path | None:
    """Give a complete part, which is on disk, its final name, so that it survives a power cut.

    An ``output`` with other bytes is kept under ``keep_as`` (or ``keep_as`` with .2, .3, ...
    before its extension; no file is overwritten there), if that is given. Returns where it is
    kept, None if there was nothing to keep.
    """
    kept = None
    if keep_as is not None and output.exists() and not same_bytes(part, output):
        kept = _keep(output, keep_as)
    part.replace(output)
    _sync_folder(output.parent)
    return kept


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes."""
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while chunk := left.read(_CHUNK_BYTES):
            if chunk != right.read(_CHUNK_BYTES):
                return False
    return True


def md5_of(path: Path) -> str:
    """MD5 of a file's bytes, as object stores put it into an ETag; 32 hex digits."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _stem(output: Path) -> str:
    """The output's name, or a hash of it where the part's name would be too long for a file."""
    if len(os.fsencode(output.name)) + len(f"..{NO_TAG}.part") <= _LONGEST_NAME_BYTES:
        return output.name
    return hashlib.sha256(os.fsencode(output.name)).hexdigest()[:32]


def _keep(output: Path, keep_as: Path) -> Path:
    """Give ``output`` a second name beside the one it is about to lose.

    A link fails where the name is taken, so that not even a race overwrites anything.
    """
    number, target = 1, keep_as
    while True:
        try:
            _link(output, target)
            return target
        except FileExistsError:
            if target.is_file() and same_bytes(target, output):
                return target
            number += 1
            target = keep_as.with_name(f"{keep_as.stem}.{number}{keep_as.suffix}")


def _link(output: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(output)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK):
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        output.rename(target)  # a file system without links


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
