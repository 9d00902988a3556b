import { CompiledQuery, type Kysely } from 'kysely'
import { isPikoError } from '../../errors.ts'
import { isContention } from '../../sql/contention.ts'
import type { Database } from '../connection/database.ts'
import type { MigrationLog } from './migration-log.ts'
import { type Move, migrationFailed } from './migration-plan.ts'
import type { Tables } from '../tables.ts'

/** How long to wait for writes and migrations of other processes to the same SQLite file, in milliseconds. */
const SQLITE_PATIENCE_MS = 60_000

/**
 * Migrates an SQLite file. A migration is one write transaction, so it is applied completely or not at all. Only one process at a time can
 * migrate.
 */
export async function migrateSqlite(
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
            throw isContention(error) ? error : migrationFailed(move, index, error, 'nothing was changed')
          })
        }
        await log.finish(trx, file.version, direction)
        return file.name
      })
      if (name === undefined) return applied
      applied.push(name)
    } catch (error) {
      const isBusy = isContention(error) || isPikoError(error, 'DATABASE_LOCKED')
      if (!isBusy || performance.now() > deadline) throw error
    }
  }
}
