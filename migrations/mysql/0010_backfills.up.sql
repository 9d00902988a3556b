CREATE TABLE piko_backfill (
  id BIGINT NOT NULL AUTO_INCREMENT,
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state ENUM('running', 'paused', 'cancelling', 'cancelled', 'succeeded', 'failed') NOT NULL,
  from_at DATETIME(3) NOT NULL,
  to_at DATETIME(3) NOT NULL,
  cursor_at DATETIME(3) NULL,
  window_order ENUM('oldest', 'newest') NOT NULL,
  only_windows ENUM('missing', 'failed', 'all') NOT NULL,
  `parallel` INT NOT NULL,
  priority SMALLINT NOT NULL,
  config TEXT NULL,
  total INT NOT NULL,
  planned INT NOT NULL DEFAULT 0,
  passed INT NOT NULL DEFAULT 0,
  active_ms BIGINT NOT NULL DEFAULT 0,
  active_since DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL,
  finished_at DATETIME(3) NULL,
  PRIMARY KEY (id),
  KEY backfill_state (state),
  KEY backfill_job (job_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

ALTER TABLE piko_run ADD COLUMN backfill_id BIGINT NULL;

ALTER TABLE piko_window ADD COLUMN backfill_id BIGINT NULL, ADD KEY window_backfill (backfill_id, state);
