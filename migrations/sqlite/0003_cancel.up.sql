ALTER TABLE piko_run ADD COLUMN cancel_requested_at TEXT;
