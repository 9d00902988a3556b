import { setTimeout as sleep } from 'node:timers/promises'
import { databaseFault } from './database-faults.ts'
import { chainOf, propertyOf } from '../errors-read.ts'

const MAX_TRIES = 8
/** Contention is tried for at least so long: on a cluster many nodes may want the same rows, and conflicts come fast. */
const MIN_TRIED_MS = 10_000
const FIRST_DELAY_MS = 10
const MAX_DELAY_MS = 500

/**
 * Runs `fn` again while it fails with what passes by itself; the last error is thrown as it is. Each wait is drawn from
 * [half, whole] of 10, 20, 40 … 500 ms, so that those who collided do not meet again.
 *
 * @param passes default: a deadlock, a lock wait timeout or a busy database
 */
export async function retryContention<T>(fn: () => Promise<T>, passes = isContention): Promise<T> {
  let since: number | undefined
  for (let tries = 1; ; tries++) {
    try {
      return await fn()
    } catch (error) {
      since ??= performance.now()
      if (!passes(error) || (tries >= MAX_TRIES && !(isContention(error) && performance.now() - since < MIN_TRIED_MS)))
        throw error
      const whole = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (tries - 1))
      await sleep(whole / 2 + (whole / 2) * Math.random())
    }
  }
}

/**
 * True for a deadlock, a lock wait timeout, a row that another has changed or a busy database: the whole transaction may be tried again. Looks through
 * causes: an error may be wrapped on its way out of a transaction, which is doomed all the same.
 */
export function isContention(error: unknown): boolean {
  return databaseFault(error) === 'contention'
}

/** Whether an error or one of its causes has such a number: MySQL's `errno`, SQLite's `errcode`. */
export function hasCode(error: unknown, key: 'errno' | 'errcode', matches: (code: number) => boolean): boolean {
  return chainOf(error).some((link) => {
    const code = propertyOf(link, key)
    return typeof code === 'number' && matches(code)
  })
}
