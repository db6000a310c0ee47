"""The SQL, with names. Hot statements are constants, so that they stay prepared."""

from __future__ import annotations

# Jobs as the engine sees them.

_JOB_COLUMNS = """
j.key, j.job_id, j.state, j.version, j.spec, j.revision,
    j.avatar_hash, j.audio_hash, j.audio_s, j.attempts, j.attempt,
    j.waiting_revision IS NOT NULL, j.orphan, j.selected, j.reason, j.message, j.credits,
    a.task_id, a.accepted_at, coalesce(a.overdue, 0), j.made_revision"""
JOBS = f"""
SELECT {_JOB_COLUMNS}
FROM jobs AS j LEFT JOIN attempts AS a ON a.key = j.attempt
"""
JOB = JOBS + "WHERE j.key = ?"
WINDOW = (
    JOBS
    + """WHERE j.batch = ? AND j.state = ? AND j.selected = 1 AND j.orphan = 0
ORDER BY j.priority DESC, j.position LIMIT ?"""
)
RENDERED = JOBS + "WHERE j.batch = ? AND j.state = 'rendered' ORDER BY j.updated_at, j.key LIMIT ?"
SUBMITTED = (
    JOBS
    + """WHERE j.batch = ? AND j.state IN ('submitted', 'cancelled')
    AND (j.state = 'submitted' OR (a.task_id IS NOT NULL AND a.ended_at IS NULL))
ORDER BY a.accepted_at, a.key, j.key"""
)
STRAYS = (
    JOBS.replace("SELECT ", "SELECT j.batch, ", 1)
    + """WHERE a.account = ? AND a.slot = 'task' AND j.batch != ?
ORDER BY a.accepted_at, a.key"""
)
IN_DOUBT_WITH_TASK = (
    JOBS + "WHERE j.batch = ? AND j.state = 'in_doubt' AND a.task_id IS NOT NULL ORDER BY j.key"
)
FIND_JOBS = f"""
SELECT {_JOB_COLUMNS},
    b.key, b.name, b.account, b.manifest, b.created_at
FROM batches AS b JOIN jobs AS j ON j.batch = b.key LEFT JOIN attempts AS a ON a.key = j.attempt
WHERE b.name GLOB ? AND j.job_id GLOB ?
ORDER BY b.created_at, b.key, j.position, j.key
"""
SUBMITTING = JOBS + "WHERE j.batch = ? AND j.state = 'submitting' ORDER BY j.key"
JOB_VERSION = "SELECT version FROM jobs WHERE key = ?"
JOB_VERSION_AND_PLAN = "SELECT version, plan FROM jobs WHERE key = ?"
JOB_VERSION_IF_OLDER = "SELECT version FROM jobs WHERE batch = ? AND job_id = ? AND plan <> ?"

COUNTS = "SELECT state, count(*) FROM jobs WHERE batch = ? GROUP BY state"
STARTABLE = """
SELECT state, count(*) FROM jobs
WHERE batch = ? AND selected = 1 AND orphan = 0 GROUP BY state
"""

# Moving a job.

ADVANCE = """
UPDATE jobs SET state = :after, version = version + 1, updated_at = :at,
    reason = :reason, message = :message, data = coalesce(:data, data),
    output_bytes = CASE WHEN :keep_bytes THEN output_bytes ELSE :bytes END,
    made_revision = CASE WHEN :made THEN revision ELSE made_revision END,
    made_output = CASE WHEN :made THEN output ELSE made_output END,
    attempts = attempts + :begun,
    attempt = CASE WHEN :keep_attempt THEN attempt ELSE :attempt END
WHERE key = :key AND version = :version AND state = :before
"""
REVISE = """
UPDATE jobs SET state = :after, version = version + 1, updated_at = :at,
    reason = '', message = '', data = '{}', output_bytes = NULL, attempt = NULL,
    spec = coalesce(waiting_spec, spec),
    output = coalesce(json_extract(waiting_spec, '$.output'), output),
    priority = coalesce(json_extract(waiting_spec, '$.priority'), priority),
    tags = coalesce(json_extract(waiting_spec, '$.tags'), tags),
    avatar_hash = iif(waiting_revision IS NULL, avatar_hash, waiting_avatar_hash),
    audio_hash = iif(waiting_revision IS NULL, audio_hash, waiting_audio_hash),
    audio_s = iif(waiting_revision IS NULL, audio_s, waiting_audio_s),
    wire = coalesce(waiting_wire, wire),
    revision = coalesce(waiting_revision, revision),
    waiting_spec = NULL, waiting_revision = NULL, waiting_wire = NULL,
    waiting_avatar_hash = NULL, waiting_audio_hash = NULL, waiting_audio_s = NULL
WHERE key = :key AND version = :version AND state = :before
"""
ADD_EVENT = """
INSERT INTO events (job, attempt, kind, before, after, at, reason, message, task_id, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

# Attempts.

ATTEMPT_COLUMNS = """
t.key, t.job, t.number, t.revision, t.token, t.started_at, t.video_file_id, t.image_file_id,
    t.audio_file_id, t.verdict, t.task_id, t.accepted_at, t.ended_at, t.overdue"""
ATTEMPT = f"SELECT {ATTEMPT_COLUMNS} FROM attempts AS t WHERE t.key = ?"
ATTEMPTS = f"SELECT {ATTEMPT_COLUMNS} FROM attempts AS t WHERE t.job = ? ORDER BY t.number"
BEGIN_ATTEMPT = """
INSERT INTO attempts (job, account, batch, run, number, revision, token, started_at,
    clock_offset_s, kind, units, expected, video_file_id, image_file_id, audio_file_id)
VALUES (:job, :account, (SELECT batch FROM jobs WHERE key = :job), :run, :number, :revision,
    :token, :started_at, :clock_offset_s, :kind, :units, :expected,
    :video_file_id, :image_file_id, :audio_file_id)
RETURNING key
"""
TASK_OWNER = """
SELECT a.key, a.number, b.name, j.job_id
FROM attempts AS mine
JOIN attempts AS a ON a.account = mine.account AND a.task_id = ?
JOIN jobs AS j ON j.key = a.job
JOIN batches AS b ON b.key = j.batch
WHERE mine.key = ?
"""
TASK_OF = "SELECT task_id FROM attempts WHERE key = ?"
OWN_TASK = "UPDATE attempts SET task_id = ? WHERE key = ? AND task_id IS NULL"
ACCEPT = """
UPDATE attempts SET verdict = 'accepted', answered_at = :at, reason = :reason,
    message = :message, accepted_at = coalesce(accepted_at, :at)
WHERE key = :key
"""
JUDGE = """
UPDATE attempts SET verdict = :verdict, answered_at = :at, reason = :reason, message = :message
WHERE key = :key AND verdict IS NOT 'accepted'
"""
END_TASK = """
UPDATE attempts SET ended_at = :at, ended_as = :kind, overdue = 0, reason = :reason,
    message = :message, rendered = max(rendered, :kind = 'task_succeeded')
WHERE key = :key
"""
OVERDUE = "UPDATE attempts SET overdue = 1 WHERE key = ?"
LET_GO = """
UPDATE attempts SET overdue = 1
WHERE key = :key AND verdict = 'accepted' AND ended_at IS NULL
    AND key IS NOT (SELECT attempt FROM jobs WHERE jobs.key = attempts.job)
"""
REOPEN = "UPDATE attempts SET reopened_at = ?, overdue = 0 WHERE key = ?"
SLOTS = """
SELECT count(*) FROM attempts
WHERE account = ? AND slot IS NOT NULL
    AND (slot IN ('sending', 'task') OR (slot = 'doubt' AND started_at > ?))
"""
FIND_TASK = "SELECT job FROM attempts WHERE account = ? AND task_id = ?"

# Assets and files.

ASSET = """
SELECT content_hash, format, size_bytes, file_id FROM assets
WHERE account = ? AND content_hash = ?
"""
KNOW_ASSET = """
INSERT INTO assets (account, content_hash, format, size_bytes) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
ASSET_UPLOADED = """
INSERT INTO assets (account, content_hash, format, size_bytes, file_id, uploaded_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account, content_hash) DO UPDATE SET format = excluded.format,
    size_bytes = excluded.size_bytes, file_id = excluded.file_id,
    uploaded_at = excluded.uploaded_at
"""
FORGET_FILE = """
UPDATE assets SET file_id = NULL, uploaded_at = NULL WHERE account = ? AND content_hash = ?
"""
FILE = """
SELECT path, size_bytes, content_hash, format, duration_s, has_video, has_audio FROM files
WHERE path = ? AND size_bytes = ? AND mtime_ns = ? AND inode = ? AND ctime_ns = ?
"""
REMEMBER_FILE = """
INSERT OR REPLACE INTO files (path, size_bytes, mtime_ns, inode, ctime_ns,
    content_hash, format, duration_s, has_video, has_audio)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

# Accounts, limits, batches, runs.

SALT = "SELECT value FROM meta WHERE key = 'salt'"
ADD_ACCOUNT = "INSERT INTO accounts (hash) VALUES (?) ON CONFLICT DO NOTHING"
ACCOUNT = "SELECT key FROM accounts WHERE hash = ?"
LIMIT = "SELECT next_at FROM limits WHERE account = ? AND kind = ?"
ANY_BOOT = "SELECT 1 FROM limits WHERE account = ? AND kind GLOB ? || '@*'"
SET_LIMIT = "INSERT OR REPLACE INTO limits (account, kind, next_at) VALUES (?, ?, ?)"
BATCHES = "SELECT key, name, account, manifest, created_at FROM batches"
BATCHES_NAMED = BATCHES + " WHERE name = ? ORDER BY key"
ALL_BATCHES = BATCHES + " ORDER BY created_at, key"
OPEN_BATCH = """
INSERT INTO batches (name, account, manifest, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (name, account) DO UPDATE SET manifest = excluded.manifest
RETURNING key, name, account, manifest, created_at
"""
BEGIN_RUN = """
INSERT INTO runs (batch, pid, host, boot_id, started_at) VALUES (?, ?, ?, ?, ?) RETURNING key
"""
END_RUN = "UPDATE runs SET ended_at = ?, exit_code = ?, summary = ? WHERE key = ?"
LAST_RUN = """
SELECT key, batch, pid, host, boot_id, started_at, ended_at, exit_code FROM runs
WHERE batch = ? ORDER BY key DESC LIMIT 1
"""

# Planning.

KNOWN = """
SELECT j.key, j.job_id, j.state, j.version, j.revision, j.waiting_revision, j.wire, j.output,
    j.output_bytes, j.orphan, a.accepted_at, a.task_id,
    coalesce(a.ended_as IN ('task_failed', 'task_lost', 'render_again'), 0),
    coalesce(a.verdict = 'unknown' AND a.task_id IS NULL, 0)
FROM jobs AS j LEFT JOIN attempts AS a ON a.key = j.attempt
WHERE j.batch = ?
"""
KNOWN_OF = KNOWN + "AND j.job_id IN (SELECT value FROM json_each(?))"
JOB_IDS = "SELECT job_id FROM jobs WHERE batch = ? ORDER BY position, key"
BATCH_ACCOUNT = "SELECT account FROM batches WHERE key = ?"
NEXT_PLAN = "UPDATE batches SET plan = plan + 1 WHERE key = ? RETURNING plan"
ADD_JOB = """
INSERT INTO jobs (batch, job_id, state, position, priority, selected, plan, tags, spec,
    revision, wire, output, avatar_hash, audio_hash, audio_s, created_at, updated_at)
VALUES (:batch, :job_id, 'pending', :position, :priority, :selected, :plan, :tags, :spec,
    :revision, :wire, :output, :avatar_hash, :audio_hash, :audio_s, :now, :now)
ON CONFLICT DO NOTHING
"""
UPDATE_JOB = """
UPDATE jobs SET version = version + 1, position = :position, priority = :priority,
    selected = :selected, orphan = 0, plan = :plan, tags = :tags, spec = :spec, wire = :wire,
    output = :output, avatar_hash = :avatar_hash, audio_hash = :audio_hash, audio_s = :audio_s,
    waiting_spec = NULL, waiting_revision = NULL, waiting_wire = NULL,
    waiting_avatar_hash = NULL, waiting_audio_hash = NULL, waiting_audio_s = NULL
WHERE key = :key AND version = :version
"""
LET_WAIT = """
UPDATE jobs SET version = version + 1, position = :position, selected = :selected, orphan = 0,
    plan = :plan, waiting_spec = :spec, waiting_revision = :revision, waiting_wire = :wire,
    waiting_avatar_hash = :avatar_hash, waiting_audio_hash = :audio_hash,
    waiting_audio_s = :audio_s
WHERE key = :key AND version = :version
"""
ORPHAN = """
UPDATE jobs SET version = version + 1, orphan = 1, selected = 0, plan = :plan,
    waiting_spec = NULL, waiting_revision = NULL, waiting_wire = NULL,
    waiting_avatar_hash = NULL, waiting_audio_hash = NULL, waiting_audio_s = NULL
WHERE key = :key AND version = :version
"""
UNSELECT_REST = """
UPDATE jobs SET version = version + 1, selected = 0
WHERE batch = ? AND plan <> ? AND selected = 1
"""

# Reports.

JOB_ROWS = """
SELECT j.key, j.job_id, j.state, a.task_id, j.output, j.output_bytes, j.attempts, j.credits,
    j.reason, j.message, coalesce(a.overdue, 0), j.orphan, j.selected, j.tags, j.priority,
    j.updated_at, j.data
FROM jobs AS j LEFT JOIN attempts AS a ON a.key = j.attempt
WHERE j.batch = ? AND j.job_id GLOB ?
"""
JOB_ROWS_ORDER = " ORDER BY j.position, j.key"
EVENTS = """
SELECT j.job_id, e.before, e.after, e.attempt, e.kind, e.at, e.reason, e.message, e.task_id,
    e.data
FROM events AS e JOIN jobs AS j ON j.key = e.job
WHERE j.batch = ? AND j.job_id = ? ORDER BY e.key
"""
