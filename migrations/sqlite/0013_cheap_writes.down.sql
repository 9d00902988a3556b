-- The defaults stay, because a newer program that is still running omits these columns.
CREATE TABLE piko_run_next (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
  kind TEXT NOT NULL DEFAULT 'manual' CHECK (kind IN ('scheduled', 'manual', 'backfill', 'dependency')),
  priority INTEGER NOT NULL DEFAULT 0,
  run_at TEXT NOT NULL,
  tick TEXT,
  window_start TEXT,
  window_end TEXT,
  attempt INTEGER NOT NULL DEFAULT 0,
  node_id TEXT,
  claims INTEGER NOT NULL DEFAULT 0,
  config TEXT,
  input TEXT,
  output TEXT,
  error TEXT,
  reason TEXT,
  created_at TEXT NOT NULL,
  started_at TEXT,
  finished_at TEXT,
  cancel_requested_at TEXT,
  concurrency_key TEXT,
  rate_key TEXT,
  backfill_id INTEGER
);

INSERT INTO sqlite_sequence (name, seq) SELECT 'piko_run_next', seq FROM sqlite_sequence WHERE name = 'piko_run';

INSERT INTO piko_run_next (
    id, job_id, state, kind, priority, run_at, tick, window_start, window_end, attempt, node_id, claims, config, input,
    output, error, reason, created_at, started_at, finished_at, cancel_requested_at, concurrency_key, rate_key,
    backfill_id
  )
  SELECT
    id, job_id, state, kind, priority, run_at, tick, window_start, window_end, attempt, node_id, claims, config, input,
    output, error, reason, created_at, started_at, finished_at, cancel_requested_at, concurrency_key, rate_key,
    backfill_id
  FROM piko_run;

DROP TABLE piko_run;

ALTER TABLE piko_run_next RENAME TO piko_run;

CREATE UNIQUE INDEX run_tick ON piko_run (job_id, tick);

CREATE INDEX run_queue ON piko_run (priority, run_at, id) WHERE state = 'queued';

CREATE INDEX run_queued ON piko_run (job_id) WHERE state = 'queued';

CREATE INDEX run_running ON piko_run (job_id) WHERE state = 'running';

CREATE INDEX run_failed ON piko_run (job_id) WHERE state = 'failed';

CREATE TABLE piko_window_next (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL,
  start_at TEXT NOT NULL,
  end_at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed', 'cancelled', 'skipped', 'waiting', 'stale')),
  run_id INTEGER,
  fence INTEGER,
  updated_at TEXT NOT NULL,
  backfill_id INTEGER,
  wait_job TEXT,
  wait_at TEXT,
  changed_to TEXT CHECK (changed_to IN ('waiting', 'stale'))
);

INSERT INTO sqlite_sequence (name, seq) SELECT 'piko_window_next', seq FROM sqlite_sequence WHERE name = 'piko_window';

INSERT INTO piko_window_next (
    id, job_id, start_at, end_at, state, run_id, fence, updated_at, backfill_id, wait_job, wait_at, changed_to
  )
  SELECT
    id, job_id, start_at, end_at, state, run_id, fence, updated_at, backfill_id, wait_job, wait_at, changed_to
  FROM piko_window;

DROP TABLE piko_window;

ALTER TABLE piko_window_next RENAME TO piko_window;

CREATE UNIQUE INDEX window_start ON piko_window (job_id, start_at);

CREATE INDEX window_state ON piko_window (job_id, state, start_at);

CREATE INDEX window_run ON piko_window (run_id);

CREATE INDEX window_backfill ON piko_window (backfill_id, state);
