PRAGMA application_id = 1098272626;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'orchestrator','create_everything','2026-01-01 00:00:00+00:00');
CREATE TABLE accounts (
        key INTEGER PRIMARY KEY,
        hash TEXT NOT NULL UNIQUE
    ) STRICT;
INSERT INTO "accounts" VALUES(1,'7f6e008b8a992478e2e710fa06922f0964349b2e28359bb5c429a9834cc4fc53');
CREATE TABLE assets (
        account INTEGER NOT NULL REFERENCES accounts (key),
        content_hash TEXT NOT NULL,
        format TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        file_id TEXT,
        uploaded_at REAL,
        PRIMARY KEY (account, content_hash)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "assets" VALUES(1,'fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e','wav',9,'file-/media/hello.wav',1700000000.0);
INSERT INTO "assets" VALUES(1,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','mp4',8,'file-/media/anna.mp4',1700000000.0);
CREATE TABLE attempts (
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
    ) STRICT;
INSERT INTO "attempts" VALUES(1,3,1,1,1,1,'cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','token-job-submitting-1',1700000000.0,0.5,'avatar1/file',1.0,1.0,'file-/media/anna.mp4',NULL,'file-/media/hello.wav',NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,0,NULL,'','');
INSERT INTO "attempts" VALUES(2,4,1,1,1,1,'cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','token-job-submitted-1',1700000000.0,0.5,'avatar1/file',1.0,1.0,'file-/media/anna.mp4',NULL,'file-/media/hello.wav','accepted',1700000000.0,'task-job-submitted-1',1700000000.0,NULL,NULL,0,NULL,0,NULL,'','');
INSERT INTO "attempts" VALUES(3,5,1,1,1,1,'cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','token-job-rendered-1',1700000000.0,0.5,'avatar1/file',1.0,1.0,'file-/media/anna.mp4',NULL,'file-/media/hello.wav','accepted',1700000000.0,'task-job-rendered-1',1700000000.0,1700000000.0,'task_succeeded',1,NULL,0,NULL,'','');
INSERT INTO "attempts" VALUES(4,6,1,1,1,1,'cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','token-job-in_doubt-1',1700000000.0,0.5,'avatar1/file',1.0,1.0,'file-/media/anna.mp4',NULL,'file-/media/hello.wav','unknown',1700000000.0,NULL,NULL,NULL,NULL,0,NULL,0,NULL,'','');
INSERT INTO "attempts" VALUES(5,7,1,1,1,1,'cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','token-job-done-1',1700000000.0,0.5,'avatar1/file',1.0,1.0,'file-/media/anna.mp4',NULL,'file-/media/hello.wav','accepted',1700000000.0,'task-job-done-1',1700000000.0,1700000000.0,'task_succeeded',1,NULL,0,1.0,'','');
INSERT INTO "attempts" VALUES(6,8,1,1,1,1,'cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','token-job-failed-1',1700000000.0,0.5,'avatar1/file',1.0,1.0,'file-/media/anna.mp4',NULL,'file-/media/hello.wav','accepted',1700000000.0,'task-job-failed-1',1700000000.0,1700000000.0,'task_failed',0,NULL,0,NULL,'','');
INSERT INTO "attempts" VALUES(7,9,1,1,1,1,'cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','token-job-cancelled-1',1700000000.0,0.5,'avatar1/file',1.0,1.0,'file-/media/anna.mp4',NULL,'file-/media/hello.wav','accepted',1700000000.0,'task-job-cancelled-1',1700000000.0,NULL,NULL,0,NULL,0,NULL,'','');
CREATE TABLE batches (
        key INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        account INTEGER NOT NULL REFERENCES accounts (key),
        manifest TEXT NOT NULL,
        created_at REAL NOT NULL,
        plan INTEGER NOT NULL DEFAULT 0,
        UNIQUE (name, account)
    ) STRICT;
INSERT INTO "batches" VALUES(1,'spring',1,'/project/jobs.yaml',1700000000.0,1);
CREATE TABLE charges (
        account INTEGER NOT NULL REFERENCES accounts (key),
        task_id TEXT NOT NULL,
        credits REAL NOT NULL,
        charged_at REAL NOT NULL,
        PRIMARY KEY (account, task_id)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "charges" VALUES(1,'somebody-elses',4.0,1700000001.0);
INSERT INTO "charges" VALUES(1,'task-job-done-1',1.0,1700000000.0);
CREATE TABLE events (
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
    ) STRICT;
INSERT INTO "events" VALUES(1,2,NULL,'assets_live','pending','ready',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(2,3,NULL,'assets_live','pending','ready',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(3,3,1,'submit_intent','ready','submitting',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(4,4,NULL,'assets_live','pending','ready',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(5,4,2,'submit_intent','ready','submitting',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(6,4,2,'submit_accepted','submitting','submitted',1700000000.0,'','','task-job-submitted-1','{}');
INSERT INTO "events" VALUES(7,5,NULL,'assets_live','pending','ready',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(8,5,3,'submit_intent','ready','submitting',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(9,5,3,'submit_accepted','submitting','submitted',1700000000.0,'','','task-job-rendered-1','{}');
INSERT INTO "events" VALUES(10,5,3,'task_succeeded','submitted','rendered',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(11,6,NULL,'assets_live','pending','ready',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(12,6,4,'submit_intent','ready','submitting',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(13,6,4,'submit_unknown','submitting','in_doubt',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(14,7,NULL,'assets_live','pending','ready',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(15,7,5,'submit_intent','ready','submitting',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(16,7,5,'submit_accepted','submitting','submitted',1700000000.0,'','','task-job-done-1','{}');
INSERT INTO "events" VALUES(17,7,5,'task_succeeded','submitted','rendered',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(18,7,5,'downloaded','rendered','done',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(19,8,NULL,'assets_live','pending','ready',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(20,8,6,'submit_intent','ready','submitting',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(21,8,6,'submit_accepted','submitting','submitted',1700000000.0,'','','task-job-failed-1','{}');
INSERT INTO "events" VALUES(22,8,6,'task_failed','submitted','failed',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(23,9,NULL,'assets_live','pending','ready',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(24,9,7,'submit_intent','ready','submitting',1700000000.0,'','',NULL,'{}');
INSERT INTO "events" VALUES(25,9,7,'submit_accepted','submitting','submitted',1700000000.0,'','','task-job-cancelled-1','{}');
INSERT INTO "events" VALUES(26,9,7,'cancelled','submitted','cancelled',1700000000.0,'','',NULL,'{}');
CREATE TABLE facts (
        account INTEGER NOT NULL REFERENCES accounts (key),
        key TEXT NOT NULL,
        value ANY NOT NULL,
        PRIMARY KEY (account, key)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "facts" VALUES(1,'log_read_at',1700000003.0);
CREATE TABLE files (
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
    ) STRICT, WITHOUT ROWID;
INSERT INTO "files" VALUES('/media/anna.mp4',8,1,'2',3,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','mp4',NULL,1,1);
CREATE TABLE jobs (
        key INTEGER PRIMARY KEY,
        batch INTEGER NOT NULL REFERENCES batches (key),
        job_id TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'submitting', 'submitted', 'rendered', 'in_doubt', 'done', 'failed', 'cancelled')),
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
        data TEXT NOT NULL DEFAULT '{}',
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        UNIQUE (batch, job_id)
    ) STRICT;
INSERT INTO "jobs" VALUES(1,1,'job-pending','pending',1,0,0,1,0,1,'[]','{"job_id":"job-pending","avatar_kind":"video","avatar":"/media/anna.mp4","audio_kind":"file","audio":"/media/hello.wav","output":"/out/job-pending.mp4","mode":"avatar1","voice":null,"speed":1.0,"caption":null,"save_avatar":false,"priority":0,"tags":[]}','cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','{"text":"hello"}','/out/job-pending.mp4',NULL,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e',2.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'','','{}',1700000000.0,1700000000.0);
INSERT INTO "jobs" VALUES(2,1,'job-ready','ready',2,1,0,1,0,1,'[]','{"job_id":"job-ready","avatar_kind":"video","avatar":"/media/anna.mp4","audio_kind":"file","audio":"/media/hello.wav","output":"/out/job-ready.mp4","mode":"avatar1","voice":null,"speed":1.0,"caption":null,"save_avatar":false,"priority":0,"tags":[]}','cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','{"text":"hello"}','/out/job-ready.mp4',NULL,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e',2.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,'','','{}',1700000000.0,1700000000.0);
INSERT INTO "jobs" VALUES(3,1,'job-submitting','submitting',3,2,0,1,0,1,'[]','{"job_id":"job-submitting","avatar_kind":"video","avatar":"/media/anna.mp4","audio_kind":"file","audio":"/media/hello.wav","output":"/out/job-submitting.mp4","mode":"avatar1","voice":null,"speed":1.0,"caption":null,"save_avatar":false,"priority":0,"tags":[]}','cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','{"text":"hello"}','/out/job-submitting.mp4',NULL,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e',2.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,1,NULL,'','','{}',1700000000.0,1700000000.0);
INSERT INTO "jobs" VALUES(4,1,'job-submitted','submitted',4,3,0,1,0,1,'[]','{"job_id":"job-submitted","avatar_kind":"video","avatar":"/media/anna.mp4","audio_kind":"file","audio":"/media/hello.wav","output":"/out/job-submitted.mp4","mode":"avatar1","voice":null,"speed":1.0,"caption":null,"save_avatar":false,"priority":0,"tags":[]}','cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','{"text":"hello"}','/out/job-submitted.mp4',NULL,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e',2.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,2,NULL,'','','{}',1700000000.0,1700000000.0);
INSERT INTO "jobs" VALUES(5,1,'job-rendered','rendered',5,4,0,1,0,1,'[]','{"job_id":"job-rendered","avatar_kind":"video","avatar":"/media/anna.mp4","audio_kind":"file","audio":"/media/hello.wav","output":"/out/job-rendered.mp4","mode":"avatar1","voice":null,"speed":1.0,"caption":null,"save_avatar":false,"priority":0,"tags":[]}','cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','{"text":"hello"}','/out/job-rendered.mp4',NULL,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e',2.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,3,NULL,'','','{}',1700000000.0,1700000000.0);
INSERT INTO "jobs" VALUES(6,1,'job-in_doubt','in_doubt',4,5,0,1,0,1,'[]','{"job_id":"job-in_doubt","avatar_kind":"video","avatar":"/media/anna.mp4","audio_kind":"file","audio":"/media/hello.wav","output":"/out/job-in_doubt.mp4","mode":"avatar1","voice":null,"speed":1.0,"caption":null,"save_avatar":false,"priority":0,"tags":[]}','cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','{"text":"hello"}','/out/job-in_doubt.mp4',NULL,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e',2.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,4,NULL,'','','{}',1700000000.0,1700000000.0);
INSERT INTO "jobs" VALUES(7,1,'job-done','done',6,6,0,1,0,1,'[]','{"job_id":"job-done","avatar_kind":"video","avatar":"/media/anna.mp4","audio_kind":"file","audio":"/media/hello.wav","output":"/out/job-done.mp4","mode":"avatar1","voice":null,"speed":1.0,"caption":null,"save_avatar":false,"priority":0,"tags":[]}','cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','{"text":"hello"}','/out/job-done.mp4',NULL,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e',2.5,NULL,NULL,NULL,NULL,NULL,NULL,'cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','/out/job-done.mp4',1,5,1.0,'','','{}',1700000000.0,1700000000.0);
INSERT INTO "jobs" VALUES(8,1,'job-failed','failed',5,7,0,1,0,1,'[]','{"job_id":"job-failed","avatar_kind":"video","avatar":"/media/anna.mp4","audio_kind":"file","audio":"/media/hello.wav","output":"/out/job-failed.mp4","mode":"avatar1","voice":null,"speed":1.0,"caption":null,"save_avatar":false,"priority":0,"tags":[]}','cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','{"text":"hello"}','/out/job-failed.mp4',NULL,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e',2.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,6,NULL,'','','{}',1700000000.0,1700000000.0);
INSERT INTO "jobs" VALUES(9,1,'job-cancelled','cancelled',5,8,0,1,0,1,'[]','{"job_id":"job-cancelled","avatar_kind":"video","avatar":"/media/anna.mp4","audio_kind":"file","audio":"/media/hello.wav","output":"/out/job-cancelled.mp4","mode":"avatar1","voice":null,"speed":1.0,"caption":null,"save_avatar":false,"priority":0,"tags":[]}','cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176','{"text":"hello"}','/out/job-cancelled.mp4',NULL,'feea33c2c07f87123f964092a1739042a003f9b5c887d312d23ff70dd37c14bb','fabc76203782dbfc7d322219ee61e2e21c38715e18873b36aed88fd79d5bed7e',2.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1,7,NULL,'','','{}',1700000000.0,1700000000.0);
CREATE TABLE limits (
        account INTEGER NOT NULL REFERENCES accounts (key),
        kind TEXT NOT NULL,
        next_at REAL NOT NULL,
        PRIMARY KEY (account, kind)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "limits" VALUES(1,'submit',1700000001.0);
CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('salt','2e4f8b35224f3e366fc0f6694d5aa43c');
CREATE TABLE notices (
        attempt INTEGER NOT NULL REFERENCES attempts (key),
        task_id TEXT NOT NULL,
        heard_at REAL NOT NULL,
        PRIMARY KEY (attempt, task_id)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "notices" VALUES(4,'task-in-doubt',1700000002.0);
CREATE TABLE runs (
        key INTEGER PRIMARY KEY,
        batch INTEGER NOT NULL REFERENCES batches (key),
        pid INTEGER NOT NULL,
        host TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        exit_code INTEGER,
        summary TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
INSERT INTO "runs" VALUES(1,1,1,'studio','b',1700000000.0,1700000005.0,4,'{"done":1}');
CREATE TABLE strangers (
        account INTEGER NOT NULL REFERENCES accounts (key),
        task_id TEXT NOT NULL,
        charged_at REAL NOT NULL,
        video_file_id TEXT,
        audio_file_id TEXT,
        PRIMARY KEY (account, task_id)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "strangers" VALUES(1,'somebody-elses',1700000001.0,'file-x',NULL);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX jobs_window ON jobs (batch, state, priority DESC, position)
        WHERE selected = 1 AND orphan = 0;
CREATE INDEX jobs_state ON jobs (batch, state, updated_at);
CREATE UNIQUE INDEX attempts_task ON attempts (account, task_id)
        WHERE task_id IS NOT NULL;
CREATE INDEX attempts_slot ON attempts (account, slot, started_at)
        WHERE slot IS NOT NULL;
CREATE INDEX attempts_token ON attempts (account, token);
CREATE INDEX attempts_open ON attempts (account, started_at)
        WHERE task_id IS NULL AND coalesce(verdict, 'unknown') = 'unknown';
CREATE INDEX attempts_spent ON attempts
        (batch, run, credits, verdict, rendered, ended_as, expected);
CREATE INDEX attempts_charged ON attempts (account, kind, units, credits)
        WHERE credits > 0;
CREATE INDEX charges_time ON charges (account, charged_at);
CREATE INDEX strangers_time ON strangers (account, charged_at);
CREATE INDEX events_job ON events (job, key);
CREATE INDEX runs_batch ON runs (batch, key);
CREATE VIEW v_jobs AS
    SELECT b.name AS batch, j.job_id AS job, j.state, a.task_id, j.output, j.output_bytes,
        j.attempts, j.credits,
        (SELECT sum(c.cost) FROM attempts AS c WHERE c.job = j.key) AS cost,
        j.reason, j.message, coalesce(a.overdue, 0) AS overdue,
        j.orphan, j.selected, j.priority, j.tags, j.position,
        substr(j.revision, 1, 8) AS revision,
        strftime('%Y-%m-%dT%H:%M:%SZ', j.created_at, 'unixepoch') AS created_at, strftime('%Y-%m-%dT%H:%M:%SZ', j.updated_at, 'unixepoch') AS updated_at, b.key AS batch_key, j.key AS job_key
    FROM jobs AS j
    JOIN batches AS b ON b.key = j.batch
    LEFT JOIN attempts AS a ON a.key = j.attempt;
CREATE VIEW v_attempts AS
    SELECT b.name AS batch, j.job_id AS job, a.number, a.verdict, a.task_id, a.ended_as, a.slot,
        a.overdue, a.credits, a.expected, a.cost, a.kind, a.units, a.reason, a.message,
        strftime('%Y-%m-%dT%H:%M:%SZ', a.started_at, 'unixepoch') AS started_at, strftime('%Y-%m-%dT%H:%M:%SZ', a.answered_at, 'unixepoch') AS answered_at, strftime('%Y-%m-%dT%H:%M:%SZ', a.accepted_at, 'unixepoch') AS accepted_at,
        strftime('%Y-%m-%dT%H:%M:%SZ', a.ended_at, 'unixepoch') AS ended_at, strftime('%Y-%m-%dT%H:%M:%SZ', a.reopened_at, 'unixepoch') AS reopened_at,
        a.video_file_id, a.image_file_id, a.audio_file_id,
        substr(a.revision, 1, 8) AS revision, a.clock_offset_s, a.run,
        b.key AS batch_key, j.key AS job_key
    FROM attempts AS a
    JOIN jobs AS j ON j.key = a.job
    JOIN batches AS b ON b.key = j.batch;
CREATE VIEW v_events AS
    SELECT b.name AS batch, j.job_id AS job, strftime('%Y-%m-%dT%H:%M:%SZ', e.at, 'unixepoch') AS at, e.kind, e.before, e.after,
        e.reason, e.message, e.task_id, a.number AS attempt, e.data,
        e.key AS event_key, b.key AS batch_key, j.key AS job_key
    FROM events AS e
    JOIN jobs AS j ON j.key = e.job
    JOIN batches AS b ON b.key = j.batch
    LEFT JOIN attempts AS a ON a.key = e.attempt;
CREATE VIEW v_charges AS
    SELECT strftime('%Y-%m-%dT%H:%M:%SZ', c.charged_at, 'unixepoch') AS charged_at, c.task_id, c.credits, b.name AS batch, j.job_id AS job,
        a.number AS attempt, s.video_file_id, s.audio_file_id, c.account,
        b.key AS batch_key, j.key AS job_key
    FROM charges AS c
    LEFT JOIN attempts AS a ON a.account = c.account AND a.task_id = c.task_id
    LEFT JOIN jobs AS j ON j.key = a.job
    LEFT JOIN batches AS b ON b.key = j.batch
    LEFT JOIN strangers AS s ON s.account = c.account AND s.task_id = c.task_id;
CREATE VIEW v_batches AS
    SELECT b.name AS batch, count(j.key) AS jobs,
        count(*) FILTER (WHERE j.state = 'pending') AS pending,
        count(*) FILTER (WHERE j.state = 'ready') AS ready,
        count(*) FILTER (WHERE j.state = 'submitting') AS submitting,
        count(*) FILTER (WHERE j.state = 'submitted') AS submitted,
        count(*) FILTER (WHERE j.state = 'rendered') AS rendered,
        count(*) FILTER (WHERE j.state = 'in_doubt') AS in_doubt,
        count(*) FILTER (WHERE j.state = 'done') AS done,
        count(*) FILTER (WHERE j.state = 'failed') AS failed,
        count(*) FILTER (WHERE j.state = 'cancelled') AS cancelled,
        sum(j.credits) AS credits, b.manifest, strftime('%Y-%m-%dT%H:%M:%SZ', b.created_at, 'unixepoch') AS created_at,
        (SELECT max(strftime('%Y-%m-%dT%H:%M:%SZ', r.started_at, 'unixepoch'))
            FROM runs AS r WHERE r.batch = b.key) AS last_run_at,
        b.account, b.key AS batch_key
    FROM batches AS b
    LEFT JOIN jobs AS j ON j.batch = b.key
    GROUP BY b.key;
COMMIT;
