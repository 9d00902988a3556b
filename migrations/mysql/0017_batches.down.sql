DROP TABLE piko_batch_slice;

DROP TABLE piko_batch;
