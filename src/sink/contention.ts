import { setTimeout as sleep } from 'node:timers/promises'

const TRIES = 8
const FIRST_DELAY_MS = 10
const LONGEST_DELAY_MS = 500

/**
 * Runs `fn` again while it fails with what passes by itself; the last error is thrown as it is. Each wait is drawn from
 * [half, whole] of 10, 20, 40 … 500 ms, so that those who collided do not meet again.
 *
 * @param passes default: a deadlock, a lock wait timeout or a busy database
 */
export async function retryContention<T>(fn: () => Promise<T>, passes = isContention): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await fn()
    } catch (error) {
      if (tries >= TRIES || !passes(error)) throw error
      const whole = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (tries - 1))
      await sleep(whole / 2 + (whole / 2) * Math.random())
    }
  }
}

const DEADLOCK = 1213
const LOCK_WAIT_TIMEOUT = 1205
/** MariaDB with `innodb_snapshot_isolation`: another has changed the row since the transaction's snapshot. */
const RECORD_CHANGED = 1020
const SERVER_CONTENTION: ReadonlySet<number> = new Set([DEADLOCK, LOCK_WAIT_TIMEOUT, RECORD_CHANGED])
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6

/**
 * True for a deadlock, a lock wait timeout, a row that another has changed or a busy database: the whole transaction may be tried again. Looks through
 * causes: an error may be wrapped on its way out of a transaction, which is doomed all the same.
 */
export function isContention(error: unknown): boolean {
  return (
    hasCode(error, 'errno', (errno) => SERVER_CONTENTION.has(errno)) ||
    // The low byte is the primary code; the rest says which kind of busy (recovery, snapshot, shared cache).
    hasCode(error, 'errcode', (code) => (code & 0xff) === SQLITE_BUSY || (code & 0xff) === SQLITE_LOCKED)
  )
}

/** Whether an error or one of its causes has such a number: MySQL's `errno`, SQLite's `errcode`. */
export function hasCode(error: unknown, key: 'errno' | 'errcode', matches: (code: number) => boolean): boolean {
  let current = error
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    const code: unknown = key in current ? (current as unknown as Record<string, unknown>)[key] : undefined
    if (typeof code === 'number' && matches(code)) return true
    current = current.cause
  }
  return false
}
