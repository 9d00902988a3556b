ALTER TABLE piko_window_rows ADD COLUMN checksum INTEGER;
