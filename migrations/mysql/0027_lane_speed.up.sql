CREATE TABLE IF NOT EXISTS piko_lane_speed (
  lane_id BIGINT NOT NULL,
  node_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  measured_at DATETIME(3) NOT NULL,
  span_ms INT NOT NULL,
  ended INT NOT NULL,
  p50_ms INT NULL,
  p95_ms INT NULL,
  PRIMARY KEY (lane_id, node_id),
  KEY lane_speed_time (measured_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

ALTER TABLE piko_lane ADD COLUMN used_at DATETIME(3) NULL;

ALTER TABLE piko_lane ADD KEY lane_open (open_until);
