ALTER TABLE piko_window ROW_FORMAT=DEFAULT;

-- The defaults stay, because a newer program that is still running omits these columns.
ALTER TABLE piko_run ROW_FORMAT=DEFAULT;
