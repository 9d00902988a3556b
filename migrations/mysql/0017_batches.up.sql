CREATE TABLE piko_batch (
  id BIGINT NOT NULL AUTO_INCREMENT,
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  batch_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state ENUM('creating', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled') NOT NULL,
  total INT NOT NULL,
  `stored` INT NOT NULL DEFAULT 0,
  on_done VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
  done_run_id BIGINT NULL,
  created_at DATETIME(3) NOT NULL,
  finished_at DATETIME(3) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY batch_key (job_id, batch_key),
  KEY batch_state (state)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The runs of a batch by ranges of their ids, so that the runs themselves need no column and no index.
CREATE TABLE piko_batch_slice (
  first_id BIGINT NOT NULL,
  last_id BIGINT NOT NULL,
  id_step INT NOT NULL,
  batch_id BIGINT NOT NULL,
  from_item INT NOT NULL,
  size INT NOT NULL,
  is_open TINYINT NOT NULL DEFAULT 1,
  succeeded INT NULL,
  failed INT NULL,
  cancelled INT NULL,
  PRIMARY KEY (first_id),
  KEY slice_batch (batch_id, is_open, first_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
