CREATE TABLE piko_lane_speed (
  lane_id INTEGER NOT NULL,
  node_id TEXT NOT NULL,
  measured_at TEXT NOT NULL,
  span_ms INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  p50_ms INTEGER,
  p95_ms INTEGER,
  PRIMARY KEY (lane_id, node_id)
);

CREATE INDEX lane_speed_time ON piko_lane_speed (measured_at);

ALTER TABLE piko_lane ADD COLUMN used_at TEXT;

CREATE INDEX lane_open ON piko_lane (open_until);
