import { parseDsn } from '../settings/dsn.ts'
import { type Settings } from '../settings/settings.ts'
import { type Database, openDatabase } from '../store/database.ts'

/**
 * Opens the database that the settings name: `[mysql] dsn`, else the file `[sqlite] path`.
 *
 * @throws PikoError `DATABASE_UNREACHABLE`, `DATABASE_UNSUPPORTED`
 */
export function openSettingsDatabase({ mysql, sqlite }: Settings): Promise<Database> {
  if (mysql.dsn === '') return openDatabase({ sqlitePath: sqlite.path })
  const { dsn, ...options } = mysql
  return openDatabase({ mysql: { ...parseDsn(dsn), ...options } })
}
