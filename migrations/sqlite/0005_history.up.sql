CREATE TABLE piko_run_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id INTEGER NOT NULL,
  fence INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  logged_at TEXT NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('trace', 'debug', 'info', 'warn', 'error')),
  message TEXT NOT NULL,
  fields TEXT
);

CREATE INDEX run_log_run ON piko_run_log (run_id, id);
