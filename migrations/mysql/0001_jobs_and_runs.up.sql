CREATE TABLE piko_job (
  id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  description VARCHAR(500) NULL,
  schedule TEXT NULL,
  windows TEXT NULL,
  is_paused TINYINT NOT NULL DEFAULT 0,
  next_tick DATETIME(3) NULL,
  plan_at DATETIME(3) NULL,
  ledger_start DATETIME(3) NULL,
  window_cursor DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  PRIMARY KEY (id),
  KEY job_plan (plan_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_run (
  id BIGINT NOT NULL AUTO_INCREMENT,
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state ENUM('queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped') NOT NULL,
  kind ENUM('scheduled', 'manual', 'backfill', 'dependency') NOT NULL,
  priority SMALLINT NOT NULL DEFAULT 0,
  run_at DATETIME(3) NOT NULL,
  tick DATETIME(3) NULL,
  window_start DATETIME(3) NULL,
  window_end DATETIME(3) NULL,
  attempt INT NOT NULL DEFAULT 0,
  node_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  claims INT NOT NULL DEFAULT 0,
  config TEXT NULL,
  input MEDIUMTEXT NULL,
  output MEDIUMTEXT NULL,
  error TEXT NULL,
  reason VARCHAR(64) NULL,
  created_at DATETIME(3) NOT NULL,
  started_at DATETIME(3) NULL,
  finished_at DATETIME(3) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY run_tick (job_id, tick),
  KEY run_queue (state, priority, run_at, id),
  KEY run_job (job_id, state)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_window (
  id BIGINT NOT NULL AUTO_INCREMENT,
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  start_at DATETIME(3) NOT NULL,
  end_at DATETIME(3) NOT NULL,
  state ENUM('pending', 'succeeded', 'failed', 'cancelled', 'skipped') NOT NULL,
  run_id BIGINT NULL,
  fence BIGINT NULL,
  updated_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY window_start (job_id, start_at),
  KEY window_state (job_id, state, start_at),
  KEY window_run (run_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_node (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host VARCHAR(255) NOT NULL,
  pid INT NOT NULL,
  started_at DATETIME(3) NOT NULL,
  heartbeat_at DATETIME(3) NOT NULL,
  expires_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_lock (
  name VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  owner CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  fence BIGINT NOT NULL DEFAULT 0,
  expires_at DATETIME(3) NOT NULL,
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
