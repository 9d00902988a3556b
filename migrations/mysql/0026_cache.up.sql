-- Entries of caches that all nodes share. A row without a value says that the key was deleted, or that a node is loading its value.
CREATE TABLE piko_cache (
  space VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  print BINARY(32) NOT NULL,
  cache_key VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  value MEDIUMBLOB NULL,
  version BIGINT NOT NULL,
  stale_at DATETIME(3) NOT NULL,
  expires_at DATETIME(3) NOT NULL,
  loader CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  loading_until DATETIME(3) NULL,
  PRIMARY KEY (space, print),
  KEY cache_expiry (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
