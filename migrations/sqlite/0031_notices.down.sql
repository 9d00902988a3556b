ALTER TABLE piko_job DROP COLUMN hooks;

ALTER TABLE piko_job DROP COLUMN deadline_ms;

DROP TABLE piko_message;

DROP TABLE piko_alert;

DROP TABLE piko_notice;
