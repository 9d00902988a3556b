CREATE TABLE piko_generation (
  job_id TEXT NOT NULL,
  start_at TEXT NOT NULL,
  schedule TEXT NOT NULL,
  created_at TEXT NOT NULL,
  PRIMARY KEY (job_id, start_at)
) WITHOUT ROWID;

INSERT INTO piko_generation (job_id, start_at, schedule, created_at)
  SELECT id, ledger_start, schedule, updated_at FROM piko_job
  WHERE windows IS NOT NULL AND schedule IS NOT NULL AND ledger_start IS NOT NULL;
