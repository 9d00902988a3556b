ALTER TABLE piko_run DROP COLUMN cancel_requested_at;
