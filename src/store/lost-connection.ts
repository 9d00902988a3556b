/** What the server answers to a statement when it ends the connection, or has no place for one more. */
const SERVERS_FAREWELLS = new Set([
  1040, // too many connections
  1053, // shutdown in progress
  1079, // shutdown
  1927, // connection was killed (MariaDB)
  4031, // idle for too long
])

/**
 * True when the connection to MySQL broke, or none could be made: whether the last statement was executed is not known then.
 * mysql2 calls such errors fatal; those that the server has thought about, as a wrong password, have an SQL state.
 */
export function isConnectionLost(error: unknown): boolean {
  let current = error
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    const { errno, fatal, sqlState } = current as { errno?: unknown; fatal?: unknown; sqlState?: unknown }
    if (typeof errno === 'number' && SERVERS_FAREWELLS.has(errno)) return true
    if (fatal === true && sqlState === undefined) return true
    current = current.cause
  }
  return false
}
