import { called } from '../calls/called.ts'
import { asFunction, readCall } from '../calls/call-checks.ts'
import { aDuration } from '../time/duration-check.ts'
import { untilAborted } from '../signals/until-aborted.ts'
import { type Clock, systemClock } from '../clock.ts'
import { aFunction, anAbortSignal, type OptionChecks, wholeNumber } from '../options.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import type { RunCallOptions } from './bulkhead.ts'

export interface SingleOptions<I> {
  /** Calls with the same key share one call. Default: the input itself. */
  readonly key?: (input: I) => unknown
  /** How long a result is kept for later callers. Errors are never kept. Default: results are not kept. */
  readonly ttl?: Duration
  /** The maximum number of kept results; the oldest are dropped first. Default 1,000. */
  readonly max?: number
}

/** A function whose concurrent callers share one call. */
export type Single<I, T> = (input: I, options?: RunCallOptions) => Promise<T>

const FORM = {
  call: 'single',
  checks: { key: aFunction, ttl: aDuration(1), max: wholeNumber(1) } satisfies OptionChecks<SingleOptions<unknown>>,
  example: "{ ttl: '10s' }",
}
const CALL = {
  call: 'the function of single',
  checks: { signal: anAbortSignal } satisfies OptionChecks<RunCallOptions>,
  example: '{ signal }',
}

/**
 * Creates a function whose concurrent callers with the same key share one call to `fn` and its result or error. A caller's signal ends only
 * the wait of this caller. The signal of `fn` aborts when no caller is waiting any more.
 *
 * @throws PikoError `USAGE`
 */
export function single<T, I = void>(
  fn: (input: I, signal: AbortSignal) => Promise<T> | T,
  options: SingleOptions<I> = {},
): Single<I, T> {
  const {
    key = (input: I): unknown => input,
    ttl,
    max = 1_000,
  } = readCall<SingleOptions<I>>(FORM, { fn: asFunction(fn) }, options)
  const kept = new Kept<T>(ttl === undefined ? 0 : durationMs(ttl), max, systemClock)
  const shared = new Map<unknown, SharedCall<T>>()
  return async (input, given = {}) => {
    const { signal } = readCall<RunCallOptions>(CALL, {}, given)
    signal?.throwIfAborted()
    const id = key(input)
    const result = kept.get(id)
    if (result) return result.value
    const call = shared.get(id) ?? begin(id, input)
    return call.wait(signal)
  }

  function begin(id: unknown, input: I): SharedCall<T> {
    const call = new SharedCall<T>(
      (signal) => fn(input, signal),
      () => {
        if (shared.get(id) === call) shared.delete(id)
      },
      (value) => kept.set(id, value),
    )
    shared.set(id, call)
    return call
  }
}

/** One call and its waiting callers. */
class SharedCall<T> {
  readonly #controller = new AbortController()
  readonly #over: () => void
  readonly #result: Promise<T>
  #hasEnded = false
  #callers = 0

  /** @param over called when the call has ended, or when its last caller has stopped waiting */
  constructor(fn: (signal: AbortSignal) => Promise<T> | T, over: () => void, succeeded: (value: T) => void) {
    this.#over = over
    this.#result = this.#run(fn, succeeded)
  }

  async wait(signal: AbortSignal | undefined): Promise<T> {
    this.#callers++
    try {
      return await untilAborted(this.#result, signal)
    } finally {
      if (--this.#callers === 0 && !this.#hasEnded) this.#abandon()
    }
  }

  /** Forgets this call, so that the next caller starts a new one. */
  #abandon(): void {
    this.#over()
    this.#controller.abort()
  }

  async #run(fn: (signal: AbortSignal) => Promise<T> | T, succeeded: (value: T) => void): Promise<T> {
    // Waits first: the call must be registered before `fn` runs, because `fn` may call the function again.
    await Promise.resolve()
    try {
      const value = await called(fn, this.#controller.signal)
      if (!this.#controller.signal.aborted) succeeded(value)
      return value
    } finally {
      this.#hasEnded = true
      this.#over()
    }
  }
}

/** Results kept for a limited time. */
class Kept<T> {
  readonly #ttlMs: number
  readonly #max: number
  readonly #clock: Clock
  /** The results in the order in which they expire. A map keeps the order of insertion, and all results are kept for the same time. */
  readonly #results = new Map<unknown, { readonly value: T; readonly until: number }>()

  constructor(ttlMs: number, max: number, clock: Clock) {
    this.#ttlMs = ttlMs
    this.#max = max
    this.#clock = clock
  }

  get(key: unknown): { readonly value: T } | undefined {
    const result = this.#results.get(key)
    if (!result || result.until > this.#clock.monotonic()) return result
    this.#results.delete(key)
    return undefined
  }

  set(key: unknown, value: T): void {
    if (this.#ttlMs === 0) return
    const now = this.#clock.monotonic()
    this.#results.delete(key)
    this.#results.set(key, { value, until: now + this.#ttlMs })
    for (const [oldest, { until }] of this.#results) {
      if (until > now && this.#results.size <= this.#max) return
      this.#results.delete(oldest)
    }
  }
}
