"""The state folder and the state store in it: looked at, never changed."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from orchestrator.doctor.findings import Check, fault, ok, warning
from orchestrator.engine.lock import is_held, read_owner
from orchestrator.media.places import existing
from orchestrator.store.folder import companions
from orchestrator.store.migrations import APPLICATION_ID, SCHEMA_VERSION

DATABASE = "state.db"
REHEARSALS = "emulator"
MOST_DAMAGE = 3
"""Lines of SQLite's complaints that are shown."""
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "afs", "9p", "ceph", "glusterfs"}
)
_KEEP = "do not delete it: it knows what was paid for. Restore it from a backup, or ask for help"
_OTHER = "make it writable for this user, or name another folder with --state"

_INTERRUPTED = """SELECT b.name, b.account, r.started_at FROM runs AS r
JOIN batches AS b ON b.key = r.batch
WHERE r.ended_at IS NULL AND r.key = (SELECT max(key) FROM runs WHERE batch = b.key)"""


def state_checks(folder: Path) -> list[Check]:
    """Everything about the state folder; blocking, and long for a large store."""
    checks = [folder_check(folder), *network_checks(folder)]
    if not folder.is_dir():
        return checks
    checks += store_checks(folder, "state store")
    if (folder / REHEARSALS / DATABASE).exists():
        checks += store_checks(folder / REHEARSALS, "rehearsals")
    return [*checks, *lock_checks(folder)]


def folder_check(folder: Path) -> Check:
    """Whether the state folder can be written, or made."""
    if folder.is_dir():
        try:
            with tempfile.TemporaryFile(dir=folder):
                return ok("state folder", f"{folder} can be written")
        except OSError as error:
            problem = f"{folder} cannot be written ({error.strerror})"
            return fault("state folder", problem, _OTHER)
    above = existing(folder)
    if above == folder or not above.is_dir():
        return fault(
            "state folder", f"{above} is no folder", "name another state folder with --state"
        )
    if not os.access(above, os.W_OK | os.X_OK):
        return fault("state folder", f"{folder} cannot be made: {above} is not writable", _OTHER)
    return ok("state folder", f"{folder} is not there yet; the first run makes it")


def network_checks(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> list[Check]:
    """A warning if the folder lies on a network file system, as far as the system tells."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []  # not Linux: nothing to learn here
    where, kind = Path("/"), ""
    for line in lines:
        fields = line.split(" ")
        point = Path(fields[1].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= len(where.parts):
            where, kind = point, fields[2]
    if kind not in NETWORK_FILE_SYSTEMS:
        return []
    return [
        warning(
            "file system",
            f"{folder} lies on a network file system ({kind}), where SQLite's write-ahead log "
            "does not work",
            "name a folder on a local disk with --state",
        )
    ]


def store_checks(folder: Path, name: str) -> list[Check]:
    """Whether the state store opens, is ours, whole, and private."""
    path = folder / DATABASE
    if not path.exists():
        return [ok(name, "none yet; the first run makes it")]
    began = time.monotonic()
    try:
        with closing(_open(path)) as conn:
            checks = [_judged(conn, path, name, began), *_interrupted(conn, folder)]
    except sqlite3.Error as error:
        return [fault(name, f"{path} cannot be read ({error})", _KEEP)]
    return [*checks, *_privacy(path, name)]


def _open(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; without a log beside it the file is read as it stands,
    so that SQLite makes no other files."""
    wal = companions(path)[1]
    mode = "ro" if wal.exists() else "ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10.0)


def _judged(conn: sqlite3.Connection, path: Path, name: str, began: float) -> Check:
    application = conn.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        return fault(
            name, f"{path} belongs to another program", "name another state folder with --state"
        )
    schema = conn.execute("PRAGMA user_version").fetchone()[0]
    if schema > SCHEMA_VERSION:
        return fault(
            name,
            f"{path} was written by a newer version of this program (schema {schema}, this one "
            f"knows {SCHEMA_VERSION})",
            "update the program, or name another state folder with --state",
        )
    damage = [row[0] for row in conn.execute(f"PRAGMA quick_check({MOST_DAMAGE})")]
    if damage != ["ok"]:
        return fault(name, f"{path} is damaged: {'; '.join(damage)}", _KEEP)
    size_mb = sum(p.stat().st_size for p in companions(path) if p.exists()) / 1e6
    upgrade = f", which the next run brings to {SCHEMA_VERSION}" if schema < SCHEMA_VERSION else ""
    took_s = time.monotonic() - began
    return ok(name, f"{path} is whole ({size_mb:.1f} MB, schema {schema}{upgrade}; {took_s:.1f} s)")


def _interrupted(conn: sqlite3.Connection, folder: Path) -> Iterator[Check]:
    """Batches whose last run was ended from outside."""
    if conn.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
        return
    for batch, account, _ in conn.execute(_INTERRUPTED):
        if not is_held(folder / "locks" / f"{batch}.{account}.lock"):
            yield warning(
                "runs",
                f"the last run of batch {batch} was killed before it could end",
                "run its manifest again: it goes on where it was",
            )


def _privacy(path: Path, name: str) -> list[Check]:
    found = path.stat()
    if found.st_mode & 0o077 == 0:
        return []
    return [
        warning(
            name,
            f"{path} can be read by other users (mode {found.st_mode & 0o777:o})",
            f"chmod 600 {path}",
        )
    ]


def lock_checks(folder: Path) -> list[Check]:
    """Which batches are being worked on now."""
    held = []
    for path in sorted([*folder.glob("locks/*.lock"), *folder.glob(f"{REHEARSALS}/locks/*.lock")]):
        if is_held(path):
            owner = read_owner(path)
            who = f"process {owner.pid} on {owner.host}" if owner else "a process"
            held.append(f"{path.name.rsplit('.', 2)[0]} by {who}")
    return [ok("locks", f"held: {', '.join(held)}" if held else "no batch is being worked on")]
