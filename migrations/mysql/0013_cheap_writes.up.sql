-- In this format a null instant or node keeps its place in the row, so that a claim and an end are written in place. Columns with
-- their default are left out of inserts.
ALTER TABLE piko_run ROW_FORMAT=REDUNDANT, ALTER state SET DEFAULT 'queued', ALTER kind SET DEFAULT 'manual';

ALTER TABLE piko_window ROW_FORMAT=REDUNDANT;
