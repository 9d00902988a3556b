-- The digest tells a config that Piko has checked from one that a person has written into the row. The digests of earlier rows are
-- unknown, so they count as checked.
ALTER TABLE piko_job_config ADD COLUMN digest TEXT;

UPDATE piko_job_config SET digest = '';

CREATE TABLE piko_config_ack (
  job_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  version INTEGER,
  refused_version INTEGER,
  problem TEXT,
  is_registered INTEGER NOT NULL,
  acked_at TEXT NOT NULL,
  PRIMARY KEY (job_id, node_id)
);

CREATE INDEX ack_node ON piko_config_ack (node_id);

-- The version of the config with which the last attempt ended.
ALTER TABLE piko_run ADD COLUMN config_version INTEGER;
