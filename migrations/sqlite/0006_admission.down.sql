DROP TABLE piko_rate;

ALTER TABLE piko_run DROP COLUMN rate_key;

ALTER TABLE piko_run DROP COLUMN concurrency_key;
