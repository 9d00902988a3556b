import { type Call, called } from '../calls/called.ts'
import { asFunction, readCall } from '../calls/call-checks.ts'
import { aConcurrency } from '../calls/concurrency.ts'
import { Turns } from '../calls/turns.ts'
import { PikoError } from '../errors.ts'
import { anAbortSignal, type OptionChecks, wholeNumber } from '../options.ts'

export interface BulkheadOptions {
  /** The maximum number of calls that may wait for their turn. Default 0. */
  readonly queue?: number
}

export interface RunCallOptions {
  /** Aborting this signal ends the wait; `fn` receives the same signal. */
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
 * Runs at most `concurrency` calls at the same time, and refuses further calls when the queue is full. So one slow system can't use all
 * capacity.
 *
 * @throws PikoError `USAGE`
 */
export function bulkhead(concurrency: number, options: BulkheadOptions = {}): Bulkhead {
  const { queue = 0 } = readCall<BulkheadOptions>(FORM, { concurrency: [concurrency, aConcurrency] }, options)
  return new Bulkhead(concurrency, queue)
}

/** Limits how many calls run and wait. {@link bulkhead} creates it. */
export class Bulkhead {
  readonly #concurrency: number
  readonly #queue: number
  readonly #turns = new Turns<undefined>()
  #running = 0

  /** @internal */
  constructor(concurrency: number, queue: number) {
    this.#concurrency = concurrency
    this.#queue = queue
  }

  /** The number of running calls. */
  get running(): number {
    return this.#running
  }

  /** The number of waiting calls. */
  get waiting(): number {
    return this.#turns.size
  }

  /**
   * Calls `fn` when fewer than `concurrency` calls are running. A call counts until it has ended, even after its signal has aborted.
   *
   * @throws PikoError `BULKHEAD_FULL` if the queue is full
   * @throws the signal's reason if it aborts before `fn` begins, and any error of `fn`
   * @throws PikoError `USAGE`
   */
  async run<T>(fn: Call<T>, options: RunCallOptions = {}): Promise<T> {
    const { signal } = readCall<RunCallOptions>(RUN, { fn: asFunction(fn) }, options)
    signal?.throwIfAborted()
    if (this.#running < this.#concurrency) this.#running++
    else if (this.#turns.size < this.#queue) await this.#turns.wait(undefined, signal)
    else throw this.#full()
    try {
      signal?.throwIfAborted()
      return await called(fn, signal ?? new AbortController().signal)
    } finally {
      // The next waiting caller takes the slot of this one.
      if (this.#turns.size > 0) this.#turns.give()
      else this.#running--
    }
  }

  #full(): PikoError {
    const [concurrency, queue] = [this.#concurrency, this.#queue]
    return new PikoError(
      'BULKHEAD_FULL',
      `the bulkhead is full: ${concurrency} ${concurrency === 1 ? 'call is running' : 'calls are running'}, ${queue} ${queue === 1 ? 'is' : 'are'} waiting`,
      { details: { concurrency, queue } },
    )
  }
}
