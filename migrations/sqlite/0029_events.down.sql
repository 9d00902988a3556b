DROP TABLE piko_event_head;

DROP TABLE piko_event;
