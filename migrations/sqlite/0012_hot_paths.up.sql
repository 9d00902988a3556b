DROP INDEX run_queue;

DROP INDEX run_job;

CREATE INDEX run_queue ON piko_run (priority, run_at, id) WHERE state = 'queued';

CREATE INDEX run_queued ON piko_run (job_id) WHERE state = 'queued';

CREATE INDEX run_running ON piko_run (job_id) WHERE state = 'running';

CREATE INDEX run_failed ON piko_run (job_id) WHERE state = 'failed';

ALTER TABLE piko_node ADD COLUMN doorbell TEXT;

ALTER TABLE piko_node ADD COLUMN cancels INTEGER NOT NULL DEFAULT 0;
