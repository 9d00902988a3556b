-- A key that ends with a blank is stored with a mark behind it: without one it would equal the key without the blank. Where both are
-- there already, the marked one is newer and stays.
UPDATE IGNORE piko_idempotency SET idempotency_key = CONCAT(idempotency_key, CHAR(1 USING utf8mb4)) WHERE idempotency_key LIKE '% ';
