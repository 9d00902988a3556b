import { setTimeout as sleep } from 'node:timers/promises'
import { databaseFault } from './database-faults.ts'
import { chainOf, propertyOf } from '../errors-read.ts'

const MAX_TRIES = 8
/**
 * The minimum time for which contention is retried, in milliseconds. In a cluster, many nodes may need the same rows, so there may be many
 * conflicts in a short time.
 */
const MIN_TRIED_MS = 10_000
const FIRST_DELAY_MS = 10
const MAX_DELAY_MS = 500

/**
 * Calls `fn`, and repeats the call after temporary errors. If these do not end, or after any other error, throws the last error unchanged.
 * The wait before each retry is random, between half and all of 10, 20, 40 … 500 ms, so that callers do not conflict again.
 *
 * @param passes whether an error is temporary; default: {@link isContention}
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
 * Whether the error is a temporary conflict with other work, such as a deadlock, a lock wait timeout or a busy database. If so, the whole
 * transaction may run again. Also checks the causes, because other code may have wrapped the error.
 */
export function isContention(error: unknown): boolean {
  return databaseFault(error) === 'contention'
}

/** Whether an error or one of its causes has a matching number: MySQL's `errno`, SQLite's `errcode`. */
export function hasCode(error: unknown, key: 'errno' | 'errcode', matches: (code: number) => boolean): boolean {
  return chainOf(error).some((link) => {
    const code = propertyOf(link, key)
    return typeof code === 'number' && matches(code)
  })
}
