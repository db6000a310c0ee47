"""The tables and views of a state store, and how a file gets from one version to the next.

A migration that was released is never edited: a later version adds another function below and
raises :data:`SCHEMA_VERSION`. ``docs/state-store.md`` describes the result for people who open
the file with other tools; the views (``v_...``) are their stable surface, the tables are ours.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from orchestrator.model import State

APPLICATION_ID = 0x41764F72
"""``PRAGMA application_id`` of our files: the letters "AvOr"."""
SCHEMA_VERSION = 1
"""``PRAGMA user_version`` after the last migration."""

migrations = Migrations("orchestrator")

_STATES = ", ".join(f"'{state}'" for state in State)

_TABLES_1 = (
    # One row a fact about the file itself: `salt` (hex) hides account identities.
    """CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE accounts (
        key INTEGER PRIMARY KEY,
        hash TEXT NOT NULL UNIQUE
    ) STRICT""",
    """CREATE TABLE batches (
        key INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        account INTEGER NOT NULL REFERENCES accounts (key),
        manifest TEXT NOT NULL,
        created_at REAL NOT NULL,
        plan INTEGER NOT NULL DEFAULT 0,
        UNIQUE (name, account)
    ) STRICT""",
    f"""CREATE TABLE jobs (
        key INTEGER PRIMARY KEY,
        batch INTEGER NOT NULL REFERENCES batches (key),
        job_id TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ({_STATES})),
        version INTEGER NOT NULL DEFAULT 1,
        position INTEGER NOT NULL DEFAULT 0,
        priority INTEGER NOT NULL DEFAULT 0,
        selected INTEGER NOT NULL DEFAULT 1 CHECK (selected IN (0, 1)),
        orphan INTEGER NOT NULL DEFAULT 0 CHECK (orphan IN (0, 1)),
        plan INTEGER NOT NULL DEFAULT 0,
        tags TEXT NOT NULL DEFAULT '[]',
        spec TEXT NOT NULL,
        revision TEXT NOT NULL,
        wire TEXT NOT NULL,
        output TEXT NOT NULL,
        output_bytes INTEGER,
        avatar_hash TEXT,
        audio_hash TEXT,
        audio_s REAL,
        waiting_spec TEXT,
        waiting_revision TEXT,
        waiting_wire TEXT,
        waiting_avatar_hash TEXT,
        waiting_audio_hash TEXT,
        waiting_audio_s REAL,
        made_revision TEXT,
        made_output TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        attempt INTEGER REFERENCES attempts (key),
        credits REAL,
        reason TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT '',
        data TEXT NOT NULL DEFAULT '{{}}',
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        UNIQUE (batch, job_id)
    ) STRICT""",
    # `slot` says what an attempt holds: NULL is nothing. An attempt of unknown fate ('doubt')
    # holds a slot for a time that the caller names. `cost` is what it counts for in a budget.
    # `rendered` stays 1 when a task that once delivered is asked about again and is gone.
    """CREATE TABLE attempts (
        key INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (key),
        account INTEGER NOT NULL REFERENCES accounts (key),
        batch INTEGER NOT NULL REFERENCES batches (key),
        run INTEGER REFERENCES runs (key),
        number INTEGER NOT NULL,
        revision TEXT NOT NULL,
        token TEXT NOT NULL,
        started_at REAL NOT NULL,
        clock_offset_s REAL NOT NULL DEFAULT 0,
        kind TEXT NOT NULL,
        units REAL NOT NULL,
        expected REAL NOT NULL,
        video_file_id TEXT,
        image_file_id TEXT,
        audio_file_id TEXT,
        verdict TEXT CHECK (verdict IN ('accepted', 'refused', 'never_sent', 'unknown')),
        answered_at REAL,
        task_id TEXT,
        accepted_at REAL,
        ended_at REAL,
        ended_as TEXT,
        rendered INTEGER NOT NULL DEFAULT 0 CHECK (rendered IN (0, 1)),
        reopened_at REAL,
        overdue INTEGER NOT NULL DEFAULT 0 CHECK (overdue IN (0, 1)),
        credits REAL,
        reason TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT '',
        slot TEXT GENERATED ALWAYS AS (
            CASE
                WHEN ended_at IS NOT NULL OR overdue = 1 THEN NULL
                WHEN verdict IS NULL THEN 'sending'
                WHEN verdict = 'accepted' THEN 'task'
                WHEN verdict = 'unknown' THEN 'doubt'
            END
        ) VIRTUAL,
        cost REAL GENERATED ALWAYS AS (
            CASE
                WHEN credits IS NOT NULL THEN credits
                WHEN verdict IN ('refused', 'never_sent') THEN 0.0
                WHEN rendered = 0 AND ended_as IN ('task_failed', 'task_lost', 'render_again')
                    THEN 0.0
                ELSE expected
            END
        ) VIRTUAL,
        UNIQUE (job, number)
    ) STRICT""",
    """CREATE TABLE assets (
        account INTEGER NOT NULL REFERENCES accounts (key),
        content_hash TEXT NOT NULL,
        format TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        file_id TEXT,
        uploaded_at REAL,
        PRIMARY KEY (account, content_hash)
    ) STRICT, WITHOUT ROWID""",
    # `inode` is text: some file systems use all 64 bits, unsigned.
    """CREATE TABLE files (
        path TEXT PRIMARY KEY,
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        inode TEXT NOT NULL,
        ctime_ns INTEGER NOT NULL,
        content_hash TEXT NOT NULL,
        format TEXT NOT NULL,
        duration_s REAL,
        has_video INTEGER NOT NULL,
        has_audio INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE events (
        key INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (key),
        attempt INTEGER REFERENCES attempts (key),
        kind TEXT NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        at REAL NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT '',
        task_id TEXT,
        data TEXT NOT NULL DEFAULT '{}'
    ) STRICT""",
    """CREATE TABLE runs (
        key INTEGER PRIMARY KEY,
        batch INTEGER NOT NULL REFERENCES batches (key),
        pid INTEGER NOT NULL,
        host TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        exit_code INTEGER,
        summary TEXT NOT NULL DEFAULT '{}'
    ) STRICT""",
    """CREATE TABLE limits (
        account INTEGER NOT NULL REFERENCES accounts (key),
        kind TEXT NOT NULL,
        next_at REAL NOT NULL,
        PRIMARY KEY (account, kind)
    ) STRICT, WITHOUT ROWID""",
    # The account's credit log; `charged_at` is on the vendor's clock.
    """CREATE TABLE charges (
        account INTEGER NOT NULL REFERENCES accounts (key),
        task_id TEXT NOT NULL,
        credits REAL NOT NULL,
        charged_at REAL NOT NULL,
        PRIMARY KEY (account, task_id)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE strangers (
        account INTEGER NOT NULL REFERENCES accounts (key),
        task_id TEXT NOT NULL,
        charged_at REAL NOT NULL,
        video_file_id TEXT,
        audio_file_id TEXT,
        PRIMARY KEY (account, task_id)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE notices (
        attempt INTEGER NOT NULL REFERENCES attempts (key),
        task_id TEXT NOT NULL,
        heard_at REAL NOT NULL,
        PRIMARY KEY (attempt, task_id)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE facts (
        account INTEGER NOT NULL REFERENCES accounts (key),
        key TEXT NOT NULL,
        value ANY NOT NULL,
        PRIMARY KEY (account, key)
    ) STRICT, WITHOUT ROWID""",
)

_INDEXES_1 = (
    """CREATE INDEX jobs_window ON jobs (batch, state, priority DESC, position)
        WHERE selected = 1 AND orphan = 0""",
    "CREATE INDEX jobs_state ON jobs (batch, state, updated_at)",
    """CREATE UNIQUE INDEX attempts_task ON attempts (account, task_id)
        WHERE task_id IS NOT NULL""",
    """CREATE INDEX attempts_slot ON attempts (account, slot, started_at)
        WHERE slot IS NOT NULL""",
    "CREATE INDEX attempts_token ON attempts (account, token)",
    """CREATE INDEX attempts_open ON attempts (account, started_at)
        WHERE task_id IS NULL AND coalesce(verdict, 'unknown') = 'unknown'""",
    # It holds all that `cost` is made from: SQLite does not sum a generated column from an index
    # alone, and a budget is checked with every claim.
    """CREATE INDEX attempts_spent ON attempts
        (batch, run, credits, verdict, rendered, ended_as, expected)""",
    """CREATE INDEX attempts_charged ON attempts (account, kind, units, credits)
        WHERE credits > 0""",
    "CREATE INDEX charges_time ON charges (account, charged_at)",
    "CREATE INDEX strangers_time ON strangers (account, charged_at)",
    "CREATE INDEX events_job ON events (job, key)",
    "CREATE INDEX runs_batch ON runs (batch, key)",
)


def _iso(column: str) -> str:
    """SQL of a Unix time as ISO 8601 text in UTC; the column keeps its last name."""
    name = column.split(".")[-1]
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {column}, 'unixepoch') AS {name}"


_COUNTS = ",\n        ".join(
    f"count(*) FILTER (WHERE j.state = '{state}') AS {state}" for state in State
)

_VIEWS_1 = (
    f"""CREATE VIEW v_jobs AS
    SELECT b.name AS batch, j.job_id AS job, j.state, a.task_id, j.output, j.output_bytes,
        j.attempts, j.credits,
        (SELECT sum(c.cost) FROM attempts AS c WHERE c.job = j.key) AS cost,
        j.reason, j.message, coalesce(a.overdue, 0) AS overdue,
        j.orphan, j.selected, j.priority, j.tags, j.position,
        substr(j.revision, 1, 8) AS revision,
        {_iso("j.created_at")}, {_iso("j.updated_at")}, b.key AS batch_key, j.key AS job_key
    FROM jobs AS j
    JOIN batches AS b ON b.key = j.batch
    LEFT JOIN attempts AS a ON a.key = j.attempt""",
    f"""CREATE VIEW v_attempts AS
    SELECT b.name AS batch, j.job_id AS job, a.number, a.verdict, a.task_id, a.ended_as, a.slot,
        a.overdue, a.credits, a.expected, a.cost, a.kind, a.units, a.reason, a.message,
        {_iso("a.started_at")}, {_iso("a.answered_at")}, {_iso("a.accepted_at")},
        {_iso("a.ended_at")}, {_iso("a.reopened_at")},
        a.video_file_id, a.image_file_id, a.audio_file_id,
        substr(a.revision, 1, 8) AS revision, a.clock_offset_s, a.run,
        b.key AS batch_key, j.key AS job_key
    FROM attempts AS a
    JOIN jobs AS j ON j.key = a.job
    JOIN batches AS b ON b.key = j.batch""",
    f"""CREATE VIEW v_events AS
    SELECT b.name AS batch, j.job_id AS job, {_iso("e.at")}, e.kind, e.before, e.after,
        e.reason, e.message, e.task_id, a.number AS attempt, e.data,
        e.key AS event_key, b.key AS batch_key, j.key AS job_key
    FROM events AS e
    JOIN jobs AS j ON j.key = e.job
    JOIN batches AS b ON b.key = j.batch
    LEFT JOIN attempts AS a ON a.key = e.attempt""",
    f"""CREATE VIEW v_charges AS
    SELECT {_iso("c.charged_at")}, c.task_id, c.credits, b.name AS batch, j.job_id AS job,
        a.number AS attempt, s.video_file_id, s.audio_file_id, c.account,
        b.key AS batch_key, j.key AS job_key
    FROM charges AS c
    LEFT JOIN attempts AS a ON a.account = c.account AND a.task_id = c.task_id
    LEFT JOIN jobs AS j ON j.key = a.job
    LEFT JOIN batches AS b ON b.key = j.batch
    LEFT JOIN strangers AS s ON s.account = c.account AND s.task_id = c.task_id""",
    f"""CREATE VIEW v_batches AS
    SELECT b.name AS batch, count(j.key) AS jobs,
        {_COUNTS},
        sum(j.credits) AS credits, b.manifest, {_iso("b.created_at")},
        (SELECT max(strftime('%Y-%m-%dT%H:%M:%SZ', r.started_at, 'unixepoch'))
            FROM runs AS r WHERE r.batch = b.key) AS last_run_at,
        b.account, b.key AS batch_key
    FROM batches AS b
    LEFT JOIN jobs AS j ON j.batch = b.key
    GROUP BY b.key""",
)


@migrations()
def create_everything(db: Database) -> None:
    """Version 1: all tables, indexes and views."""
    for statement in (*_TABLES_1, *_INDEXES_1, *_VIEWS_1):
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES ('salt', lower(hex(randomblob(16))))")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")


NAMES = frozenset({create_everything.__name__})
"""Every migration that this version knows."""
