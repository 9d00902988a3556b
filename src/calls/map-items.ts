import { systemClock } from '../clock.ts'
import { aFunction, type OptionChecks } from '../options.ts'
import { parseRate, type Rate, type RateLimit } from '../run/limits.ts'
import { policyOf, type RetrySpec } from '../run/retry.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { aRate, asFunction, askAbout, readCall } from './call-checks.ts'
import { type Call, called } from './called.ts'
import type { ItemCall } from './completed.ts'
import { aConcurrency, DEFAULT_CONCURRENCY } from './concurrency.ts'
import { aSource, type Source } from './drawn.ts'
import { fanOut } from './fan-out.ts'
import { Limiter } from './limiter.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'
import { attempted } from './retry.ts'
import { aRetry } from '../run/retry-checks.ts'
import { aTimeout, within } from './timeout.ts'

/** Options of `ctx.map`. */
export interface MapOptions {
  /** The maximum number of calls that run at the same time. Default 8. */
  readonly concurrency?: number
  /** The maximum number of calls that may begin in a span of time, retries included: `'5/s'`. Default: no limit. */
  readonly rate?: Rate
  /** Retries `fn` for a failed item. Has the options and defaults of a job's `retry`. Default: no retries. */
  readonly retry?: RetrySpec
  /**
   * The time limit of one call. It applies to each retry separately. After this time the call fails with a `PikoError` `TIMEOUT`. Default:
   * none.
   */
  readonly timeout?: Duration
  /**
   * Whether an item's error stops the map, when its retries are used up. Then no further call begins, the signals of running calls abort,
   * and the map rejects with this error. Default: never.
   */
  readonly stopOn?: (error: Error) => boolean
}

const FORM = {
  call: 'ctx.map',
  checks: {
    concurrency: aConcurrency,
    rate: aRate,
    retry: aRetry,
    timeout: aTimeout,
    stopOn: aFunction,
  } satisfies OptionChecks<MapOptions>,
  example: '{ concurrency: 4 }',
}

/** Calls `fn` for every item and settles them all; see `JobContext.map`. */
export async function mapItems<T, U>(
  items: Source<T>,
  fn: ItemCall<T, U>,
  options: MapOptions,
  parent: AbortSignal,
): Promise<PromiseSettledResult<U>[]> {
  const { concurrency, stopOn, ...how } = readCall<MapOptions>(
    FORM,
    { items: [items, aSource], fn: asFunction(fn) },
    options,
  )
  const linked = new LinkedSignal(parent)
  const call = itemCall(fn, how)
  const stopping = async (item: T, index: number): Promise<U> => {
    try {
      return await call(item, index, linked.signal)
    } catch (thrown) {
      if (stopOn && !linked.signal.aborted) stopIf(stopOn, thrown, linked)
      throw thrown
    }
  }
  try {
    return await fanOut(items, stopping, concurrency ?? DEFAULT_CONCURRENCY, linked.signal)
  } finally {
    linked.release()
  }
}

function stopIf(stopOn: NonNullable<MapOptions['stopOn']>, thrown: unknown, linked: LinkedSignal): void {
  try {
    if (askAbout('stopOn of ctx.map', stopOn, thrown)) linked.abort(thrown)
  } catch (fault) {
    linked.abort(fault)
  }
}

/** Creates the call for one item. The call waits for the rate limit, and has the retries and the time limit of the options. */
function itemCall<T, U>(
  fn: ItemCall<T, U>,
  { rate, retry, timeout }: MapOptions,
): (...args: Parameters<ItemCall<T, U>>) => Promise<U> {
  const pace = rate === undefined ? undefined : paceOf(rate)
  const limitMs = timeout === undefined ? undefined : durationMs(timeout)
  const policy = retry && policyOf(retry)
  return async (item, index, signal) => {
    const once: Call<U> = async (current) => {
      await pace?.take(1, { signal: current })
      const call: Call<U> = (own) => fn(item, index, own)
      return limitMs === undefined ? called(call, current) : within(call, limitMs, current)
    }
    return policy ? attempted(once, policy, signal) : once(signal)
  }
}

function paceOf(rate: Rate): Limiter {
  const limit = parseRate(rate) as RateLimit
  return new Limiter(limit, limit.limit, systemClock)
}
