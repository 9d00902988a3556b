/**
 * Statements that every connection of Piko runs before it is used, so that the server's defaults and its `init_connect` have no effect. The
 * heartbeat's thread also loads this module.
 */
export const MYSQL_SESSION: readonly string[] = [
  // Every statement on the queue relies on this level. With REPEATABLE READ, a claim would lock gaps and wait for inserts.
  `SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE`,
  // The default mode of MySQL 8, even if the server has another one. Without the strict mode, a value that is too long would be truncated.
  // With NO_BACKSLASH_ESCAPES, the driver would escape values wrongly.
  `SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci, SESSION time_zone = '+00:00', sql_mode = 'ONLY_FULL_GROUP_BY,` +
    `STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'`,
  // Without autocommit, a single statement would never be committed. completion_type can start a transaction after a COMMIT, or end the
  // session. sql_safe_updates refuses an UPDATE of a whole table. sql_auto_is_null changes what IS NULL finds. The other variables limit
  // answers or statements.
  `SET SESSION autocommit = 1, completion_type = 0, sql_safe_updates = 0, sql_auto_is_null = 0, sql_big_selects = 1,` +
    ` sql_select_limit = 18446744073709551615, lock_wait_timeout = 86400` +
    ` /*M! , max_statement_time = 0 */ /*!50708 , max_execution_time = 0 */`,
  // With the server's default of 50 s, a few locked rows could block a node for minutes. Piko retries instead. innodb_snapshot_isolation is
  // on by default from MariaDB 11.6.2; with it, a claim would fail if another node has changed a run after the claim read it.
  `SET SESSION innodb_lock_wait_timeout = 5 /*M!110602 , innodb_snapshot_isolation = OFF */`,
]
