ALTER TABLE piko_lane DROP KEY lane_open;

ALTER TABLE piko_lane DROP COLUMN used_at;

DROP TABLE IF EXISTS piko_lane_speed;
