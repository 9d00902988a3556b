ALTER TABLE piko_window_rows DROP COLUMN checksum;
