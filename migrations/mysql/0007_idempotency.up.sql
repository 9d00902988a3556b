CREATE TABLE piko_idempotency (
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  idempotency_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  run_id BIGINT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (job_id, idempotency_key),
  KEY idempotency_run (run_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
