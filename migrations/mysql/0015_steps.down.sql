DROP TABLE piko_step;
