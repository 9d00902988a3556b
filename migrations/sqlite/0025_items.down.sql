DROP TABLE piko_item_score;

DROP TABLE piko_item_state;

DROP TABLE piko_lane_note;

DROP TABLE piko_lane;

DROP TABLE piko_item_count;

DROP TABLE piko_item_body;

DROP TABLE piko_item;

DROP TABLE piko_item_run;
