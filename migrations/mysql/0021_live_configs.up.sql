-- The digest tells a config that Piko has checked from one that a person has written into the row. The digests of earlier rows are
-- unknown, so they count as checked.
ALTER TABLE piko_job_config ADD COLUMN digest CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL;

UPDATE piko_job_config SET digest = '';

CREATE TABLE piko_config_ack (
  job_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  node_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  version INT NULL,
  refused_version INT NULL,
  problem VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  is_registered TINYINT NOT NULL,
  acked_at DATETIME(3) NOT NULL,
  PRIMARY KEY (job_id, node_id),
  KEY ack_node (node_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The version of the config with which the last attempt ended.
ALTER TABLE piko_run ADD COLUMN config_version INT NULL;
