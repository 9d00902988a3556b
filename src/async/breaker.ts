import { type Call, called } from '../calls/called.ts'
import { asFunction, askAbout, readCall } from '../calls/call-checks.ts'
import { aDuration } from '../time/duration-check.ts'
import { type Clock, systemClock } from '../clock.ts'
import { headline } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { aFunction, anAbortSignal, type OptionChecks, wholeNumber } from '../options.ts'
import { RetryLaterError } from '../run/retry-errors.ts'
import { type Duration, durationMs, formatMs, MAX_STORED_MS } from '../time/duration.ts'
import type { RunCallOptions } from './bulkhead.ts'

export interface BreakerOptions {
  /** The number of failures in a row after which the breaker opens. */
  readonly failures: number
  /** How long the breaker refuses calls before it allows one as a trial. */
  readonly cooldown: Duration
  /**
   * Whether an error counts as a failure of the called system. For example, a 503 is a failure, a 404 is not. Default: every error counts.
   */
  readonly failIf?: (error: Error) => boolean
}

const FORM = {
  call: 'breaker',
  checks: {
    failures: wholeNumber(1),
    cooldown: aDuration(1, MAX_STORED_MS),
    failIf: aFunction,
  } satisfies OptionChecks<BreakerOptions>,
  required: ['failures', 'cooldown'] as const,
  example: "{ failures: 5, cooldown: '30s' }",
}
const RUN = {
  call: 'breaker.run',
  checks: { signal: anAbortSignal } satisfies OptionChecks<RunCallOptions>,
  example: '{ signal }',
}

/**
 * Stops calls to a system that keeps failing. After `failures` failures in a row, refuses every call for `cooldown`. Then allows one call
 * as a trial: if it succeeds, the breaker closes; if it fails, the breaker opens again.
 *
 * @throws PikoError `USAGE`
 */
export function breaker(options: BreakerOptions): Breaker {
  const { failures, cooldown, failIf } = readCall<BreakerOptions>(FORM, {}, options)
  return new Breaker(failures as number, durationMs(cooldown as Duration), failIf, systemClock)
}

/** Refuses calls while a system is failing. {@link breaker} explains the rules. */
export class Breaker {
  readonly #limit: number
  readonly #cooldownMs: number
  readonly #failIf: BreakerOptions['failIf']
  readonly #clock: Clock
  #failures = 0
  /** When the next trial may begin; undefined while the breaker is closed. */
  #trialAt: number | undefined
  /** Changes whenever the breaker opens, closes or begins a trial. So the result of an earlier call has no effect. */
  #epoch = 0
  #lastError: unknown

  /** @internal */
  constructor(failures: number, cooldownMs: number, failIf: BreakerOptions['failIf'], clock: Clock) {
    this.#limit = failures
    this.#cooldownMs = cooldownMs
    this.#failIf = failIf
    this.#clock = clock
  }

  /** `'open'`: calls are refused. `'trial'`: the next call is allowed. */
  get state(): 'closed' | 'open' | 'trial' {
    if (this.#trialAt === undefined) return 'closed'
    return this.#clock.monotonic() < this.#trialAt ? 'open' : 'trial'
  }

  /**
   * Calls `fn` unless the breaker is open.
   *
   * @throws PikoError `BREAKER_OPEN`; a retry waits until the cooldown is over
   * @throws any error of `fn`, which does not count as a failure if the signal had aborted
   * @throws PikoError `USAGE`
   */
  async run<T>(fn: Call<T>, options: RunCallOptions = {}): Promise<T> {
    const { signal } = readCall<RunCallOptions>(RUN, { fn: asFunction(fn) }, options)
    signal?.throwIfAborted()
    const epoch = this.#admit()
    try {
      const value = await called(fn, signal ?? new AbortController().signal)
      if (epoch === this.#epoch) this.#close()
      return value
    } catch (thrown) {
      if (epoch === this.#epoch) this.#failed(thrown, signal?.aborted ?? false)
      throw thrown
    }
  }

  /** Returns the epoch of the call, or throws if it must not begin. */
  #admit(): number {
    if (this.#trialAt === undefined) return this.#epoch
    const leftMs = this.#trialAt - this.#clock.monotonic()
    if (leftMs > 0) throw this.#refusal(leftMs)
    // There is only one trial at a time. If it does not end within another cooldown, the next trial may begin.
    this.#trialAt += this.#cooldownMs - leftMs
    return ++this.#epoch
  }

  #close(): void {
    this.#failures = 0
    if (this.#trialAt === undefined) return
    this.#trialAt = undefined
    this.#epoch++
  }

  #failed(thrown: unknown, isAborted: boolean): void {
    if (isAborted) {
      // The trial ended without a result, so the next call becomes the trial.
      if (this.#trialAt !== undefined) this.#trialAt = this.#clock.monotonic()
      return
    }
    if (this.#failIf && !askAbout('failIf', this.#failIf, thrown)) return this.#close()
    this.#lastError = thrown
    if (this.#trialAt === undefined && ++this.#failures < this.#limit) return
    this.#trialAt = this.#clock.monotonic() + this.#cooldownMs
    this.#epoch++
  }

  #refusal(leftMs: number): PikoError {
    const retryInMs = Math.ceil(leftMs)
    const message = `the breaker is open for another ${formatMs(retryInMs)}, because calls failed: ${headline(this.#lastError)}`
    return new PikoError('BREAKER_OPEN', message, {
      // A retry, including the retry of a job, takes the time of its next attempt from this cause.
      cause: new RetryLaterError('the breaker is open', { after: `${retryInMs}ms` }),
      details: { retryInMs },
    })
  }
}
