import { PikoError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'

/** Kysely's message, which has no code, for a transaction used after its end. */
const ENDED = /^Transaction is already (?:committed|rolled back)/

export function endedTransaction(error: unknown): PikoError | undefined {
  if (!ENDED.test(messageOf(error))) return undefined
  return new PikoError(
    'USAGE',
    'trx is a transaction that has ended, so nothing was executed; use it inside of the function that it was given to, and await what you call there',
    { cause: error },
  )
}
