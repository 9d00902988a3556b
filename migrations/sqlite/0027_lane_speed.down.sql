DROP INDEX lane_open;

ALTER TABLE piko_lane DROP COLUMN used_at;

DROP TABLE piko_lane_speed;
