CREATE TABLE IF NOT EXISTS piko_fence (
  table_name VARCHAR(64) NOT NULL,
  window_start DATETIME(3) NOT NULL,
  fence BIGINT NOT NULL,
  batches MEDIUMTEXT NOT NULL,
  row_count BIGINT,
  PRIMARY KEY (table_name, window_start)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
