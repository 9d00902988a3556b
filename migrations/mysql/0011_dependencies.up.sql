CREATE TABLE piko_dependency (
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  upstream_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  on_change ENUM('ignore', 'stale', 'rerun') NOT NULL,
  PRIMARY KEY (job_id, upstream_id),
  KEY dependency_upstream (upstream_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

ALTER TABLE piko_window
  MODIFY COLUMN state ENUM('pending', 'succeeded', 'failed', 'cancelled', 'skipped', 'waiting', 'stale') NOT NULL,
  ADD COLUMN wait_job VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN wait_at DATETIME(3) NULL,
  ADD COLUMN changed_to ENUM('waiting', 'stale') NULL;
