-- A key that ends with a blank is stored with a mark after it, because MySQL treats it as equal to the key without the blank.
-- If the marked key exists already, it is newer and stays.
UPDATE IGNORE piko_idempotency SET idempotency_key = CONCAT(idempotency_key, CHAR(1 USING utf8mb4)) WHERE idempotency_key LIKE '% ';
