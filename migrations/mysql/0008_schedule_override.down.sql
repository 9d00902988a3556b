ALTER TABLE piko_job DROP COLUMN code_schedule, DROP COLUMN planned_schedule;
