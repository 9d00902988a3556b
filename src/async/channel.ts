import { PikoError } from '../errors.ts'
import { anAbortSignal, type OptionChecks, wholeNumber } from '../options.ts'
import { readCall } from '../calls/call-checks.ts'
import { Fifo } from '../resource/fifo.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'
import { Turns } from '../calls/turns.ts'

export interface ChannelOptions {
  /** The maximum number of values in the channel; further puts wait. With 0, each put waits until a consumer takes its value. */
  readonly capacity: number
}

export interface WaitOptions {
  /** Aborting this signal ends the wait. */
  readonly signal?: AbortSignal
}

const FORM = {
  call: 'new Channel',
  checks: { capacity: wholeNumber(0) } satisfies OptionChecks<ChannelOptions>,
  required: ['capacity'] as const,
  example: '{ capacity: 10 }',
}

const waitFor = (call: string) => ({
  call: `channel.${call}`,
  checks: { signal: anAbortSignal } satisfies OptionChecks<WaitOptions>,
  example: '{ signal }',
})
const [PUT, TAKE, VALUES] = [waitFor('put'), waitFor('take'), waitFor('values')]

/** How a channel has ended. `failed` holds the argument of `fail`; without it, the channel was closed. */
interface End {
  readonly failed?: { readonly reason: unknown }
}

/**
 * Passes values from any number of producers to any number of consumers, each value to one consumer, first in, first out. It holds at most
 * `capacity` values, so producers can't run faster than consumers.
 *
 * A channel is open at first. After `close()` it is closed, and its remaining values can still be taken. After `fail(error)` it has failed,
 * and its remaining values are dropped.
 *
 * @example
 * const urls = new Channel<string>({ capacity: 10 })
 * await urls.put('https://example.org')
 * urls.close()
 * for await (const url of urls) console.log(url)
 */
export class Channel<T> implements AsyncIterable<T> {
  readonly capacity: number
  readonly #held = new Fifo<{ readonly value: T }>()
  readonly #puts = new Turns<{ readonly value: T }>()
  readonly #takes = new Turns<undefined, T | typeof OVER>()
  #end: End | undefined

  /** @throws PikoError `USAGE` */
  constructor(options: ChannelOptions) {
    this.capacity = readCall<ChannelOptions>(FORM, {}, options).capacity as number
  }

  /** The number of values in the channel. */
  get size(): number {
    return this.#held.size
  }

  /** The number of waiting puts. */
  get waitingPuts(): number {
    return this.#puts.size
  }

  /** The number of waiting takes. */
  get waitingTakes(): number {
    return this.#takes.size
  }

  /** Whether the channel has been closed or has failed. */
  get isClosed(): boolean {
    return this.#end !== undefined
  }

  /**
   * Puts a value. Resolves when the value is in the channel or a consumer has received it.
   *
   * @throws the signal's reason if it aborts first, the error of `fail`, PikoError `CHANNEL_CLOSED`: no consumer gets the value
   */
  async put(value: T, options: WaitOptions = {}): Promise<void> {
    const { signal } = readCall<WaitOptions>(PUT, {}, options)
    signal?.throwIfAborted()
    if (!this.tryPut(value)) await this.#puts.wait({ value }, signal)
  }

  /**
   * Puts a value if this is possible without waiting.
   *
   * @returns whether it did
   * @throws the error of `fail`, PikoError `CHANNEL_CLOSED`
   */
  tryPut(value: T): boolean {
    if (this.#end) throw this.#error(this.#end)
    if (this.#takes.size > 0) this.#takes.give(value)
    else if (this.#held.size < this.capacity) this.#held.push({ value })
    else return false
    return true
  }

  /**
   * Takes the oldest value, or waits for one.
   *
   * @throws the signal's reason if it aborts first, the error of `fail`, PikoError `CHANNEL_CLOSED` when the channel is closed and empty
   */
  async take(options: WaitOptions = {}): Promise<T> {
    const { signal } = readCall<WaitOptions>(TAKE, {}, options)
    const value = await this.#take(signal)
    if (value === OVER) throw this.#error({})
    return value
  }

  /** Accepts no further puts. Rejects waiting puts and takes with `CHANNEL_CLOSED`; values in the channel can still be taken. */
  close(): void {
    if (this.#end) return
    this.#end = {}
    this.#puts.refuseAll(this.#error({}))
    while (this.#takes.size > 0) this.#takes.give(OVER)
  }

  /** Ends the channel with an error. Every put and take rejects with it, including waiting ones. Drops the remaining values. */
  fail(reason: unknown): void {
    if (this.#end?.failed) return
    this.#end = { failed: { reason } }
    while (this.#held.size > 0) this.#held.shift()
    this.#puts.refuseAll(reason)
    this.#takes.refuseAll(reason)
  }

  /**
   * Yields values until the channel is closed and empty. A consumer that leaves the loop does not close the channel.
   *
   * @throws in the loop: the signal's reason, the error of `fail`
   */
  values(options: WaitOptions = {}): AsyncIterableIterator<T, undefined> {
    const { signal } = readCall<WaitOptions>(VALUES, {}, options)
    return this.#values(signal)
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    return this.#values(undefined)
  }

  /**
   * Creates the iterator of `values`. It is not a generator: a generator's `return` waits for its pending `next`, which could take a value
   * that no consumer receives.
   */
  #values(signal: AbortSignal | undefined): AsyncIterableIterator<T, undefined> {
    const leaving = new AbortController()
    const values: AsyncIterableIterator<T, undefined> = {
      next: async () => {
        if (leaving.signal.aborted) return DONE
        const linked = new LinkedSignal(leaving.signal, signal)
        try {
          const value = await this.#take(linked.signal)
          return value === OVER ? DONE : { done: false, value }
        } catch (error) {
          if (leaving.signal.aborted) return DONE
          throw error
        } finally {
          linked.release()
        }
      },
      return: async () => {
        leaving.abort()
        return DONE
      },
      [Symbol.asyncIterator]: () => values,
    }
    return values
  }

  async #take(signal: AbortSignal | undefined): Promise<T | typeof OVER> {
    signal?.throwIfAborted()
    if (this.#end?.failed) throw this.#error(this.#end)
    const held = this.#held.shift()
    if (held) {
      if (this.#puts.size > 0) this.#held.push(this.#puts.give())
      return held.value
    }
    if (this.#puts.size > 0) return this.#puts.give().value
    return this.#end ? OVER : this.#takes.wait(undefined, signal)
  }

  #error({ failed }: End): unknown {
    if (failed) return failed.reason
    return new PikoError('CHANNEL_CLOSED', 'the channel is closed')
  }
}

/** The result of a take from a closed, empty channel. It is a symbol, because any other value may be in the channel. */
const OVER = Symbol('over')

const DONE = { done: true, value: undefined } as const
