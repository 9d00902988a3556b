import { type Call, called } from '../calls/called.ts'
import { asFunction, readCall } from '../calls/call-checks.ts'
import { aConcurrency } from '../calls/concurrency.ts'
import { Turns } from '../calls/turns.ts'
import { anAbortSignal, type OptionChecks, wholeNumber } from '../options.ts'

export interface AddOptions {
  /** The priority, from −32,768 to 32,767, as in a job. Calls with a smaller number run first. Default 0. */
  readonly priority?: number
  /** Aborting this signal removes the call from the queue; `fn` receives the same signal. */
  readonly signal?: AbortSignal
}

const FORM = { call: 'pool', checks: {}, example: '{}' }
const ADD = {
  call: 'pool.add',
  checks: {
    priority: wholeNumber(-32_768, 32_767),
    signal: anAbortSignal,
  } satisfies OptionChecks<AddOptions>,
  example: '{ priority: -1 }',
}

/**
 * Runs at most `concurrency` calls at the same time; the others wait in the order of their priority, then of their arrival.
 *
 * @throws PikoError `USAGE`
 */
export function pool(concurrency: number): Pool {
  readCall(FORM, { concurrency: [concurrency, aConcurrency] }, {})
  return new Pool(concurrency)
}

/** Runs a limited number of calls at the same time, by priority. {@link pool} creates it. */
export class Pool {
  readonly concurrency: number
  /** The waiting calls by priority. */
  readonly #lanes = new Map<number, Turns<undefined>>()
  #running = 0
  #size = 0
  #isPaused = false
  #whenIdle: (() => void)[] = []

  /** @internal */
  constructor(concurrency: number) {
    this.concurrency = concurrency
  }

  /** The number of waiting calls. */
  get size(): number {
    return this.#size
  }

  /** The number of running calls. */
  get running(): number {
    return this.#running
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /**
   * Calls `fn` when it is its turn. A call counts until it has ended, even after its signal has aborted, so the pool never exceeds its
   * limit.
   *
   * @throws the signal's reason if it aborts before `fn` begins, and any error of `fn`
   * @throws PikoError `USAGE`
   */
  async add<T>(fn: Call<T>, options: AddOptions = {}): Promise<T> {
    const { priority = 0, signal } = readCall<AddOptions>(ADD, { fn: asFunction(fn) }, options)
    signal?.throwIfAborted()
    if (this.#isPaused || this.#running >= this.concurrency) await this.#turn(priority, signal)
    else this.#running++
    try {
      signal?.throwIfAborted()
      return await called(fn, signal ?? new AbortController().signal)
    } finally {
      this.#running--
      this.#start()
    }
  }

  /** Starts no further call; running ones continue. */
  pause(): void {
    this.#isPaused = true
  }

  /** Ends the pause. */
  resume(): void {
    this.#isPaused = false
    this.#start()
  }

  /** Resolves when no call is running and none is waiting. */
  async idle(): Promise<void> {
    if (this.#running + this.#size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }

  async #turn(priority: number, signal: AbortSignal | undefined): Promise<void> {
    const lane = this.#lanes.get(priority) ?? new Turns()
    this.#lanes.set(priority, lane)
    this.#size++
    await lane.wait(undefined, signal, () => {
      this.#left(priority, lane)
      this.#start()
    })
  }

  #left(priority: number, lane: Turns<undefined>): void {
    this.#size--
    if (lane.size === 0) this.#lanes.delete(priority)
  }

  #start(): void {
    while (!this.#isPaused && this.#size > 0 && this.#running < this.concurrency) {
      const priority = Math.min(...this.#lanes.keys())
      const lane = this.#lanes.get(priority) as Turns<undefined>
      this.#running++
      lane.give()
      this.#left(priority, lane)
    }
    if (this.#running + this.#size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}
