DROP INDEX window_backfill;

ALTER TABLE piko_window DROP COLUMN backfill_id;

ALTER TABLE piko_run DROP COLUMN backfill_id;

DROP TABLE piko_backfill;
