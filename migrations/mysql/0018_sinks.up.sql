CREATE TABLE piko_dead_row (
  id BIGINT NOT NULL AUTO_INCREMENT,
  row_key CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sink VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  route VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  job_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  run_id BIGINT NOT NULL,
  attempt INT NOT NULL,
  fence BIGINT NOT NULL,
  window_start DATETIME(3) NULL,
  window_end DATETIME(3) NULL,
  batch_key VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  place INT NOT NULL,
  reason TEXT NOT NULL,
  is_whole TINYINT NOT NULL,
  content MEDIUMTEXT NOT NULL,
  died_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY dead_row_key (row_key),
  KEY dead_row_sink (sink, id),
  KEY dead_row_run (run_id),
  KEY dead_row_died (died_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_spill (
  run_id BIGINT NOT NULL,
  sink VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  host VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  job_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  spilled_rows BIGINT NOT NULL,
  sent_rows BIGINT NOT NULL,
  spilled_bytes BIGINT NOT NULL,
  spilled_at DATETIME(3) NOT NULL,
  changed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (run_id, sink, host),
  KEY spill_changed (changed_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
