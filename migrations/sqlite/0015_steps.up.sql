CREATE TABLE piko_step (
  run_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  fence INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  result TEXT,
  ms INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  waiting_since TEXT,
  finished_at TEXT,
  PRIMARY KEY (run_id, name)
);
