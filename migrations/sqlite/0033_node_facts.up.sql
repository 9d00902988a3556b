-- What a node says about itself: version, slots, jobs and load, as JSON.
ALTER TABLE piko_node ADD COLUMN facts TEXT NULL;
