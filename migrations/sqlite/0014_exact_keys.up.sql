-- SQLite compares byte for byte, and stores keys as they are: there is nothing to change.
UPDATE piko_idempotency SET idempotency_key = idempotency_key WHERE 1 = 0;
