DROP TABLE piko_generation;
