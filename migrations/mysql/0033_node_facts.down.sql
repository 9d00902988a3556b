ALTER TABLE piko_node DROP COLUMN facts;
