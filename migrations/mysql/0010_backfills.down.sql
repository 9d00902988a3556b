ALTER TABLE piko_window DROP KEY window_backfill, DROP COLUMN backfill_id;

ALTER TABLE piko_run DROP COLUMN backfill_id;

DROP TABLE piko_backfill;
