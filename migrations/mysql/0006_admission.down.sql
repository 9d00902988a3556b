DROP TABLE piko_rate;

ALTER TABLE piko_run DROP COLUMN concurrency_key, DROP COLUMN rate_key;
