import { endsTransaction, isConnectionLost } from '../database-faults.ts'
import { hasCode } from '../sink/contention.ts'
import { PikoError } from '../errors.ts'

const LOCK_WAIT_TIMEOUT = 1205

/**
 * Knows whether the server has rolled back the transaction of a connection. After a deadlock, or a conflict with another member of
 * a cluster, each later statement would be committed alone, and COMMIT is answered with ok: so nothing more is sent but a rollback.
 */
export class TransactionWatch {
  readonly #rollsBackOnTimeout: () => boolean
  #isInside = false
  #endedBy: unknown

  constructor(rollsBackOnTimeout: () => boolean) {
    this.#rollsBackOnTimeout = rollsBackOnTimeout
  }

  /** A statement is about to be sent. Returns the error with which it is refused. */
  begins(text: string): PikoError | undefined {
    if (text === 'begin') this.#isInside = true
    else if (text === 'rollback') this.leave()
    else if (this.#endedBy !== undefined) return rolledBack(text, this.#endedBy)
    else if (text === 'commit') this.#isInside = false
    return undefined
  }

  failed(error: unknown): void {
    if (this.#isInside && this.#endedBy === undefined && this.#isEnd(error)) this.#endedBy = error
  }

  leave(): void {
    this.#isInside = false
    this.#endedBy = undefined
  }

  #isEnd(error: unknown): boolean {
    if (endsTransaction(error) || isConnectionLost(error)) return true
    return this.#rollsBackOnTimeout() && hasCode(error, 'errno', (errno) => errno === LOCK_WAIT_TIMEOUT)
  }
}

function rolledBack(text: string, cause: unknown): PikoError {
  const { message } = cause as Error
  const what = text === 'commit' ? 'its commit' : 'a later statement of it'
  return new PikoError(
    'TRANSACTION_ROLLED_BACK',
    `the server has rolled the transaction back when a statement failed (${message}), so ${what} was not sent; ` +
      'let the error of the statement end the function, and run the whole transaction again',
    { cause },
  )
}
