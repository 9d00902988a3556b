import { setTimeout } from 'node:timers'
import { PikoError } from '../../errors.ts'
import { formatMs } from '../../time/duration.ts'

/**
 * Waits for a call to a sink's method, up to the time limit. If the call exceeds it, also aborts the call's signal.
 *
 * @throws PikoError `TIMEOUT`
 */
export async function inTime(
  sink: string,
  timeoutMs: number,
  outer: AbortSignal,
  call: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const late = new AbortController()
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const error = new PikoError(
      'TIMEOUT',
      `sink ${sink}: the target did not answer within ${formatMs(timeoutMs)}; raise timeout of the sink if its deliveries take longer`,
      { details: { sink, timeoutMs } },
    )
    late.abort(error)
    reject(error)
  }, timeoutMs)
  try {
    await Promise.race([call(AbortSignal.any([outer, late.signal])), promise])
  } finally {
    clearTimeout(timer)
  }
}
