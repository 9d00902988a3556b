ALTER TABLE piko_node DROP COLUMN cancels;

ALTER TABLE piko_node DROP COLUMN doorbell;

DROP INDEX run_failed;

DROP INDEX run_running;

DROP INDEX run_queued;

DROP INDEX run_queue;

CREATE INDEX run_queue ON piko_run (state, priority, run_at, id);

CREATE INDEX run_job ON piko_run (job_id, state);
