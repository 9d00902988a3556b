DROP TABLE piko_spill;
DROP TABLE piko_dead_row;
