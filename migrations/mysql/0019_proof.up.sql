CREATE TABLE piko_job_table (
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  table_name VARCHAR(129) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  layout MEDIUMTEXT NOT NULL,
  PRIMARY KEY (job_id, table_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE piko_window_rows (
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  table_name VARCHAR(129) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  start_at DATETIME(3) NOT NULL,
  fence BIGINT NOT NULL,
  row_count BIGINT NULL,
  PRIMARY KEY (job_id, table_name, start_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
