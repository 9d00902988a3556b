CREATE TABLE piko_idempotency (
  job_id TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  run_id INTEGER,
  created_at TEXT NOT NULL,
  PRIMARY KEY (job_id, idempotency_key)
) WITHOUT ROWID;

CREATE INDEX idempotency_run ON piko_idempotency (run_id);
