DROP TABLE piko_cache;
