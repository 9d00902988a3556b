ALTER TABLE piko_job DROP COLUMN code_schedule;

ALTER TABLE piko_job DROP COLUMN planned_schedule;
