CREATE TABLE piko_run_progress (
  run_id BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  attempt INT NOT NULL,
  done DOUBLE NOT NULL,
  total DOUBLE NULL,
  rate DOUBLE NULL,
  message VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  updated_at DATETIME(3) NOT NULL,
  PRIMARY KEY (run_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
