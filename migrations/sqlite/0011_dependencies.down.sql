DELETE FROM piko_window WHERE state = 'waiting';

UPDATE piko_window SET state = 'succeeded' WHERE state = 'stale';

CREATE TABLE piko_window_next (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL,
  start_at TEXT NOT NULL,
  end_at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed', 'cancelled', 'skipped')),
  run_id INTEGER,
  fence INTEGER,
  updated_at TEXT NOT NULL,
  backfill_id INTEGER
);

INSERT INTO piko_window_next (id, job_id, start_at, end_at, state, run_id, fence, updated_at, backfill_id)
  SELECT id, job_id, start_at, end_at, state, run_id, fence, updated_at, backfill_id FROM piko_window;

DROP TABLE piko_window;

ALTER TABLE piko_window_next RENAME TO piko_window;

CREATE UNIQUE INDEX window_start ON piko_window (job_id, start_at);

CREATE INDEX window_state ON piko_window (job_id, state, start_at);

CREATE INDEX window_run ON piko_window (run_id);

CREATE INDEX window_backfill ON piko_window (backfill_id, state);

DROP TABLE piko_dependency;
