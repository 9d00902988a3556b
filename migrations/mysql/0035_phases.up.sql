-- When the parts of an attempt ended, in milliseconds after its claim: c (the claims of the run), b (begun), r (resources and sinks ready),
-- h (handler ended), f (sinks flushed). NULL: the attempt had only a handler, which began within a second.
ALTER TABLE piko_run ADD COLUMN phases VARCHAR(100) CHARACTER SET ascii NULL;
ALTER TABLE piko_attempt ADD COLUMN phases VARCHAR(100) CHARACTER SET ascii NULL;
