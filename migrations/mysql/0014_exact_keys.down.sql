UPDATE IGNORE piko_idempotency SET idempotency_key = LEFT(idempotency_key, CHAR_LENGTH(idempotency_key) - 1)
WHERE HEX(RIGHT(idempotency_key, 2)) = '2001';
