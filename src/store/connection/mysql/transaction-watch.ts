import { endsTransaction, isConnectionLost } from '../../../sql/database-faults.ts'
import { hasCode } from '../../../sql/contention.ts'
import { PikoError } from '../../../errors.ts'

const LOCK_WAIT_TIMEOUT = 1205

/**
 * Tracks whether the server has rolled back a connection's transaction. After a deadlock, or a conflict with another member of a cluster,
 * each later statement would be committed alone, and COMMIT would succeed. So after that, only a rollback is sent.
 */
export class TransactionWatch {
  readonly #rollsBackOnTimeout: () => boolean
  /** Whether the server's transaction flags are reliable. A proxy may send none, or always the same ones. */
  #isTrusted = false
  #isInside = false
  /** Whether the server's flags show this transaction as open. */
  #isShown = false
  #endedBy: unknown

  constructor(rollsBackOnTimeout: () => boolean) {
    this.#rollsBackOnTimeout = rollsBackOnTimeout
  }

  /**
   * Called after each statement that sets up the session. The flags are considered reliable if the last answer shows autocommit and no open
   * transaction.
   */
  begun(answer: unknown): void {
    const status = statusOf(answer) ?? 0
    this.#isTrusted = (status & AUTOCOMMIT) !== 0 && (status & IN_TRANSACTION) === 0
  }

  /** Called before a statement is sent. Returns an error if it must not be sent. */
  begins(text: string): PikoError | undefined {
    if (text === 'begin') this.#enter()
    else if (text === 'rollback') this.leave()
    else if (this.#endedBy instanceof StrayTransaction) return this.#endedBy
    else if (this.#endedBy !== undefined) return rolledBack(text, this.#endedBy)
    else if (text === 'commit') this.#isInside = false
    return undefined
  }

  failed(error: unknown): void {
    if (this.#isInside && this.#endedBy === undefined && this.#isEnd(error)) this.#endedBy = error
  }

  /**
   * Called when the server has answered. Returns an error if the statement has ended its transaction or left one open, for example a CALL
   * of a procedure that commits.
   */
  answered(text: string, answer: unknown): PikoError | undefined {
    const status = statusOf(answer)
    if (status === undefined || !this.#isTrusted) return undefined
    const isOpen = (status & IN_TRANSACTION) !== 0
    if (!this.#isInside) {
      const commitsAlone = (status & AUTOCOMMIT) !== 0
      return isOpen || !commitsAlone ? new StrayTransaction('left a transaction open', text) : undefined
    }
    if (text === 'begin') this.#isShown = isOpen
    if (isOpen || !this.#isShown) return undefined
    return (this.#endedBy ??= new StrayTransaction('ended its own transaction', text)) as PikoError
  }

  #enter(): void {
    this.#isInside = true
    this.#isShown = false
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

const IN_TRANSACTION = 1
const AUTOCOMMIT = 2

/**
 * Returns the server's flags. They are known only for statements that return no rows, because the driver does not return them with rows.
 */
function statusOf(answer: unknown): number | undefined {
  const header: unknown = Array.isArray(answer) ? answer.at(-1) : answer
  if (typeof header !== 'object' || header === null || !('affectedRows' in header)) return undefined
  const { serverStatus } = header as { serverStatus?: unknown }
  return typeof serverStatus === 'number' ? serverStatus : undefined
}

class StrayTransaction extends PikoError {
  constructor(deed: string, text: string) {
    const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
    super(
      'USAGE',
      `this SQL ${deed}: ${shown}; the writes up to then may be stored: check them, and remove any statement that begins, commits or rolls back`,
      { details: { sql: shown } },
    )
  }
}

const MAX_SHOWN = 100

function rolledBack(text: string, cause: unknown): PikoError {
  const { message } = cause as Error
  const what = text === 'commit' ? 'its commit' : 'a later statement'
  return new PikoError(
    'TRANSACTION_ROLLED_BACK',
    `the server rolled the transaction back when a statement failed (${message}), so ${what} was not sent; ` +
      'let the error of the statement end the function, then run the whole transaction again',
    { cause },
  )
}
