ALTER TABLE piko_node DROP COLUMN cancels, DROP COLUMN doorbell;
