DROP TABLE piko_audit;

DROP TABLE piko_session;

DROP TABLE piko_token;
