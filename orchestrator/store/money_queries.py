"""The SQL of charges, budgets and the evidence of tasks, with names."""

from __future__ import annotations

from orchestrator.store.queries import ATTEMPT_COLUMNS

# What was spent.

_COST = """CASE
    WHEN credits IS NOT NULL THEN credits
    WHEN verdict IN ('refused', 'never_sent') THEN 0.0
    WHEN rendered = 0 AND ended_as IN ('task_failed', 'task_lost', 'render_again') THEN 0.0
    ELSE expected
END"""
"""The column `cost`, spelled out: only so SQLite reads nothing but the index."""
SPENT_OF_BATCH = f"SELECT coalesce(sum({_COST}), 0.0) FROM attempts WHERE batch = ?"
SPENT_OF_RUN = f"{SPENT_OF_BATCH} AND run = ?"
BATCH_OF_JOB = "SELECT batch FROM jobs WHERE key = ?"
COSTS = """
SELECT kind, sum(units), sum(credits) FROM attempts
WHERE account = ? AND credits > 0 GROUP BY kind ORDER BY kind
"""
STATED_CREDITS = """
UPDATE attempts SET credits = coalesce((SELECT max(c.credits, 0.0) FROM charges AS c
    WHERE c.account = attempts.account AND c.task_id = attempts.task_id), ?)
WHERE key = ?
"""
JOB_CREDITS = """
UPDATE jobs SET credits = coalesce((SELECT sum(credits) FROM attempts WHERE job = jobs.key), ?)
WHERE key = ?
"""

# The credit log.

REMEMBER_CHARGE = """
INSERT INTO charges (account, task_id, credits, charged_at) VALUES (?, ?, ?, ?)
ON CONFLICT (account, task_id) DO UPDATE
SET credits = excluded.credits, charged_at = excluded.charged_at
WHERE excluded.charged_at >= charged_at
    AND (excluded.credits <> credits OR excluded.charged_at <> charged_at)
"""
CHARGE_TASK = """
UPDATE attempts SET credits = max(c.credits, 0.0) FROM charges AS c
WHERE c.account = ? AND c.task_id = ?
    AND attempts.account = c.account AND attempts.task_id = c.task_id
    AND attempts.credits IS NOT max(c.credits, 0.0)
RETURNING job
"""
CHARGE_OF_ATTEMPT = """
SELECT a.account, a.task_id FROM attempts AS a
JOIN charges AS c ON c.account = a.account AND c.task_id = a.task_id WHERE a.key = ?
"""
UNCHARGED_SINCE = """
SELECT min(started_at + clock_offset_s) FROM attempts
WHERE batch = ? AND verdict = 'accepted' AND rendered = 1 AND credits IS NULL
    AND started_at + clock_offset_s > ?
"""
UNCLAIMED = """
SELECT c.task_id, c.credits, c.charged_at FROM charges AS c
WHERE c.account = ? AND c.charged_at >= ?
    AND NOT EXISTS (SELECT 1 FROM attempts AS a
        WHERE a.account = c.account AND a.task_id = c.task_id)
    AND NOT EXISTS (SELECT 1 FROM strangers AS s
        WHERE s.account = c.account AND s.task_id = c.task_id)
ORDER BY c.charged_at, c.task_id
"""
REMEMBER_STRANGER = """
INSERT OR REPLACE INTO strangers (account, task_id, charged_at, video_file_id, audio_file_id)
VALUES (?, ?, ?, ?, ?)
"""
STRANGERS = """
SELECT s.task_id, s.charged_at, s.video_file_id, s.audio_file_id FROM strangers AS s
WHERE s.account = ? AND s.charged_at >= ?
    AND NOT EXISTS (SELECT 1 FROM attempts AS a
        WHERE a.account = s.account AND a.task_id = s.task_id)
ORDER BY s.charged_at, s.task_id
"""
SET_FACT = "INSERT OR REPLACE INTO facts (account, key, value) VALUES (?, ?, ?)"
FACT = "SELECT value FROM facts WHERE account = ? AND key = ?"

# Attempts whose fate is unknown.

UNSETTLED = f"""
SELECT {ATTEMPT_COLUMNS}, t.batch, t.clock_offset_s,
    (SELECT n.task_id FROM notices AS n
        WHERE n.attempt = t.key AND NOT EXISTS (SELECT 1 FROM attempts AS a
            WHERE a.account = t.account AND a.task_id = n.task_id)
        ORDER BY n.heard_at DESC, n.task_id LIMIT 1),
    (SELECT j.key FROM jobs AS j
        WHERE j.key = t.job AND j.attempt = t.key AND j.state = 'in_doubt')
FROM attempts AS t
WHERE t.account = ? AND t.task_id IS NULL AND coalesce(t.verdict, 'unknown') = 'unknown'
ORDER BY t.started_at, t.key
"""
IN_DOUBT_SINCE = """
SELECT min(coalesce(t.started_at, j.updated_at))
FROM jobs AS j LEFT JOIN attempts AS t ON t.key = j.attempt
WHERE j.batch = ? AND j.state = 'in_doubt'
"""
ATTEMPT_OF_TOKEN = """
SELECT key FROM attempts WHERE account = ? AND token = ? ORDER BY key DESC LIMIT 1
"""
KEEP_NOTICE = """
INSERT INTO notices (attempt, task_id, heard_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
