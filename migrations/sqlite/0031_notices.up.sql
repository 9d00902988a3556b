-- What people are told. A notice is written by the transaction that stores the failure, the leader merges notices into one alert per job,
-- and a message is kept until its channel has taken it.
CREATE TABLE piko_notice (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL,
  failures INTEGER NOT NULL,
  run_id INTEGER,
  window_start TEXT,
  window_end TEXT,
  error TEXT,
  created_at TEXT NOT NULL
);

CREATE TABLE piko_alert (
  job_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('failure', 'late')),
  occurrences INTEGER NOT NULL,
  run_id INTEGER,
  window_start TEXT,
  window_end TEXT,
  error TEXT,
  opened_at TEXT NOT NULL,
  last_at TEXT NOT NULL,
  told_at TEXT,
  recovered_at TEXT,
  PRIMARY KEY (job_id, kind)
) WITHOUT ROWID;

CREATE TABLE piko_message (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel TEXT NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('due', 'sent', 'dead')),
  due_at TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  created_at TEXT NOT NULL,
  sent_at TEXT
);

CREATE INDEX message_due ON piko_message (state, due_at, id);

CREATE INDEX message_created ON piko_message (created_at);

ALTER TABLE piko_job ADD COLUMN deadline_ms INTEGER;

ALTER TABLE piko_job ADD COLUMN hooks TEXT;
