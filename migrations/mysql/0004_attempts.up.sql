CREATE TABLE piko_attempt (
  run_id BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  attempt INT NOT NULL,
  node_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  started_at DATETIME(3) NULL,
  finished_at DATETIME(3) NULL,
  outcome ENUM('failed', 'timeout', 'cancelled', 'interrupted', 'lost') NOT NULL,
  error TEXT NULL,
  PRIMARY KEY (run_id, fence)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
