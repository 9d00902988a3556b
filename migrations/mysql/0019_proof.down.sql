DROP TABLE piko_window_rows;
DROP TABLE piko_job_table;
