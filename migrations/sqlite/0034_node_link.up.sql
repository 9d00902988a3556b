ALTER TABLE piko_node ADD COLUMN link TEXT;

ALTER TABLE piko_node ADD COLUMN link_key TEXT;
