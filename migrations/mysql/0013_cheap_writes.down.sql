ALTER TABLE piko_window ROW_FORMAT=DEFAULT;

-- The defaults stay: a newer program that still runs leaves these columns out.
ALTER TABLE piko_run ROW_FORMAT=DEFAULT;
