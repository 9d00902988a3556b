-- What people are told. A notice is written by the transaction that stores the failure, the leader merges notices into one alert per job,
-- and a message is kept until its channel has taken it.
CREATE TABLE IF NOT EXISTS piko_notice (
  id BIGINT NOT NULL AUTO_INCREMENT,
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  failures INT NOT NULL,
  run_id BIGINT NULL,
  window_start DATETIME(3) NULL,
  window_end DATETIME(3) NULL,
  error TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS piko_alert (
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind ENUM('failure', 'late') NOT NULL,
  occurrences BIGINT NOT NULL,
  run_id BIGINT NULL,
  window_start DATETIME(3) NULL,
  window_end DATETIME(3) NULL,
  error TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  opened_at DATETIME(3) NOT NULL,
  last_at DATETIME(3) NOT NULL,
  told_at DATETIME(3) NULL,
  recovered_at DATETIME(3) NULL,
  PRIMARY KEY (job_id, kind)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS piko_message (
  id BIGINT NOT NULL AUTO_INCREMENT,
  channel VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  body MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  state ENUM('due', 'sent', 'dead') NOT NULL,
  due_at DATETIME(3) NOT NULL,
  tries INT NOT NULL DEFAULT 0,
  error TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  sent_at DATETIME(3) NULL,
  PRIMARY KEY (id),
  KEY message_due (state, due_at, id),
  KEY message_created (created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

ALTER TABLE piko_job ADD COLUMN deadline_ms BIGINT NULL, ADD COLUMN hooks VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL;
