import { isRefusedValue } from '../sql/database-faults.ts'
import { headline } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'
import { type Refused } from '../store/statements/each-apart.ts'

/** Where a run that is deleted has rows. */
export const HISTORY_TABLES = 'piko_run, piko_attempt, piko_run_log and piko_idempotency'

/** Runs that a message names. */
const MAX_NAMED = 10

/**
 * Makes a change that people ask for.
 *
 * @param what as the subject of a sentence, such as `a config of job "sync"`
 * @throws PikoError `CHANGE_REFUSED` when the database refuses it; any other error as it is
 */
export async function changing<T>(what: string, tables: string, change: () => Promise<T>): Promise<T> {
  try {
    return await change()
  } catch (thrown) {
    if (isPikoError(thrown) || !isRefusedValue(thrown)) throw thrown
    throw changeRefused(`${what} can't be stored`, tables, thrown, { what })
  }
}

/** Why some of many runs stay as they are; undefined when there are none. */
export function refusedChange(done: string, refused: readonly Refused[], tables: string): PikoError | undefined {
  const [first] = refused
  if (!first) return undefined
  const ids = refused.map(({ id }) => id)
  const named = `${ids.slice(0, MAX_NAMED).join(', ')}${ids.length > MAX_NAMED ? ' …' : ''}`
  const what = ids.length === 1 ? `run ${named} can't be ${done}` : `${ids.length} runs can't be ${done} (${named})`
  return changeRefused(`${what}, and all others that were asked for are`, tables, first.refusal, { runIds: ids })
}

function changeRefused(what: string, tables: string, refusal: unknown, details: Record<string, unknown>): PikoError {
  return new PikoError(
    'CHANGE_REFUSED',
    `${what}: the database refuses it: ${headline(refusal)}; check triggers and constraints on ${tables}, then ask again`,
    { cause: toError(refusal), details },
  )
}
