CREATE TABLE piko_step (
  run_id BIGINT NOT NULL,
  name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  fence BIGINT NOT NULL,
  seq INT NOT NULL,
  attempt INT NOT NULL,
  result MEDIUMTEXT NULL,
  ms BIGINT NOT NULL,
  tries INT NOT NULL,
  waiting_since DATETIME(3) NULL,
  finished_at DATETIME(3) NULL,
  PRIMARY KEY (run_id, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
