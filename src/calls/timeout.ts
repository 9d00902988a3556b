import { PikoError } from '../errors.ts'
import { anAbortSignal, type OptionChecks } from '../options.ts'
import { type Duration, durationMs, formatMs } from '../time/duration.ts'
import { asFunction, readCall } from './call-checks.ts'
import { aDuration } from '../time/duration-check.ts'
import { type Call, called } from './called.ts'
import { after } from '../time/after.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'
import { untilAborted } from '../signals/until-aborted.ts'

export interface TimeoutOptions {
  /** Aborting this signal ends the call early, with the signal's reason. */
  readonly signal?: AbortSignal
}

const FORM = {
  call: 'timeout',
  checks: { signal: anAbortSignal } satisfies OptionChecks<TimeoutOptions>,
  example: '{ signal }',
}

export const aTimeout = aDuration(1)

/**
 * Calls `fn` with a time limit. When the time is over, the signal of `fn` aborts and the call rejects. It does not wait for `fn`: a
 * function that ignores its signal continues, and its result is dropped.
 *
 * @throws PikoError `TIMEOUT`, which is also the reason of `fn`'s signal
 * @throws the reason of `options.signal` as soon as it aborts, and any error of `fn`
 * @throws PikoError `USAGE`
 */
export async function timeout<T>(fn: Call<T>, time: Duration, options: TimeoutOptions = {}): Promise<T> {
  const { signal } = readCall<TimeoutOptions>(FORM, { fn: asFunction(fn), time: [time, aTimeout] }, options)
  signal?.throwIfAborted()
  return within(fn, durationMs(time), signal)
}

/** Like {@link timeout}, but in milliseconds. */
export async function within<T>(fn: Call<T>, ms: number, parent: AbortSignal | undefined): Promise<T> {
  const linked = new LinkedSignal(parent)
  const cancel = after(ms, () => linked.abort(timedOut(ms)))
  try {
    return await untilAborted(called(fn, linked.signal), linked.signal)
  } finally {
    cancel()
    linked.release()
  }
}

function timedOut(ms: number): PikoError {
  return new PikoError('TIMEOUT', `the call did not end within ${formatMs(ms)}`, { details: { timeoutMs: ms } })
}
