import { databaseFault } from '../../sql/database-faults.ts'
import type { Clock } from '../../clock.ts'
import type { LoopHealth } from './loop-health.ts'

/** How long to wait before each retry, in milliseconds. */
const RETRY_MS = 200

export interface RetriedParts {
  readonly clock: Clock
  /** Where to report failures, and under which loop's name. Default: they are not reported. */
  readonly health?: { readonly loop: string; readonly loops: LoopHealth }
  /** Whether to give up after this error. */
  readonly isFinal: (thrown: unknown) => boolean
  /** Aborting this signal ends a pause early. */
  readonly signal?: AbortSignal
}

/** Repeats a call to the database until it succeeds. @throws an error for which `isFinal` returns true */
export async function retried<T>(call: () => Promise<T>, parts: RetriedParts): Promise<T> {
  const { clock, health, isFinal, signal } = parts
  for (let failures = 0; ;) {
    try {
      const result = await call()
      if (failures > 0) health?.loops.recovered(health.loop, failures)
      return result
    } catch (thrown) {
      if (isFinal(thrown)) throw thrown
      failures += 1
      health?.loops.failed({ loop: health.loop, thrown, retryInMs: RETRY_MS, failures })
      await clock.sleep(RETRY_MS, signal)
    }
  }
}

/** Whether the error is temporary, so that the same statement may succeed later. */
export function isPassing(error: unknown): boolean {
  const fault = databaseFault(error)
  return fault === 'outage' || fault === 'contention'
}
