DROP TABLE piko_shared;
