DROP TABLE IF EXISTS piko_audit;

DROP TABLE IF EXISTS piko_session;

DROP TABLE IF EXISTS piko_token;
