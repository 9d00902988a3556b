CREATE TABLE piko_job_config (
  id BIGINT NOT NULL AUTO_INCREMENT,
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  version INT NOT NULL,
  config TEXT NOT NULL,
  effective_from DATETIME(3) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY config_version (job_id, version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
