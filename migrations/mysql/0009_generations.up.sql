CREATE TABLE piko_generation (
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  start_at DATETIME(3) NOT NULL,
  schedule TEXT NOT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (job_id, start_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO piko_generation (job_id, start_at, schedule, created_at)
  SELECT id, ledger_start, schedule, updated_at FROM piko_job
  WHERE windows IS NOT NULL AND schedule IS NOT NULL AND ledger_start IS NOT NULL;
