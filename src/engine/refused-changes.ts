import { isRefusedValue } from '../sql/database-faults.ts'
import { headline } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'
import type { Refused } from '../store/statements/each-apart.ts'

/** The tables from which the rows of a deleted run are removed. */
export const HISTORY_TABLES = 'piko_run, piko_attempt, piko_run_log, piko_step, piko_run_progress and piko_idempotency'

/** The maximum number of runs that a message names. */
const MAX_NAMED = 10

/**
 * Makes a change that a person has requested. If the database refuses it, the error explains why.
 *
 * @param what the subject of the message, such as `a config of job "sync"`
 * @throws PikoError `CHANGE_REFUSED` if the database refuses the change; any other error unchanged
 */
export async function changing<T>(what: string, tables: string, change: () => Promise<T>): Promise<T> {
  try {
    return await change()
  } catch (thrown) {
    if (isPikoError(thrown) || !isRefusedValue(thrown)) throw thrown
    throw changeRefused(`${what} can't be stored`, tables, thrown, { what })
  }
}

/** Returns the error that explains why some of many runs were not changed; undefined if all were changed. */
export function refusedChange(done: string, refused: readonly Refused[], tables: string): PikoError | undefined {
  const [first] = refused
  if (!first) return undefined
  const ids = refused.map(({ id }) => id)
  const named = `${ids.slice(0, MAX_NAMED).join(', ')}${ids.length > MAX_NAMED ? ' …' : ''}`
  const what = ids.length === 1 ? `run ${named} can't be ${done}` : `${ids.length} runs can't be ${done} (${named})`
  return changeRefused(`${what}, but all others are`, tables, first.refusal, { runIds: ids })
}

/** Returns the error for a change that the database refused. @param what a sentence that says what was not done */
export function changeRefused(
  what: string,
  tables: string,
  refusal: unknown,
  details: Record<string, unknown> = {},
): PikoError {
  return new PikoError(
    'CHANGE_REFUSED',
    `${what}: the database refuses it: ${headline(refusal)}; check triggers and constraints on ${tables}, then repeat the request`,
    { cause: toError(refusal), details },
  )
}
