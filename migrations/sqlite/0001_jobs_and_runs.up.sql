CREATE TABLE piko_job (
  id TEXT NOT NULL PRIMARY KEY,
  description TEXT,
  schedule TEXT,
  windows TEXT,
  is_paused INTEGER NOT NULL DEFAULT 0,
  next_tick TEXT,
  plan_at TEXT,
  ledger_start TEXT,
  window_cursor TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX job_plan ON piko_job (plan_at);

CREATE TABLE piko_run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
  kind TEXT NOT NULL CHECK (kind IN ('scheduled', 'manual', 'backfill', 'dependency')),
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
  finished_at TEXT
);

CREATE UNIQUE INDEX run_tick ON piko_run (job_id, tick);

CREATE INDEX run_queue ON piko_run (state, priority, run_at, id);

CREATE INDEX run_job ON piko_run (job_id, state);

CREATE TABLE piko_window (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL,
  start_at TEXT NOT NULL,
  end_at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed', 'cancelled', 'skipped')),
  run_id INTEGER,
  fence INTEGER,
  updated_at TEXT NOT NULL
);

CREATE UNIQUE INDEX window_start ON piko_window (job_id, start_at);

CREATE INDEX window_state ON piko_window (job_id, state, start_at);

CREATE INDEX window_run ON piko_window (run_id);

CREATE TABLE piko_node (
  id TEXT NOT NULL PRIMARY KEY,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started_at TEXT NOT NULL,
  heartbeat_at TEXT NOT NULL,
  expires_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE piko_lock (
  name TEXT NOT NULL PRIMARY KEY,
  owner TEXT,
  fence INTEGER NOT NULL DEFAULT 0,
  expires_at TEXT NOT NULL
) WITHOUT ROWID;
