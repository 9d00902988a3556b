import { systemClock } from '../../clock.ts'
import { isConnectionLost } from '../../sql/database-faults.ts'

const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 1_000

/**
 * Repeats `attempt` while the server can't be reached, for at most `waitMs`. A failed attempt must have no effect on the server.
 *
 * @throws the reason of the signal, the last error
 */
export async function untilReachable<T>(
  attempt: () => Promise<T>,
  waitMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const until = performance.now() + waitMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MAX_PAUSE_MS, 2 * pauseMs)) {
    try {
      return await attempt()
    } catch (error) {
      signal?.throwIfAborted()
      if (!isConnectionLost(error) || performance.now() + pauseMs > until) throw error
      await systemClock.sleep(pauseMs, signal)
    }
  }
}
