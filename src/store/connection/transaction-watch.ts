import { endsTransaction, isConnectionLost } from '../../sql/database-faults.ts'
import { hasCode } from '../../sql/contention.ts'
import { PikoError } from '../../errors.ts'

const LOCK_WAIT_TIMEOUT = 1205

/**
 * Knows whether the server has rolled back the transaction of a connection. After a deadlock, or a conflict with another member of
 * a cluster, each later statement would be committed alone, and COMMIT is answered with ok: so nothing more is sent but a rollback.
 */
export class TransactionWatch {
  readonly #rollsBackOnTimeout: () => boolean
  /** Its statements are told apart by what the server says of transactions: a proxy in between may say nothing, or always the same. */
  #isTrusted = false
  #isInside = false
  /** The server says of this transaction whether it is open. */
  #isShown = false
  #endedBy: unknown

  constructor(rollsBackOnTimeout: () => boolean) {
    this.#rollsBackOnTimeout = rollsBackOnTimeout
  }

  /** The session has been set up, with autocommit and outside of transactions: so must its answer say. */
  begun(answer: unknown): void {
    const status = statusOf(answer) ?? 0
    this.#isTrusted = (status & AUTOCOMMIT) !== 0 && (status & IN_TRANSACTION) === 0
  }

  /** A statement is about to be sent. Returns the error with which it is refused. */
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
   * The server has answered. Returns the error of a statement that has ended its transaction, or has left one open, such as a CALL of
   * a procedure that commits.
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
    return (this.#endedBy ??= new StrayTransaction('ended the transaction that it was in', text)) as PikoError
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

/** Of what changes rows; of rows themselves the driver hands out none. */
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
      `this SQL ${deed}: ${shown}; what was written up to then may be stored: look, and leave out of it what begins, commits or rolls back`,
      { details: { sql: shown } },
    )
  }
}

const MAX_SHOWN = 100

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
