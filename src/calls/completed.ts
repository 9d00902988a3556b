import { Semaphore } from '../resource/semaphore.ts'
import { anAbortSignal, type OptionChecks } from '../options.ts'
import { asFunction, readCall } from './call-checks.ts'
import { called } from './called.ts'
import { aConcurrency, DEFAULT_CONCURRENCY } from './concurrency.ts'
import { aSource, drawn, type Source } from './drawn.ts'
import { settled } from './fan-out.ts'
import { LinkedSignal } from '../signals/linked-signal.ts'

export interface CompletedOptions {
  /** The maximum number of calls that run at the same time. Default 8. */
  readonly concurrency?: number
  /** Aborting this signal ends the loop with the signal's reason. */
  readonly signal?: AbortSignal
}

/** The result of one call. */
export type Completed<T, U> = { readonly index: number; readonly item: T } & PromiseSettledResult<U>

const FORM = {
  call: 'completed',
  checks: { concurrency: aConcurrency, signal: anAbortSignal } satisfies OptionChecks<CompletedOptions>,
  example: '{ concurrency: 4 }',
}

/** A call for one item. The signal aborts when the loop ends early. */
export type ItemCall<T, U> = (item: T, index: number, signal: AbortSignal) => Promise<U> | U

/**
 * Calls `fn` for every item, at most `concurrency` at the same time, and yields the results in the order in which the calls end. Starts
 * when the loop starts. A result that the loop has not yet taken counts as a running call. So a slow loop makes the calls wait. Leaving the
 * loop aborts the signals of the running calls, and waits until they have ended.
 *
 * @example
 * for await (const { item, status } of completed(urls, (url, _, signal) => fetch(url, { signal }))) console.log(item, status)
 *
 * @throws PikoError `USAGE`; in the loop, the signal's reason, and the error of the source after the results of the calls
 */
export function completed<T, U>(
  items: Source<T>,
  fn: ItemCall<T, U>,
  options: CompletedOptions = {},
): AsyncGenerator<Completed<T, U>, void, void> {
  const { concurrency = DEFAULT_CONCURRENCY, signal } = readCall<CompletedOptions>(
    FORM,
    { items: [items, aSource], fn: asFunction(fn) },
    options,
  )
  return inOrderOfEnds(items, fn, concurrency, signal)
}

async function* inOrderOfEnds<T, U>(
  items: Source<T>,
  fn: ItemCall<T, U>,
  concurrency: number,
  parent: AbortSignal | undefined,
): AsyncGenerator<Completed<T, U>, void, void> {
  const linked = new LinkedSignal(parent)
  const calls = new Calls(fn, concurrency, linked.signal)
  const drawing = calls.drawAll(items)
  try {
    for (;;) {
      const next = await calls.next()
      if (!next) break
      yield next
      calls.taken()
    }
  } finally {
    linked.abort()
    await drawing
    linked.release()
  }
}

/** Starts calls, and keeps the results that the loop has not taken yet. */
class Calls<T, U> {
  readonly #fn: ItemCall<T, U>
  readonly #signal: AbortSignal
  readonly #places: Semaphore
  readonly #ended: Completed<T, U>[] = []
  #running = 0
  #hasAll = false
  #failure: { readonly error: unknown } | undefined
  #wake = (): void => {}

  constructor(fn: ItemCall<T, U>, concurrency: number, signal: AbortSignal) {
    this.#fn = fn
    this.#places = new Semaphore(concurrency)
    this.#signal = signal
  }

  /** Calls the function for all items. Resolves when the last call has ended; never rejects. */
  async drawAll(items: Source<T>): Promise<void> {
    let index = 0
    const running = new Set<Promise<void>>()
    try {
      await this.#places.acquire(this.#signal)
      for await (const item of drawn(items, this.#signal)) {
        const call: Promise<void> = this.#call(item, index++).finally(() => running.delete(call))
        running.add(call)
        await this.#places.acquire(this.#signal)
      }
    } catch (error) {
      this.#failure = { error }
    }
    this.#hasAll = true
    this.#wake()
    await Promise.all(running)
  }

  async #call(item: T, index: number): Promise<void> {
    this.#running++
    // Each call has its own signal, because the caller may still use a result after the loop has ended, for example to read a body.
    const linked = new LinkedSignal(this.#signal)
    const end = await settled(() => called((signal) => this.#fn(item, index, signal), linked.signal))
    linked.release()
    this.#running--
    this.#ended.push({ index, item, ...end })
    this.#wake()
  }

  /** Returns the next result; undefined after the last. */
  async next(): Promise<Completed<T, U> | undefined> {
    while (this.#ended.length === 0 && !(this.#hasAll && this.#running === 0)) {
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    this.#signal.throwIfAborted()
    if (this.#failure && this.#ended.length === 0) throw this.#failure.error
    return this.#ended.shift()
  }

  /** Frees the place of a result with which the loop has finished, so that another call may start. */
  taken(): void {
    this.#places.release()
  }
}
