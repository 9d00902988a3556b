ALTER TABLE piko_node DROP COLUMN connections_at;

ALTER TABLE piko_node DROP COLUMN connections_of;

ALTER TABLE piko_node DROP COLUMN connections;
