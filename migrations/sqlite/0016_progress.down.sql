DROP TABLE piko_run_progress;
