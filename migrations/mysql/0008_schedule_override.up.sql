ALTER TABLE piko_job ADD COLUMN code_schedule TEXT NULL, ADD COLUMN planned_schedule TEXT NULL;

UPDATE piko_job SET code_schedule = schedule, planned_schedule = schedule;
