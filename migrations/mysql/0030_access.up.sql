-- Who may ask, and who changed what. A token is stored as its SHA-256. A name belongs to one token at a time: name_key is null once it is revoked.
CREATE TABLE IF NOT EXISTS piko_token (
  id BIGINT NOT NULL AUTO_INCREMENT,
  digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  name_key VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  role ENUM('viewer', 'operator', 'admin') NOT NULL,
  jobs TEXT NULL,
  created_at DATETIME(3) NOT NULL,
  expires_at DATETIME(3) NULL,
  revoked_at DATETIME(3) NULL,
  used_at DATETIME(3) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY token_digest (digest),
  UNIQUE KEY token_name (name_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS piko_session (
  digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  token_digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(3) NOT NULL,
  expires_at DATETIME(3) NOT NULL,
  PRIMARY KEY (digest),
  KEY session_expiry (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS piko_audit (
  id BIGINT NOT NULL AUTO_INCREMENT,
  began_at DATETIME(3) NOT NULL,
  ended_at DATETIME(3) NULL,
  outcome ENUM('started', 'done', 'unknown') NOT NULL,
  verb VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  actor_kind ENUM('token', 'session', 'local', 'cli', 'code') NOT NULL,
  actor VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
  target VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  reason VARCHAR(500) NULL,
  request TEXT NULL,
  before_change TEXT NULL,
  after_change TEXT NULL,
  error_code VARCHAR(64) NULL,
  PRIMARY KEY (id),
  KEY audit_began (began_at, id),
  KEY audit_ended (ended_at, id),
  KEY audit_job (job_id, id),
  KEY audit_verb (verb, id),
  KEY audit_actor (actor, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
