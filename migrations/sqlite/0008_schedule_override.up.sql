ALTER TABLE piko_job ADD COLUMN code_schedule TEXT;

ALTER TABLE piko_job ADD COLUMN planned_schedule TEXT;

UPDATE piko_job SET code_schedule = schedule, planned_schedule = schedule;
