import { setTimeout as sleep } from 'node:timers/promises'
import { type Dialect } from './dialect.ts'

const TRIES = 8
const FIRST_DELAY_MS = 10
const LONGEST_DELAY_MS = 500

/**
 * Runs `fn` again while it fails with a deadlock, a lock wait timeout or a busy database; the last error is thrown as
 * it is. Each wait is drawn from [half, whole] of 10, 20, 40 … 500 ms, so that those who collided do not meet again.
 */
export async function retryContention<T>(dialect: Dialect, fn: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await fn()
    } catch (error) {
      if (tries >= TRIES || !dialect.isRetryable(error)) throw error
      const whole = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (tries - 1))
      await sleep(whole / 2 + (whole / 2) * Math.random())
    }
  }
}
