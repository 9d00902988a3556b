ALTER TABLE piko_job DROP COLUMN deadline_ms, DROP COLUMN hooks;

DROP TABLE IF EXISTS piko_message;

DROP TABLE IF EXISTS piko_alert;

DROP TABLE IF EXISTS piko_notice;
