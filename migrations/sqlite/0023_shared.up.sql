-- Versions of values that all nodes share. The primary key decides which of two writers of one version was first.
CREATE TABLE piko_shared (
  topic TEXT NOT NULL,
  version INTEGER NOT NULL,
  value TEXT NOT NULL,
  reason TEXT,
  node_id TEXT,
  created_at TEXT NOT NULL,
  PRIMARY KEY (topic, version)
);
