CREATE TABLE piko_run_progress (
  run_id INTEGER PRIMARY KEY,
  fence INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  done REAL NOT NULL,
  total REAL,
  rate REAL,
  message TEXT,
  updated_at TEXT NOT NULL
);
