import { type Call, called } from '../calls/called.ts'
import { asFunction, readCall } from '../calls/call-checks.ts'
import { aConcurrency } from '../calls/concurrency.ts'
import { PikoError } from '../errors.ts'
import { anAbortSignal, type OptionChecks, wholeNumber } from '../options.ts'
import { Semaphore } from '../resource/semaphore.ts'

export interface BulkheadOptions {
  /** How many calls may wait for a place. Default 0. */
  readonly queue?: number
}

export interface RunCallOptions {
  /** Ends the wait; `fn` gets the same signal. */
  readonly signal?: AbortSignal
}

const FORM = {
  call: 'bulkhead',
  checks: { queue: wholeNumber(0) } satisfies OptionChecks<BulkheadOptions>,
  example: '{ queue: 10 }',
}
const RUN = {
  call: 'bulkhead.run',
  checks: { signal: anAbortSignal } satisfies OptionChecks<RunCallOptions>,
  example: '{ signal }',
}

/**
 * Runs at most `concurrency` calls at the same time and refuses calls that find no place, so one slow system can't occupy everything.
 *
 * @throws PikoError `USAGE`
 */
export function bulkhead(concurrency: number, options: BulkheadOptions = {}): Bulkhead {
  const { queue = 0 } = readCall<BulkheadOptions>(FORM, { concurrency: [concurrency, aConcurrency] }, options)
  return new Bulkhead(concurrency, queue)
}

/** See {@link bulkhead}. */
export class Bulkhead {
  readonly #places: Semaphore
  readonly #queue: number

  /** @internal */
  constructor(concurrency: number, queue: number) {
    this.#places = new Semaphore(concurrency)
    this.#queue = queue
  }

  /** Number of running calls. */
  get running(): number {
    return this.#places.active
  }

  /** Number of waiting calls. */
  get waiting(): number {
    return this.#places.waiting
  }

  /**
   * Calls `fn` when a place is free. The place becomes free when the call has ended, even after its signal has aborted.
   *
   * @throws PikoError `BULKHEAD_FULL` if the queue is full
   * @throws the signal's reason if it aborts before `fn` begins, and any error of `fn`
   * @throws PikoError `USAGE`
   */
  async run<T>(fn: Call<T>, options: RunCallOptions = {}): Promise<T> {
    const { signal } = readCall<RunCallOptions>(RUN, { fn: asFunction(fn) }, options)
    signal?.throwIfAborted()
    const { size, active, waiting } = this.#places
    if (active >= size && waiting >= this.#queue) throw this.#full()
    await this.#places.acquire(signal)
    try {
      signal?.throwIfAborted()
      return await called(fn, signal ?? new AbortController().signal)
    } finally {
      this.#places.release()
    }
  }

  #full(): PikoError {
    const { size } = this.#places
    return new PikoError(
      'BULKHEAD_FULL',
      `the bulkhead is full: ${size} ${size === 1 ? 'call runs' : 'calls run'}, ${this.#queue} may wait`,
      { details: { concurrency: size, queue: this.#queue } },
    )
  }
}
