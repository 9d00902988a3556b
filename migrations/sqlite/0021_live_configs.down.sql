ALTER TABLE piko_run DROP COLUMN config_version;

DROP TABLE piko_config_ack;

ALTER TABLE piko_job_config DROP COLUMN digest;
