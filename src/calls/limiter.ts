import { type Clock, systemClock } from '../clock.ts'
import { describe, PikoError } from '../errors.ts'
import { anAbortSignal, type OptionChecks, wholeNumber } from '../options.ts'
import { parseRate, type Rate, type RateLimit } from '../run/limits.ts'
import { Allowance } from './allowance.ts'
import { aRate, readCall } from './call-checks.ts'
import { Turns } from './turns.ts'

export interface LimiterOptions {
  /**
   * The maximum number that can be taken at the same moment. Default: the count of the rate. A smaller burst spreads the calls evenly. A
   * larger one lets callers catch up after an idle time.
   */
  readonly burst?: number
}

export interface TakeOptions {
  /** Aborting this signal ends the wait: nothing is taken. */
  readonly signal?: AbortSignal
}

const FORM = {
  call: 'limiter',
  checks: { burst: wholeNumber(1, 9_999_999) } satisfies OptionChecks<LimiterOptions>,
  example: '{ burst: 10 }',
}

const TAKE = {
  call: 'limiter.take',
  checks: { signal: anAbortSignal } satisfies OptionChecks<TakeOptions>,
  example: '{ signal }',
}

/**
 * Limits a rate within this process. In any span of the rate's length, at most the larger of its count and `burst` are taken.
 *
 * @param rate such as `'5/s'` or `'100/m'`
 * @throws PikoError `USAGE`
 */
export function limiter(rate: Rate, options: LimiterOptions = {}): Limiter {
  const { burst } = readCall<LimiterOptions>(FORM, { rate: [rate, aRate] }, options)
  const limit = parseRate(rate) as RateLimit
  return new Limiter(limit, burst ?? limit.limit, systemClock)
}

/** After this many microtasks, an awaiting caller has continued, even through several promises. */
const HOPS = 12

/** Limits a rate within this process. {@link limiter} creates it. */
export class Limiter {
  readonly #burst: number
  readonly #clock: Clock
  readonly #allowance: Allowance
  readonly #turns = new Turns<number>()
  /** Ends the sleep; undefined unless the first caller waits for the rate. */
  #sleep: AbortController | undefined
  #isServing = false

  /** @internal */
  constructor(limit: RateLimit, burst: number, clock: Clock) {
    this.#burst = burst
    this.#clock = clock
    this.#allowance = new Allowance(limit, burst)
  }

  /** The number of waiting callers. */
  get waiting(): number {
    return this.#turns.size
  }

  /**
   * Takes `count` together, as soon as the rate allows it. Callers are served in the order of their calls, even if a later one takes less.
   *
   * @throws the signal's reason if it aborts first: nothing is taken
   * @throws PikoError `USAGE` if `count` exceeds the burst, because that call would wait forever
   */
  async take(count = 1, options: TakeOptions = {}): Promise<void> {
    const { signal } = readCall<TakeOptions>(TAKE, { count: [count, wholeNumber(1)] }, options)
    this.#assertFits(count)
    signal?.throwIfAborted()
    const turn = this.#turns.wait(count, signal, () => this.#sleep?.abort())
    void this.#serve()
    await turn
  }

  /**
   * Takes `count` if the rate allows it now and no caller is waiting.
   *
   * @throws PikoError `USAGE` for more than the burst
   */
  tryTake(count = 1): boolean {
    readCall(TAKE, { count: [count, wholeNumber(1)] }, {})
    this.#assertFits(count)
    const now = this.#clock.monotonic()
    if (this.#turns.size > 0 || this.#allowance.readyAt(count, now) > now) return false
    this.#allowance.take(count, now)
    return true
  }

  /** Serves the callers one by one until none is waiting. */
  async #serve(): Promise<void> {
    if (this.#isServing) return
    this.#isServing = true
    for (let count = this.#turns.first; count !== undefined; count = this.#turns.first) {
      const now = this.#clock.monotonic()
      const readyAt = this.#allowance.readyAt(count, now)
      if (readyAt > now) await this.#sleepFor(Math.ceil(readyAt - now))
      else {
        this.#allowance.take(count, now)
        this.#turns.give()
        // The caller's code may block the event loop. So the clock is read for the next caller only after this one has continued.
        for (let hop = 0; hop < HOPS; hop++) await Promise.resolve()
      }
    }
    this.#isServing = false
  }

  /** Sleeps, but ends early if a caller leaves the queue, because that caller may have been the first in it. */
  async #sleepFor(ms: number): Promise<void> {
    this.#sleep = new AbortController()
    await this.#clock.sleep(ms, this.#sleep.signal)
    this.#sleep = undefined
  }

  #assertFits(count: number): void {
    if (count <= this.#burst) return
    throw new PikoError(
      'USAGE',
      `limiter.take: count is ${describe(count)}; expected at most ${this.#burst}, the burst of this limiter`,
      { details: { count, burst: this.#burst } },
    )
  }
}
