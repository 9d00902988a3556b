DELETE FROM piko_window WHERE state = 'waiting';

UPDATE piko_window SET state = 'succeeded' WHERE state = 'stale';

ALTER TABLE piko_window
  MODIFY COLUMN state ENUM('pending', 'succeeded', 'failed', 'cancelled', 'skipped') NOT NULL,
  DROP COLUMN wait_job,
  DROP COLUMN wait_at,
  DROP COLUMN changed_to;

DROP TABLE piko_dependency;
