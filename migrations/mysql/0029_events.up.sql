-- Changes of the fleet's state, in the order in which readers see them. `seq` is the number of a row's first event. It is null until a reader
-- gives it one: ids become visible out of order, because transactions commit in a different order than they begin.
CREATE TABLE piko_event (
  id BIGINT NOT NULL AUTO_INCREMENT,
  seq BIGINT NULL,
  size INT NOT NULL,
  body MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY event_seq (seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- One row: the last number given, and until when somebody listens.
CREATE TABLE piko_event_head (
  id TINYINT NOT NULL,
  seq BIGINT NOT NULL DEFAULT 0,
  start_seq BIGINT NOT NULL DEFAULT 0,
  complete_at DATETIME(3) NULL,
  listened_until DATETIME(3) NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
