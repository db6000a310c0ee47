"""Locks of the operating system, released by the kernel however the process ends."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.errors import BatchLocked, StoreError
from orchestrator.store.base import BatchRow, Owner

TRIES, TRY_AGAIN_S = 4, 0.05
"""A reader that looks who holds a batch takes the lock for a moment; that must stop no run."""


class FileLock:
    """An exclusive lock on a file, held by this process until released or dead.

    The file stays behind; what counts is the lock on it. So a file left by a killed process
    stops nobody.
    """

    def __init__(self, path: Path, note: str = "") -> None:
        self._path, self._note = path, note
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            BatchLocked: another process holds it; the message says which.
            StoreError: the lock file cannot be made.
        """
        fd = self._open()
        for left in reversed(range(TRIES)):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if left == 0:
                    os.close(fd)
                    raise BatchLocked(self.refusal()) from error
                time.sleep(TRY_AGAIN_S)
        os.ftruncate(fd, 0)
        os.write(fd, self._note.encode())
        self._fd = fd

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"cannot open the lock file {self._path}: {error.strerror}") from error

    def refusal(self) -> str:
        """What to tell somebody who finds the lock taken."""
        return f"another process holds {self._path}"

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class BatchLock(FileLock):
    """One run for each batch. The owner is written into the file for people to read."""

    def __init__(
        self, path: Path, owner: Owner, batch: str, note: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(path, json.dumps({**asdict(owner), **(note or {})}))
        self._batch = batch

    def refusal(self) -> str:
        """Who works on the batch, and how to look."""
        owner = read_owner(self._path)
        who = f"process {owner.pid} on {owner.host}" if owner else "another process"
        return (
            f"batch {self._batch} is already being worked on by {who}; "
            f"look at it with: orchestrator status {self._batch}"
        )


class FolderLock(FileLock):
    """One emulator for each data folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.with_name(f"{folder.name}.lock"))
        self._folder = folder

    def refusal(self) -> str:
        """Where the other one is, and the way round."""
        return (
            f"another rehearsal or emulator uses {self._folder}; "
            "wait for its end, or give this one a state folder of its own (--state DIR)"
        )


def read_owner(path: Path) -> Owner | None:
    """The owner written into a lock file, None if there is none or it cannot be read."""
    try:
        note = json.loads(path.read_text())
        return Owner(**{f.name: note[f.name] for f in fields(Owner)})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_held(path: Path) -> bool:
    """Whether some process holds the lock now."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def lock_path(folder: Path, batch: BatchRow) -> Path:
    """The lock file of a batch."""
    return folder / "locks" / f"{batch.name}.{batch.account}.lock"
