DROP TABLE IF EXISTS piko_attempt;
