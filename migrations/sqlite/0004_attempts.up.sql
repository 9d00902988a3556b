CREATE TABLE piko_attempt (
  run_id INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  node_id TEXT,
  started_at TEXT,
  finished_at TEXT,
  outcome TEXT NOT NULL CHECK (outcome IN ('failed', 'timeout', 'cancelled', 'interrupted', 'lost')),
  error TEXT,
  PRIMARY KEY (run_id, fence)
) WITHOUT ROWID;
