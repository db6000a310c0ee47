"""Who works on a batch, asked before anything is opened for writing.

The process that holds a batch may have been stopped (SIGSTOP, a suspended container) while it
wrote to the state store; then nobody can write there. Locks of the operating system and a reader
are enough to say so at once.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from orchestrator.engine.lock import BatchLock, is_held, lock_path
from orchestrator.errors import BatchLocked, StoreError
from orchestrator.model import Manifest
from orchestrator.store.base import BatchRow, Owner
from orchestrator.store.readers import Readers
from orchestrator.store.sqlite import SqliteStore
from orchestrator.store.writer import Writer

LOCKS = "locks/{batch}.*.lock"
"""Inside a state folder: the lock files of all batches of a name (see ``engine.lock``)."""


async def refuse_if_occupied(
    database: Path, manifest: Manifest, identity: str, me: Owner, *, same_batch: bool
) -> None:
    """Stop if another process holds this batch of this account. Writes nothing.

    A state store that cannot be read, and a batch that another manifest file made, are left to
    those who say what is wrong with them.

    Raises:
        BatchLocked: the message says who holds it.
    """
    folder = database.parent
    if not any(map(is_held, folder.glob(LOCKS.format(batch=manifest.batch)))):
        return
    batch = await _batch(database, manifest.batch, identity)
    if batch is None or (batch.manifest != manifest.path and not same_batch):
        return
    lock = lock_path(folder, batch)
    if is_held(lock):
        raise BatchLocked(BatchLock(lock, me, batch.name).refusal())


async def _batch(database: Path, name: str, identity: str) -> BatchRow | None:
    """The account's batch of this name, by a reader alone; None if that cannot be told."""
    if not database.exists():
        return None
    readers = Readers(database)
    store = SqliteStore(Writer(database, create=False), readers)  # a writer that never starts
    try:
        account = await store.find_account(identity)
        rows = await store.find_batches(name)
    except (StoreError, sqlite3.Error, LookupError):
        return None  # opening it in earnest says what is wrong with it
    finally:
        await readers.close()
    return next((row for row in rows if row.account == account), None)
