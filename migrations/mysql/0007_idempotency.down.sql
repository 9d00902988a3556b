DROP TABLE piko_idempotency;
