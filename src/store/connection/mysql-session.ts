/**
 * What every connection of Piko sets before it is used, so that nothing depends on the server's defaults or its `init_connect`. A
 * module of the heartbeat's thread too.
 */
export const MYSQL_SESSION: readonly string[] = [
  // Every queue statement counts on it: under REPEATABLE READ a claim locks gaps and queues behind inserts.
  `SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE`,
  // MySQL 8's own default mode, also where the server was set to another. Without strictness a value too long is cut;
  // with NO_BACKSLASH_ESCAPES the driver's escaping of values would be wrong.
  `SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci, SESSION time_zone = '+00:00', sql_mode = 'ONLY_FULL_GROUP_BY,` +
    `STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'`,
  // Without autocommit a statement of its own never commits; completion_type may chain a transaction to a COMMIT or end the session;
  // sql_safe_updates refuses an UPDATE of a whole table; the others cut answers or statements short.
  `SET SESSION autocommit = 1, completion_type = 0, sql_safe_updates = 0, sql_auto_is_null = 0, sql_big_selects = 1,` +
    ` sql_select_limit = 18446744073709551615, lock_wait_timeout = 86400` +
    ` /*M! , max_statement_time = 0 */ /*!50708 , max_execution_time = 0 */`,
  // The server's 50 s would let a few locked rows hold up a node for minutes; who waits tries again.
  // MariaDB's default from 11.6.2 on would fail a claim whose runs another has changed since its look.
  `SET SESSION innodb_lock_wait_timeout = 5 /*M!110602 , innodb_snapshot_isolation = OFF */`,
]
