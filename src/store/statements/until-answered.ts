import { systemClock } from '../../clock.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000

/**
 * Calls `ask` again and again until the database answers.
 *
 * @param giveUp when it aborts, this stops and returns undefined
 */
export async function untilAnswered<T>(ask: () => Promise<T>, giveUp: AbortSignal): Promise<T | undefined> {
  for (let pauseMs = FIRST_PAUSE_MS; !giveUp.aborted; pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs)) {
    try {
      return await ask()
    } catch {
      await systemClock.sleep(pauseMs, giveUp)
    }
  }
  return undefined
}
