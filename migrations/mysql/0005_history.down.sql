DROP TABLE piko_run_log;
