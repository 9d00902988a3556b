-- SQLite compares byte for byte and stores keys unchanged, so there is nothing to do.
UPDATE piko_idempotency SET idempotency_key = idempotency_key WHERE 1 = 0;
