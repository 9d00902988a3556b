CREATE TABLE piko_dead_row (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  row_key TEXT NOT NULL,
  sink TEXT NOT NULL,
  route TEXT NOT NULL,
  job_id TEXT NOT NULL,
  run_id INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  window_start TEXT,
  window_end TEXT,
  batch_key TEXT NOT NULL,
  place INTEGER NOT NULL,
  reason TEXT NOT NULL,
  is_whole INTEGER NOT NULL,
  content TEXT NOT NULL,
  died_at TEXT NOT NULL
);

CREATE UNIQUE INDEX dead_row_key ON piko_dead_row (row_key);

CREATE INDEX dead_row_sink ON piko_dead_row (sink, id);

CREATE INDEX dead_row_run ON piko_dead_row (run_id);

CREATE INDEX dead_row_died ON piko_dead_row (died_at);

CREATE TABLE piko_spill (
  run_id INTEGER NOT NULL,
  sink TEXT NOT NULL,
  host TEXT NOT NULL,
  job_id TEXT NOT NULL,
  spilled_rows INTEGER NOT NULL,
  sent_rows INTEGER NOT NULL,
  spilled_bytes INTEGER NOT NULL,
  spilled_at TEXT NOT NULL,
  changed_at TEXT NOT NULL,
  PRIMARY KEY (run_id, sink, host)
);

CREATE INDEX spill_changed ON piko_spill (changed_at);
