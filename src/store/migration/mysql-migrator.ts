import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery } from 'kysely'
import { isError } from '../../errors-read.ts'
import type { Database } from '../connection/database.ts'
import { LockLost, MigrationLock } from './migration-lock.ts'
import type { MigrationLog } from './migration-log.ts'
import { type Move, migrationFailed } from './migration-plan.ts'
import { rightsAdvice, serversAnswer } from '../connection/mysql/missing-rights.ts'

/**
 * Migrates a MySQL schema. MySQL commits implicitly at each DDL statement. So a migration executes and records one statement at a time, and
 * holds the lock during that time. If another process holds the lock, tries again every 100 to 300 ms until nothing is left to do.
 */
export async function migrateMysql(
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
      // The new holder of the lock continues from the last recorded step.
      if (!(error instanceof LockLost)) throw error
    } finally {
      await lock.release()
    }
  }
  return applied
}

/**
 * Executes the statements of one migration that are not recorded yet. A statement that changes rows commits together with its record. A DDL
 * statement can't, so it is recorded as open before it runs and as done afterwards.
 *
 * If the process crashes or loses its connection in between, the statement may have executed. Then an error such as "already exists" means
 * that it did, but only for this statement. A statement that the server refused did not execute (DDL is atomic from MySQL 8.0 and MariaDB
 * 10.6), so its record returns to "not started".
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
      const advice = rightsAdvice(error, database.location)
      const goesOn = 'run it again: it continues with this statement'
      throw migrationFailed(
        move,
        step,
        serversAnswer(error),
        advice === undefined ? `remove the cause and ${goesOn}` : `${advice}; then ${goesOn}`,
      )
    }
  }
  await lock.guarded((trx) => log.finish(trx, version, direction))
}

const changesRows = (statement: string): boolean => /^(?:insert|update|delete|replace)\b/i.test(statement)

/** The errors that MySQL reports if a DDL statement was already executed before. */
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
  return isError(error) && 'errno' in error && ALREADY_SO.has(error.errno as number)
}

/** Whether the error came from the server. The server's errors have an SQL state; those of a lost connection do not. */
function isServersAnswer(error: unknown): boolean {
  return isError(error) && 'sqlState' in error && error.sqlState !== undefined
}
