ALTER TABLE piko_node DROP COLUMN link_key;

ALTER TABLE piko_node DROP COLUMN link;
