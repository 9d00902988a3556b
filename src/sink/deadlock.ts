import { type SqlDatabase, type SqlExecutor } from './sql.ts'

const TRIES = 5
const ER_LOCK_DEADLOCK = 1213

/**
 * A transaction that begins again when the database chose it as the victim of a deadlock. It does so at once: it then
 * waits for the locks of the one that was let through. `fn` must have no effects outside of the database.
 */
export async function transactionPastDeadlock<T>(on: SqlDatabase, fn: (trx: SqlExecutor) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await on.transaction(fn)
    } catch (error) {
      if (tries >= TRIES || !isDeadlock(error)) throw error
    }
  }
}

function isDeadlock(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && error.errno === ER_LOCK_DEADLOCK
}
