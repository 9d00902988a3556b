DROP TABLE piko_job_config;
