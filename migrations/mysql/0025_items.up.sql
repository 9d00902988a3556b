CREATE TABLE piko_item_run (
  fence BIGINT NOT NULL,
  run_id BIGINT NOT NULL,
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `stored` BIGINT NOT NULL DEFAULT 0,
  output MEDIUMTEXT NULL,
  seeded_at DATETIME(3) NULL,
  ended_at DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (fence),
  KEY item_run_run (run_id, fence),
  KEY item_run_open (ended_at, fence)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_item (
  id BIGINT NOT NULL AUTO_INCREMENT,
  fence BIGINT NOT NULL,
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  lane_id BIGINT NOT NULL,
  state ENUM('queued', 'running', 'done', 'dead', 'skipped', 'cancelled') NOT NULL,
  priority SMALLINT NOT NULL,
  due_at DATETIME(3) NOT NULL,
  depth SMALLINT NOT NULL,
  scope BIGINT NOT NULL,
  print CHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  item_key TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  data MEDIUMTEXT NULL,
  parent_id BIGINT NULL,
  node_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  claims INT NOT NULL DEFAULT 0,
  tries TEXT NULL,
  reason VARCHAR(255) NULL,
  error TEXT NULL,
  kept VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NULL,
  position TEXT NULL,
  created_at DATETIME(3) NOT NULL,
  started_at DATETIME(3) NULL,
  finished_at DATETIME(3) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY item_print (job_id, scope, print),
  KEY item_lane (lane_id, state, priority, due_at, id),
  KEY item_run (fence, state, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_item_body (
  item_id BIGINT NOT NULL,
  body MEDIUMBLOB NOT NULL,
  PRIMARY KEY (item_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_item_count (
  fence BIGINT NOT NULL,
  kind VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  what VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  node_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount BIGINT NOT NULL,
  PRIMARY KEY (fence, kind, what, node_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_lane (
  id BIGINT NOT NULL AUTO_INCREMENT,
  scope VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  next_at DATETIME(3) NULL,
  free_at DATETIME(3) NULL,
  rate_limit INT NULL,
  rate_ms BIGINT NULL,
  `parallel` INT NULL,
  delay_ms BIGINT NULL,
  factor DOUBLE NOT NULL DEFAULT 1,
  successes INT NOT NULL DEFAULT 0,
  failures INT NOT NULL DEFAULT 0,
  recent INT NOT NULL DEFAULT 1,
  opens INT NOT NULL DEFAULT 0,
  open_until DATETIME(3) NULL,
  paused_at DATETIME(3) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY lane_name (scope, name),
  KEY lane_next (next_at, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_lane_note (
  lane_id BIGINT NOT NULL,
  name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  note MEDIUMTEXT NOT NULL,
  expires_at DATETIME(3) NOT NULL,
  PRIMARY KEY (lane_id, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_item_state (
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  pool VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  state MEDIUMTEXT NULL,
  uses BIGINT NOT NULL DEFAULT 0,
  errors BIGINT NOT NULL DEFAULT 0,
  item_id BIGINT NULL,
  claims INT NULL,
  used_at DATETIME(3) NOT NULL,
  retired_at DATETIME(3) NULL,
  PRIMARY KEY (job_id, pool, name),
  KEY item_state_item (item_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE piko_item_score (
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  score_group VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  ok BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  failures INT NOT NULL,
  success_share DOUBLE NOT NULL,
  ms DOUBLE NULL,
  updated_at DATETIME(3) NOT NULL,
  PRIMARY KEY (job_id, score_group, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
