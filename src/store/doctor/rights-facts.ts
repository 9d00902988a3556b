import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { sql } from 'kysely'
import type { Database } from '../connection/database.ts'

export interface RightsFacts {
  /** The user of the connection as `'user'@'host'`; empty on SQLite. */
  readonly user: string
  readonly database: string
  /** The lines of `SHOW GRANTS`, including those of the user's roles. */
  readonly grants: readonly string[]
  /** Roles whose privileges could not be read. */
  readonly unknownRoles: readonly string[]
  /** The names of Piko's tables; empty on SQLite. */
  readonly tables: readonly string[]
  /** Files and folders of an SQLite database that this process is not allowed to write to. */
  readonly unwritable: readonly string[]
}

export function rightsFacts(database: Database): Promise<RightsFacts> {
  return database.dialect.name === 'mysql' ? mysqlRights(database) : Promise.resolve(fileRights(database))
}

async function mysqlRights({ db }: Database): Promise<RightsFacts> {
  const { rows: about } = await sql<{ user: string; database: string }>`
    SELECT CURRENT_USER() AS user, DATABASE() AS 'database'`.execute(db)
  const { rows: tables } = await sql<{ name: string }>`
    SELECT TABLE_NAME AS name FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'piko\\_%'`.execute(db)
  const { user = '', database = '' } = about[0] ?? {}
  const at = user.lastIndexOf('@')
  const grants = await grantLines(db, sql`SHOW GRANTS`)
  const roles = [...new Set(grants.flatMap(rolesOf))]
  const unknownRoles: string[] = []
  for (const role of roles) {
    const its = await grantLines(db, sql`SHOW GRANTS FOR ${sql.raw(role)}`).catch(() => undefined)
    if (its) grants.push(...its)
    else unknownRoles.push(role)
  }
  return {
    user: `'${user.slice(0, at)}'@'${user.slice(at + 1)}'`,
    ...{ database, grants, unknownRoles, tables: tables.map(({ name }) => name), unwritable: [] },
  }
}

async function grantLines(db: Database['db'], statement: ReturnType<typeof sql>): Promise<string[]> {
  const { rows } = await statement.execute(db)
  return rows.flatMap((row) => Object.values(row as Record<string, unknown>).map(String))
}

/** Returns the quoted roles in a line such as GRANT `app`@`%` TO `piko`@`%`. */
function rolesOf(line: string): string[] {
  const given = /^GRANT ((?:[`'][^`']+[`'](?:@[`'][^`']*[`'])?(?:, ?)?)+) TO /i.exec(line)?.[1]
  return given === undefined ? [] : given.split(/,\s*(?=[`'])/)
}

function fileRights({ location }: Database): RightsFacts {
  const isFile = location !== ':memory:'
  const paths = isFile ? [location, `${location}-wal`, `${location}-shm`, dirname(location)].filter(existsSync) : []
  return {
    ...{ user: '', database: location, grants: [], unknownRoles: [], tables: [] },
    unwritable: paths.filter((path) => !mayWrite(path)),
  }
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}
