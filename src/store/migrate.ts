import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, type Kysely } from 'kysely'
import { PikoError, toError } from '../errors.ts'
import { type Database } from './database.ts'
import { migrationFolder, type MigrationFile, readMigrations } from './migration-files.ts'
import { LockLost, MigrationLock } from './migration-lock.ts'
import { type Direction, MigrationLog, type MigrationRecord } from './migration-log.ts'
import { type Tables } from './tables.ts'

export interface MigrateOptions {
  readonly direction: Direction
  /** The version to end at. Default: the latest for `up`, one below the current for `down`. 0 removes everything. */
  readonly to?: number | undefined
  /** @internal Other migrations than the package's, in tests. */
  readonly folder?: string
}

export interface MigrationStatus {
  /** The highest version that is applied; 0 for an empty database. */
  readonly current: number
  /** The highest version that this program knows. */
  readonly latest: number
  readonly migrations: readonly {
    readonly version: number
    readonly name: string
    readonly appliedAt?: Date
    /** `interrupted`: on its way up or down when it was stopped; `unknown`: of a newer program. */
    readonly state: 'applied' | 'pending' | 'interrupted' | 'unknown'
  }[]
}

/** What to do next: the statements of one migration from `fromStep` on. */
interface Move {
  readonly file: MigrationFile
  readonly direction: Direction
  /** Undefined for a migration not yet begun. */
  readonly interrupted: MigrationRecord | undefined
}

/**
 * Brings the schema up or down. Any number of processes may do so at once: one works, the others wait for it. A
 * migration that was interrupted, whichever its direction, is finished first.
 *
 * @returns the names of the migrations that this call applied or took down
 * @throws PikoError `SCHEMA_NEWER`, `MIGRATION_FAILED`, `USAGE` for a version `to` that does not exist
 */
export async function migrate(database: Database, options: MigrateOptions): Promise<{ applied: string[] }> {
  const files = readMigrations(options.folder ?? migrationFolder(database.dialect.name))
  const log = new MigrationLog(database.dialect)
  const records = await log.read(database.db)
  refuseUnknown(database, files, records)
  const target = targetVersion(files, records, options)
  const next = async (db: Kysely<Tables> = database.db): Promise<Move | undefined> => {
    const current = await log.read(db)
    refuseUnknown(database, files, current)
    return nextMove(files, current, options.direction, target)
  }
  if (!nextMove(files, records, options.direction, target)) return { applied: [] }
  const applied = database.dialect.name === 'mysql' ? migrateMysql : migrateSqlite
  return { applied: await applied(database, log, next) }
}

/** What is applied and what is not. Changes nothing. */
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
 * Passes when the schema is exactly the one that this program works with.
 *
 * @throws PikoError `SCHEMA_NEWER`, or `SCHEMA_OLDER` when there are migrations to run
 */
export async function assertSchema(database: Database, folder = migrationFolder(database.dialect.name)): Promise<void> {
  const { current, latest, migrations } = await migrationStatus(database, folder)
  const unknown = migrations.filter(({ state }) => state === 'unknown').at(-1)
  if (unknown) throw newer(database, unknown, latest)
  const missing = migrations.find(({ state }) => state !== 'applied')
  if (!missing) return
  const why = missing.state === 'interrupted' ? `, migration ${missing.name} was interrupted` : ''
  throw new PikoError(
    'SCHEMA_OLDER',
    `the schema of ${database.location} is at version ${current}${why}; this program needs version ${latest}; run: piko migrate up`,
    { details: { location: database.location, current, latest } },
  )
}

function refuseUnknown(database: Database, files: readonly MigrationFile[], records: readonly MigrationRecord[]): void {
  const known = new Set(files.map((file) => file.version))
  const unknown = records.filter((record) => !known.has(record.version)).at(-1)
  if (unknown) throw newer(database, unknown, latestOf(files))
}

function newer(database: Database, { version, name }: { version: number; name: string }, latest: number): PikoError {
  return new PikoError(
    'SCHEMA_NEWER',
    `the schema of ${database.location} is at version ${version} (${name}); this program knows versions up to ${latest}; ` +
      'upgrade the program, or take the schema down with the newer one',
    { details: { location: database.location, current: version, latest } },
  )
}

function targetVersion(
  files: readonly MigrationFile[],
  records: readonly MigrationRecord[],
  { direction, to }: MigrateOptions,
): number {
  if (to === undefined) {
    if (direction === 'up') return latestOf(files)
    const current = records.at(-1)?.version ?? 0
    return files.findLast((file) => file.version < current)?.version ?? 0
  }
  if (to === 0 || files.some((file) => file.version === to)) return to
  throw new PikoError(
    'USAGE',
    `there is no migration ${to}; expected 0 (nothing) or one of ${files.map((file) => file.version).join(', ')}`,
    { details: { to } },
  )
}

const latestOf = (files: readonly MigrationFile[]): number => files.at(-1)?.version ?? 0

/** Pure. What was interrupted goes first, in its own direction: no other step may rely on a half-made schema. */
export function nextMove(
  files: readonly MigrationFile[],
  records: readonly MigrationRecord[],
  direction: Direction,
  target: number,
): Move | undefined {
  const recordOf = (file: MigrationFile): MigrationRecord | undefined =>
    records.find((record) => record.version === file.version)
  for (const file of files) {
    const record = recordOf(file)
    if (record && !record.appliedAt) return { file, direction: record.direction, interrupted: record }
  }
  const file =
    direction === 'up'
      ? files.find((candidate) => candidate.version <= target && !recordOf(candidate))
      : files.findLast((candidate) => candidate.version > target && recordOf(candidate))
  return file && { file, direction, interrupted: undefined }
}

/** For how long other processes' writes and migrations of a SQLite file are waited for. */
const SQLITE_PATIENCE_MS = 60_000

/** SQLite: a migration is one write transaction, so it happens wholly or not at all, and one process at a time. */
async function migrateSqlite(
  database: Database,
  log: MigrationLog,
  next: (db: Kysely<Tables>) => Promise<Move | undefined>,
): Promise<string[]> {
  const applied: string[] = []
  const deadline = performance.now() + SQLITE_PATIENCE_MS
  for (;;) {
    try {
      const name = await database.transaction(async (trx) => {
        await log.create(trx)
        const move = await next(trx)
        if (!move) return undefined
        const { file, direction } = move
        await log.begin(trx, file.version, file.name, direction)
        for (const [index, statement] of file[direction].entries()) {
          await trx.executeQuery(CompiledQuery.raw(statement)).catch((error: unknown) => {
            throw database.dialect.isRetryable(error) ? error : failed(move, index, error, 'nothing was changed')
          })
        }
        await log.finish(trx, file.version, direction)
        return file.name
      })
      if (name === undefined) return applied
      applied.push(name)
    } catch (error) {
      if (!database.dialect.isRetryable(error) || performance.now() > deadline) throw error
    }
  }
}

/**
 * MySQL commits DDL by itself, so a migration proceeds by single statements and notes each one, under the lock. A
 * process that finds the lock held looks again every 100 to 300 ms until there is nothing left to do.
 */
async function migrateMysql(
  database: Database,
  log: MigrationLog,
  next: () => Promise<Move | undefined>,
): Promise<string[]> {
  const applied: string[] = []
  await MigrationLock.create(database)
  await database.retry(() => log.create(database.db))
  while (await next()) {
    const lock = new MigrationLock(database)
    if (!(await lock.take())) {
      await sleep(100 + 200 * Math.random())
      continue
    }
    try {
      for (let move = await next(); move; move = await next()) {
        await takeSteps(database, log, lock, move)
        applied.push(move.file.name)
      }
    } catch (error) {
      // Whoever has the lock now goes on from the step that was noted last.
      if (!(error instanceof LockLost)) throw error
    } finally {
      await lock.release()
    }
  }
  return applied
}

/**
 * The statements of one migration that are not noted yet.
 *
 * A statement that changes rows commits together with its note. A DDL statement cannot: it is noted as open before and
 * as done after. If the process is killed in between, or loses its connection, the statement may have been executed;
 * then, and only for this one statement, "it is already so" counts as done. A statement that the server refused was
 * not executed (DDL is atomic from MySQL 8.0 and MariaDB 10.6 on), so its note is closed again.
 */
async function takeSteps(database: Database, log: MigrationLog, lock: MigrationLock, move: Move): Promise<void> {
  const { file, direction, interrupted } = move
  const { version, name } = file
  if (!interrupted) await lock.guarded((trx) => log.begin(trx, version, name, direction))
  const from = interrupted?.stepsDone ?? 0
  for (const [offset, statement] of file[direction].slice(from).entries()) {
    const step = from + offset
    const query = CompiledQuery.raw(statement)
    const mayBeDone = offset === 0 && interrupted?.isStepOpen === true
    try {
      if (changesRows(statement)) {
        await lock.guarded(async (trx) => {
          await trx.executeQuery(query)
          await log.closeStep(trx, version, step + 1)
        })
        continue
      }
      await lock.guarded((trx) => log.openStep(trx, version))
      await database
        .retry(() => database.db.executeQuery(query))
        .catch(async (error: unknown) => {
          if (mayBeDone && isAlreadySo(error)) return
          if (isServersAnswer(error)) await lock.guarded((trx) => log.closeStep(trx, version, step))
          throw error
        })
      await lock.guarded((trx) => log.closeStep(trx, version, step + 1))
    } catch (error) {
      if (error instanceof LockLost) throw error
      throw failed(move, step, error, 'remove the cause and run it again: it goes on with this statement')
    }
  }
  await lock.guarded((trx) => log.finish(trx, version, direction))
}

const changesRows = (statement: string): boolean => /^(?:insert|update|delete|replace)\b/i.test(statement)

/** What MySQL answers when a DDL statement is executed a second time. */
const ALREADY_SO = new Set([
  1050, // table exists
  1051, // unknown table, on DROP TABLE
  1054, // unknown column, on RENAME COLUMN and CHANGE COLUMN
  1060, // duplicate column
  1061, // duplicate key name
  1091, // cannot drop: no such column or key
  1146, // no such table, on RENAME TABLE and DROP INDEX
  1826, // duplicate foreign key name
  3822, // duplicate check constraint name
])

function isAlreadySo(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && ALREADY_SO.has(error.errno as number)
}

/** The server's errors have an SQL state; those of a lost connection have none. */
function isServersAnswer(error: unknown): boolean {
  return error instanceof Error && 'sqlState' in error && error.sqlState !== undefined
}

function failed({ file, direction }: Move, step: number, error: unknown, advice: string): PikoError {
  const statement = file[direction][step] ?? ''
  return new PikoError(
    'MIGRATION_FAILED',
    `migration ${file.name} ${direction}, statement ${step + 1} of ${file[direction].length} failed: ` +
      `${toError(error).message}; ${advice}; statement: ${statement.split('\n', 1)[0]}`,
    { cause: error, details: { version: file.version, name: file.name, direction, step: step + 1, statement } },
  )
}
