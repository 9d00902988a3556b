ALTER TABLE piko_node ADD COLUMN resources TEXT NULL;
