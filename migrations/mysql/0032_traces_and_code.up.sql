-- The trace context of the caller that requested a run: a W3C traceparent, and after a space the tracestate.
ALTER TABLE piko_run ADD COLUMN trace VARCHAR(600) CHARACTER SET ascii NULL;

-- A digest for each job of a node, by id, as JSON.
ALTER TABLE piko_node ADD COLUMN jobs MEDIUMTEXT NULL;
