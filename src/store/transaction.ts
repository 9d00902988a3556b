import { type Kysely, type Transaction } from 'kysely'
import { isPikoError, PikoError } from '../errors.ts'
import { isContention, retryContention } from '../sink/contention.ts'
import { isConnectionLost, isRefusal } from '../database-faults.ts'
import { type Tables } from './tables.ts'

/**
 * One transaction, tried once.
 *
 * @throws PikoError `COMMIT_UNKNOWN` when the connection broke after the commit was sent; any other error means that nothing
 * was written
 */
export async function transactionOnce<T>(
  db: Kysely<Tables>,
  location: string,
  fn: (trx: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  let isSent = false
  try {
    return await db.transaction().execute(async (trx) => {
      const value = await fn(trx)
      isSent = true
      return value
    })
  } catch (error) {
    if (!isSent || isRolledBack(error) || !isConnectionLost(error) || isRefusal(error)) throw error
    throw new PikoError(
      'COMMIT_UNKNOWN',
      `the connection to ${location} broke while a transaction was committed; it may have been, or not`,
      { cause: error },
    )
  }
}

/** The same, run again after contention and when the connection broke before the commit was sent. */
export function transactionRepeated<T>(
  db: Kysely<Tables>,
  location: string,
  fn: (trx: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  return retryContention(
    () => transactionOnce(db, location, fn),
    (error) =>
      isContention(error) || ((!(error instanceof PikoError) || isRolledBack(error)) && isConnectionLost(error)),
  )
}

/** Its commit was not sent. */
function isRolledBack(error: unknown): boolean {
  return isPikoError(error, 'TRANSACTION_ROLLED_BACK')
}
