import { sql } from 'kysely'
import type { Database } from '../connection/database.ts'

export interface ServerFacts {
  readonly store: 'mysql' | 'sqlite'
  readonly version: string
  readonly isMariadb: boolean
  readonly location: string
  /** The server's variables that are important for Piko, by name. On SQLite, only the file's `journal_mode`. */
  readonly global: Readonly<Record<string, string>>
  /** The values of the same variables in a session of Piko; empty on SQLite. */
  readonly session: Readonly<Record<string, string>>
  /** Counters of the server; empty on SQLite. */
  readonly status: Readonly<Record<string, string>>
  /** How far the session's local time is ahead of UTC, in seconds. */
  readonly zoneOffsetS: number
}

const VARIABLES = [
  ...['tx_isolation', 'transaction_isolation', 'time_zone', 'system_time_zone', 'max_allowed_packet'],
  ...['innodb_redo_log_capacity', 'innodb_log_file_size', 'innodb_log_files_in_group'],
  ...['innodb_flush_log_at_trx_commit', 'sync_binlog', 'log_bin', 'binlog_format', 'innodb_buffer_pool_size'],
  ...['max_connections', 'read_only', 'super_read_only', 'innodb_read_only', 'autocommit', 'wait_timeout'],
]
const COUNTERS = ['Threads_connected', 'Max_used_connections', 'Uptime']

interface Variable {
  readonly Variable_name: string
  readonly Value: string
}

export function serverFacts(database: Database): Promise<ServerFacts> {
  return database.dialect.name === 'mysql' ? mysqlServer(database) : sqliteFile(database)
}

async function mysqlServer({ db, location }: Database): Promise<ServerFacts> {
  const names = sql.join(VARIABLES.map((name) => sql.lit(name)))
  const counters = sql.join(COUNTERS.map((name) => sql.lit(name)))
  // All queries use the same connection, because session values can differ between connections.
  return db.connection().execute(async (connection) => {
    const about = await sql<{ version: string; zone_offset: number }>`
      SELECT VERSION() AS version, TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW()) AS zone_offset`.execute(connection)
    const global = await sql<Variable>`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${names})`.execute(connection)
    const session = await sql<Variable>`SHOW SESSION VARIABLES WHERE Variable_name IN (${names})`.execute(connection)
    const status = await sql<Variable>`SHOW GLOBAL STATUS WHERE Variable_name IN (${counters})`.execute(connection)
    const version = about.rows[0]?.version ?? ''
    return {
      ...{ store: 'mysql', version, isMariadb: /mariadb/i.test(version), location },
      global: byName(global.rows),
      session: byName(session.rows),
      status: byName(status.rows),
      zoneOffsetS: Number(about.rows[0]?.zone_offset ?? 0),
    }
  })
}

function byName(rows: readonly Variable[]): Record<string, string> {
  return Object.fromEntries(rows.map(({ Variable_name: name, Value: value }) => [name, value]))
}

async function sqliteFile({ db, location }: Database): Promise<ServerFacts> {
  const { rows } = await sql<{ version: string; journal: string }>`
    SELECT sqlite_version() AS version, (SELECT journal_mode FROM pragma_journal_mode) AS journal`.execute(db)
  return {
    ...{ store: 'sqlite', version: rows[0]?.version ?? '', isMariadb: false, location },
    global: { journal_mode: rows[0]?.journal ?? '' },
    session: {},
    status: {},
    zoneOffsetS: 0,
  }
}
