import type { Kysely, Transaction } from 'kysely'
import { isPikoError, PikoError, toError } from '../../errors.ts'
import { isContention, retryContention } from '../../sql/contention.ts'
import { isConnectionLost, isRefusal } from '../../sql/database-faults.ts'
import type { Tables } from '../tables.ts'

/**
 * Runs a transaction once, without retries.
 *
 * @throws PikoError `COMMIT_UNKNOWN` if the connection broke after the commit was sent; any other error means that nothing was written
 */
export async function transactionOnce<T>(
  db: Kysely<Tables>,
  location: string,
  fn: (trx: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  let isSent = false
  let unreadable: { readonly thrown: unknown } | undefined
  try {
    return await db.transaction().execute(async (trx) => {
      try {
        const value = await fn(trx)
        isSent = true
        return value
      } catch (error) {
        // Kysely reads the error before it rolls back. If reading threw, the transaction would stay open.
        const tame = toError(error)
        if (tame !== error) unreadable = { thrown: error }
        throw tame
      }
    })
  } catch (error) {
    if (unreadable) throw unreadable.thrown
    if (!isSent || isRolledBack(error) || !isConnectionLost(error) || isRefusal(error)) throw error
    throw new PikoError(
      'COMMIT_UNKNOWN',
      `the connection to ${location} broke during a commit; the transaction may or may not have been committed`,
      { cause: error },
    )
  }
}

/** Runs a transaction. Repeats it after contention, or if the connection broke before the commit was sent. */
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

/** Whether the server had already rolled back the transaction, so that no commit was sent. */
function isRolledBack(error: unknown): boolean {
  return isPikoError(error, 'TRANSACTION_ROLLED_BACK')
}
