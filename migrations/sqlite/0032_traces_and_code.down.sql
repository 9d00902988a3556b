ALTER TABLE piko_node DROP COLUMN jobs;

ALTER TABLE piko_run DROP COLUMN trace;
