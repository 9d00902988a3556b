ALTER TABLE piko_node DROP COLUMN resources;
