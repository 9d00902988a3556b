ALTER TABLE piko_run ADD COLUMN concurrency_key TEXT;

ALTER TABLE piko_run ADD COLUMN rate_key TEXT;

CREATE TABLE piko_rate (
  job_id TEXT NOT NULL,
  rate_key TEXT NOT NULL,
  starts TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  PRIMARY KEY (job_id, rate_key)
) WITHOUT ROWID;

CREATE INDEX rate_expiry ON piko_rate (expires_at);
