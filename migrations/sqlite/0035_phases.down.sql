ALTER TABLE piko_attempt DROP COLUMN phases;
ALTER TABLE piko_run DROP COLUMN phases;
