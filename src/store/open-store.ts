import { parseDsn } from '../settings/dsn.ts'
import type { Settings } from '../settings/settings.ts'
import { type Database, openDatabase, type OpenOptions } from './connection/database.ts'
import { uncheckedTls } from './connection/mysql/mysql-tls.ts'

/** Returns the options for the database of the settings: `[mysql] dsn` if it is set, otherwise the file `[sqlite] path`. */
export function databaseOptions({ mysql, sqlite, piko }: Settings): OpenOptions {
  const defaultMs = piko.transactionTimeoutMs
  // The heartbeat can't write to the file while a transaction is open. It renews the lease three times per lease, so at least a sixth of
  // the lease remains.
  if (mysql.dsn === '') return { sqlitePath: sqlite.path, transactions: { defaultMs, maxMs: piko.leaseMs / 2 } }
  const { dsn, ...options } = mysql
  return { mysql: { ...parseDsn(dsn), ...options }, transactions: { defaultMs, maxMs: Infinity } }
}

/** Returns the warning to log before the connection is used, or undefined if there is none. */
export function databaseWarning(settings: Settings): string | undefined {
  const { mysql } = databaseOptions(settings)
  return mysql && uncheckedTls(mysql.params ?? {}, mysql.sslVerifyHost)
}

/**
 * Opens the database that the settings name.
 *
 * @param clock replaces the database's clock in tests
 * @throws PikoError `DATABASE_UNREACHABLE`, `DATABASE_UNSUPPORTED`, `SETTINGS_INVALID`
 */
export function openSettingsDatabase(settings: Settings, clock?: OpenOptions['clock']): Promise<Database> {
  return openDatabase({ ...databaseOptions(settings), clock })
}
