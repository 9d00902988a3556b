-- The trace context of the caller that requested a run: a W3C traceparent, and after a space the tracestate.
ALTER TABLE piko_run ADD COLUMN trace TEXT;

-- A digest for each job of a node, by id, as JSON.
ALTER TABLE piko_node ADD COLUMN jobs TEXT;
