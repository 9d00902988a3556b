import { checkedCall } from '../call-options.ts'
import { aFunction, anAbortSignal, aText, type OptionChecks, wholeNumber } from '../options.ts'
import { readCall } from '../calls/call-checks.ts'
import type {
  SharedHandle,
  SharedHistory,
  SharedReason,
  SharedRecord,
  SharedVersion,
  SharedWait,
} from '../job/shared-value.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'

const MAX_HISTORY = 100

const REASON: OptionChecks<SharedReason> = { reason: aText }
const WAIT: OptionChecks<SharedWait> = { signal: anAbortSignal }
const HISTORY: OptionChecks<SharedHistory> = { limit: wholeNumber(1, MAX_HISTORY), before: wholeNumber(1) }
const UPDATE = { call: 'shared.update', checks: REASON, example: "{ reason: 'sale' }" }
const ROLLBACK = { call: 'shared.rollback', checks: REASON, example: "{ reason: 'sale is over' }" }

/** The part of a shared value that its handles use. */
export interface HandledTopic<T, I> {
  readonly name: string
  readonly current: SharedVersion<T>
  /** Aborts when the app stops. */
  readonly stopped: AbortSignal
  publish(value: I, reason: SharedReason): Promise<number>
  update(fn: (value: T) => I | Promise<I>, reason: SharedReason): Promise<number>
  rollback(version: number, reason: SharedReason): Promise<number>
  refresh(): Promise<number>
  history(limit: number, before?: number): Promise<SharedRecord[]>
  /** Resolves at the next change. @throws the reason of the signal */
  next(signal: AbortSignal): Promise<void>
}

/** A user's access to a shared value. It remembers the last version that `changed` returned. */
export class Handle<T, I> implements SharedHandle<T, I> {
  readonly #topic: HandledTopic<T, I>
  readonly #signal: AbortSignal | undefined
  #given: number

  constructor(topic: HandledTopic<T, I>, signal: AbortSignal | undefined) {
    this.#topic = topic
    this.#signal = signal
    this.#given = topic.current.version
  }

  get topic(): string {
    return this.#topic.name
  }

  get value(): T {
    return this.#topic.current.value
  }

  get version(): number {
    return this.#topic.current.version
  }

  async publish(value: I, options: SharedReason = {}): Promise<number> {
    return this.#topic.publish(value, checkedCall('shared.publish', REASON, options))
  }

  async update(fn: (value: T) => I | Promise<I>, options: SharedReason = {}): Promise<number> {
    return this.#topic.update(fn, readCall<SharedReason>(UPDATE, { fn: [fn, aFunction] }, options))
  }

  async changed(options: SharedWait = {}): Promise<T> {
    const { signal } = checkedCall('shared.changed', WAIT, options)
    const linked = this.#linked(signal)
    try {
      linked.signal.throwIfAborted()
      while (this.version <= this.#given) await this.#topic.next(linked.signal)
      const { value, version } = this.#topic.current
      this.#given = version
      return value
    } finally {
      linked.release()
    }
  }

  async *watch(options: SharedWait = {}): AsyncGenerator<SharedVersion<T>, void, void> {
    const { signal } = checkedCall('shared.watch', WAIT, options)
    const linked = this.#linked(signal)
    try {
      for (let given = 0; !linked.signal.aborted;) {
        const { current } = this.#topic
        if (current.version > given) {
          given = current.version
          yield current
        } else await this.#topic.next(linked.signal)
      }
    } catch (thrown) {
      if (!linked.signal.aborted || thrown !== linked.signal.reason) throw thrown
    } finally {
      linked.release()
    }
  }

  refresh(): Promise<number> {
    return this.#topic.refresh()
  }

  async history(options: SharedHistory = {}): Promise<SharedRecord[]> {
    const { limit = 20, before } = checkedCall('shared.history', HISTORY, options)
    return this.#topic.history(limit, before)
  }

  async rollback(version: number, options: SharedReason = {}): Promise<number> {
    const read = readCall<SharedReason>(ROLLBACK, { version: [version, wholeNumber(1)] }, options)
    return this.#topic.rollback(version, read)
  }

  #linked(signal: AbortSignal | undefined): LinkedSignal {
    return new LinkedSignal(this.#topic.stopped, this.#signal, signal)
  }
}
