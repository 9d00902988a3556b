-- In this format a null instant or node reserves its place in the row, so a claim and an end are written in place.
-- Inserts omit columns that have their default.
ALTER TABLE piko_run ROW_FORMAT=REDUNDANT, ALTER state SET DEFAULT 'queued', ALTER kind SET DEFAULT 'manual';

ALTER TABLE piko_window ROW_FORMAT=REDUNDANT;
