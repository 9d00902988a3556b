CREATE TABLE piko_job_table (
  job_id TEXT NOT NULL,
  table_name TEXT NOT NULL,
  layout TEXT NOT NULL,
  PRIMARY KEY (job_id, table_name)
) WITHOUT ROWID;
CREATE TABLE piko_window_rows (
  job_id TEXT NOT NULL,
  table_name TEXT NOT NULL,
  start_at TEXT NOT NULL,
  fence INTEGER NOT NULL,
  row_count INTEGER,
  PRIMARY KEY (job_id, table_name, start_at)
) WITHOUT ROWID;
