CREATE TABLE piko_dependency (
  job_id TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  on_change TEXT NOT NULL CHECK (on_change IN ('ignore', 'stale', 'rerun')),
  PRIMARY KEY (job_id, upstream_id)
) WITHOUT ROWID;

CREATE INDEX dependency_upstream ON piko_dependency (upstream_id);

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

INSERT INTO piko_window_next (id, job_id, start_at, end_at, state, run_id, fence, updated_at, backfill_id)
  SELECT id, job_id, start_at, end_at, state, run_id, fence, updated_at, backfill_id FROM piko_window;

DROP TABLE piko_window;

ALTER TABLE piko_window_next RENAME TO piko_window;

CREATE UNIQUE INDEX window_start ON piko_window (job_id, start_at);

CREATE INDEX window_state ON piko_window (job_id, state, start_at);

CREATE INDEX window_run ON piko_window (run_id);

CREATE INDEX window_backfill ON piko_window (backfill_id, state);
