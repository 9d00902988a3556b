import type { Kysely } from 'kysely'
import { PikoError } from '../../errors.ts'
import type { Database } from '../connection/database.ts'
import { migrationFolder, readMigrations } from './migration-files.ts'
import { type Direction, MigrationLog } from './migration-log.ts'
import { latestOf, type Move, nextMove, refuseUnknown, schemaNewer, targetVersion } from './migration-plan.ts'
import { asMigrationFailure } from '../connection/mysql/missing-rights.ts'
import { migrateMysql } from './mysql-migrator.ts'
import { migrateSqlite } from './sqlite-migrator.ts'
import type { Tables } from '../tables.ts'

export interface MigrateOptions {
  readonly direction: Direction
  /** The target version. Default: the latest for `up`, the version below the current one for `down`. 0 undoes all migrations. */
  readonly to?: number | undefined
  /** @internal A folder with other migrations, which tests use. */
  readonly folder?: string
}

export interface MigrationStatus {
  /** The highest applied version, or 0 for an empty database. */
  readonly current: number
  /** The highest version that this program knows. */
  readonly latest: number
  readonly migrations: readonly {
    readonly version: number
    readonly name: string
    readonly appliedAt?: Date
    /** `interrupted`: it stopped, up or down, before all its statements had run. `unknown`: a newer version of Piko applied it. */
    readonly state: 'applied' | 'pending' | 'interrupted' | 'unknown'
  }[]
}

/**
 * Moves the schema up or down. If several processes call this at the same time, one of them migrates and the others wait. An interrupted
 * migration is finished first, in the direction in which it began.
 *
 * @returns the names of the migrations that this call applied or removed
 * @throws PikoError `SCHEMA_NEWER`, `MIGRATION_FAILED`, `USAGE` for a version `to` that does not exist
 */
export async function migrate(database: Database, options: MigrateOptions): Promise<{ applied: string[] }> {
  try {
    return await migrateTo(database, options)
  } catch (error) {
    throw asMigrationFailure(error, database)
  }
}

async function migrateTo(database: Database, options: MigrateOptions): Promise<{ applied: string[] }> {
  const files = readMigrations(options.folder ?? migrationFolder(database.dialect.name))
  const log = new MigrationLog(database.dialect)
  const records = await log.read(database.db)
  refuseUnknown(database.location, files, records)
  const target = targetVersion(files, records, options.direction, options.to)
  const next = async (db: Kysely<Tables> = database.db): Promise<Move | undefined> => {
    const current = await log.read(db)
    refuseUnknown(database.location, files, current)
    return nextMove(files, current, options.direction, target)
  }
  if (!nextMove(files, records, options.direction, target)) return { applied: [] }
  const run = database.dialect.name === 'mysql' ? migrateMysql : migrateSqlite
  return { applied: await run(database, log, next) }
}

/** Lists the migrations and which of them are applied. Changes nothing. */
export async function migrationStatus(
  database: Database,
  folder = migrationFolder(database.dialect.name),
): Promise<MigrationStatus> {
  const files = readMigrations(folder)
  const records = await new MigrationLog(database.dialect).read(database.db)
  const known = new Map(files.map((file) => [file.version, file]))
  const recorded = new Map(records.map((record) => [record.version, record]))
  const versions = [...new Set([...known.keys(), ...recorded.keys()])].sort((a, b) => a - b)
  return {
    current: Math.max(0, ...records.filter((record) => record.appliedAt).map((record) => record.version)),
    latest: latestOf(files),
    migrations: versions.map((version) => {
      const record = recorded.get(version)
      const name = known.get(version)?.name ?? record?.name ?? ''
      if (!record) return { version, name, state: 'pending' }
      const state = !known.has(version) ? 'unknown' : record.appliedAt ? 'applied' : 'interrupted'
      return { version, name, state, ...(record.appliedAt && { appliedAt: record.appliedAt }) }
    }),
  }
}

/**
 * Checks that the schema has exactly the version that this program needs.
 *
 * @throws PikoError `SCHEMA_NEWER`, or `SCHEMA_OLDER` if a migration is pending or was interrupted
 */
export async function assertSchema(database: Database, folder = migrationFolder(database.dialect.name)): Promise<void> {
  const { current, latest, migrations } = await migrationStatus(database, folder)
  const unknown = migrations.filter(({ state }) => state === 'unknown').at(-1)
  if (unknown) throw schemaNewer(database.location, unknown, latest)
  const missing = migrations.find(({ state }) => state !== 'applied')
  if (!missing) return
  const why = missing.state === 'interrupted' ? `, migration ${missing.name} was interrupted` : ''
  throw new PikoError(
    'SCHEMA_OLDER',
    `the schema of ${database.location} is at version ${current}${why}; this program needs version ${latest}; run: piko migrate up`,
    { details: { location: database.location, current, latest } },
  )
}
