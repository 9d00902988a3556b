CREATE TABLE piko_backfill (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'cancelling', 'cancelled', 'succeeded', 'failed')),
  from_at TEXT NOT NULL,
  to_at TEXT NOT NULL,
  cursor_at TEXT,
  window_order TEXT NOT NULL CHECK (window_order IN ('oldest', 'newest')),
  only_windows TEXT NOT NULL CHECK (only_windows IN ('missing', 'failed', 'all')),
  parallel INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  config TEXT,
  total INTEGER NOT NULL,
  planned INTEGER NOT NULL DEFAULT 0,
  passed INTEGER NOT NULL DEFAULT 0,
  active_ms INTEGER NOT NULL DEFAULT 0,
  active_since TEXT,
  created_at TEXT NOT NULL,
  finished_at TEXT
);

CREATE INDEX backfill_state ON piko_backfill (state);

CREATE INDEX backfill_job ON piko_backfill (job_id, id);

ALTER TABLE piko_run ADD COLUMN backfill_id INTEGER;

ALTER TABLE piko_window ADD COLUMN backfill_id INTEGER;

CREATE INDEX window_backfill ON piko_window (backfill_id, state);
