ALTER TABLE piko_node ADD COLUMN connections TEXT CHARACTER SET ascii NULL;

ALTER TABLE piko_node ADD COLUMN connections_of VARCHAR(300) NULL;

ALTER TABLE piko_node ADD COLUMN connections_at DATETIME(3) NULL;
