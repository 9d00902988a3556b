import { PikoError } from '../../errors.ts'
import { headline, messageOf } from '../../errors-read.ts'

/** Kysely's message for a transaction used after its end. The error has no code. */
const ENDED = /^Transaction is already (?:committed|rolled back)/

export function endedTransaction(error: unknown): PikoError | undefined {
  if (!ENDED.test(messageOf(error))) return undefined
  return transactionEnded(error)
}

export function transactionEnded(cause?: unknown): PikoError {
  return new PikoError(
    'USAGE',
    'trx is a transaction that has ended, so nothing was executed; use it only inside its function, and await every call there',
    cause === undefined ? {} : { cause },
  )
}

/** Returns the error for calls to a `trx` whose function continues although the transaction had to end. */
export function transactionGivenUp(reason: unknown): PikoError {
  return new PikoError(
    'TRANSACTION_ROLLED_BACK',
    `trx is a transaction that was rolled back, so nothing was executed: ${headline(reason)}; end its function`,
    { cause: reason },
  )
}
