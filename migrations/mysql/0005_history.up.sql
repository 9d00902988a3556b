CREATE TABLE piko_run_log (
  id BIGINT NOT NULL AUTO_INCREMENT,
  run_id BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  attempt INT NOT NULL,
  logged_at DATETIME(3) NOT NULL,
  level ENUM('trace', 'debug', 'info', 'warn', 'error') NOT NULL,
  message TEXT NOT NULL,
  fields TEXT NULL,
  PRIMARY KEY (id),
  KEY run_log_run (run_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
