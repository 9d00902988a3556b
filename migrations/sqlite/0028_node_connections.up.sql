ALTER TABLE piko_node ADD COLUMN connections TEXT;

ALTER TABLE piko_node ADD COLUMN connections_of TEXT;

ALTER TABLE piko_node ADD COLUMN connections_at TEXT;
