import { isPikoError, type PikoError } from '../../errors.ts'
import { anAbortSignal, type OptionChecks, wholeNumber } from '../../options.ts'
import type { Duration } from '../../time/duration.ts'
import { MAX_CHUNK_BYTES, sizeOf } from '../streams/chunk-size.ts'
import { reviveError } from '../error-transfer.ts'
import { aDuration, aPriority } from '../pool/pool-options.ts'
import type { BatchResult } from '../protocol.ts'
import { BEGUN, BEGUN_AT, monotonicMs } from '../thread/batch.ts'

export interface OffloadMapOptions {
  /** The maximum number of batches that may be running, or waiting for a thread, at the same time. Default: twice the size of the pool. */
  readonly inFlight?: number
  /** How many items a batch has. Default: as many as take about 20 ms, at most 1,000. */
  readonly batch?: number
  /** Aborting this signal ends the map. An abort of the run's own signal also does. */
  readonly signal?: AbortSignal
  /** Batches with a higher number get a thread first. Default 0. */
  readonly priority?: number
  /** The time limit of each item. Default: the pool's. */
  readonly timeout?: Duration
}

export const MAP_CHECKS: OptionChecks<OffloadMapOptions> = {
  inFlight: wholeNumber(1, 10_000),
  batch: wholeNumber(1, 100_000),
  signal: anAbortSignal,
  priority: aPriority,
  timeout: aDuration,
}

/** Sends a batch to a thread. Aborting the signal ends the batch and also its thread. */
export interface SendBatch {
  (items: readonly unknown[], state: Int32Array, signal: AbortSignal): Promise<readonly BatchResult[]>
}

export interface MapPlan {
  readonly send: SendBatch
  readonly inFlight: number
  readonly batch: number | undefined
  readonly timeoutMs: number | undefined
  readonly timedOut: (ms: number) => PikoError
  /** Receives the results of a batch with the index of its first item and its number of items. Batches may arrive in any order. */
  readonly onResults: (first: number, results: readonly BatchResult[], count: number) => void
}

interface Batch {
  readonly first: number
  readonly items: readonly unknown[]
}

const TARGET_MS = 20
const MAX_ITEMS = 1_000
const MAX_GROWTH = 4

/**
 * Returns the size of the next batch. The duration of the last batch shows how many items take about 20 ms. The new size is at most four
 * times the last one.
 */
export function nextSize(items: number, tookMs: number): number {
  const wanted = Math.floor((items * TARGET_MS) / Math.max(tookMs, 0.1))
  return Math.max(1, Math.min(wanted, items * MAX_GROWTH, MAX_ITEMS))
}

/**
 * Sends items to threads in batches. The number of batches at the same time is limited. If an item causes its thread to end, only that item
 * fails.
 */
export class MapRun {
  readonly #plan: MapPlan
  readonly #items: AsyncIterator<unknown> | Iterator<unknown>
  readonly #abort = new AbortController()
  #size: number
  #taken = 0
  #isDone = false
  #taking: Promise<unknown> = Promise.resolve()

  constructor(items: Iterable<unknown> | AsyncIterable<unknown>, plan: MapPlan) {
    this.#plan = plan
    this.#size = plan.batch ?? 1
    this.#items = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  }

  /** Processes all items. @throws the error of the source or of a signal */
  async run(): Promise<void> {
    try {
      await Promise.all(Array.from({ length: this.#plan.inFlight }, () => this.#lane()))
    } catch (error) {
      this.#isDone = true
      this.#abort.abort(error)
      await this.#items.return?.()
      throw error
    }
  }

  async #lane(): Promise<void> {
    for (let batch = await this.#take(); batch !== undefined; batch = await this.#take()) {
      const began = performance.now()
      await this.#settle(batch)
      if (this.#plan.batch === undefined) this.#size = nextSize(batch.items.length, performance.now() - began)
    }
  }

  /** Takes the next items from the source. The lanes do this one after another, never at the same time. */
  #take(): Promise<Batch | undefined> {
    const taking = this.#taking.then(() => this.#takeNow())
    this.#taking = taking.catch(() => {})
    return taking
  }

  async #takeNow(): Promise<Batch | undefined> {
    const items: unknown[] = []
    const first = this.#taken
    let bytes = 0
    while (!this.#isDone && items.length < this.#size && bytes < MAX_CHUNK_BYTES) {
      const next = await this.#items.next()
      if (next.done) this.#isDone = true
      else {
        items.push(next.value)
        bytes += sizeOf(next.value)
      }
    }
    this.#taken += items.length
    return items.length === 0 ? undefined : { first, items }
  }

  async #settle({ first, items }: Batch): Promise<void> {
    const state = new Int32Array(new SharedArrayBuffer(8))
    try {
      this.#plan.onResults(first, await this.#send(items, state), items.length)
    } catch (error) {
      const begun = Atomics.load(state, BEGUN)
      const failed: BatchResult = { thrown: error }
      if (!isOfItem(error)) throw error
      if (items.length === 1) return this.#plan.onResults(first, [failed], 1)
      if (isPikoError(error, 'OFFLOAD_COPY')) {
        // An item of the batch, or its result, can't be copied. The batch is halved repeatedly to find it.
        const half = items.length >> 1
        await this.#settle({ first, items: items.slice(0, half) })
        return this.#settle({ first: first + half, items: items.slice(half) })
      }
      if (begun === 0)
        return this.#plan.onResults(
          first,
          items.map(() => failed),
          items.length,
        )
      // The thread ended during the item that began last. The results of the earlier items were lost too, so the function is called for
      // them again.
      if (begun > 1) await this.#settle({ first, items: items.slice(0, begun - 1) })
      this.#plan.onResults(first + begun - 1, [failed], 1)
      if (begun < items.length) await this.#settle({ first: first + begun, items: items.slice(begun) })
    }
  }

  async #send(items: readonly unknown[], state: Int32Array): Promise<readonly BatchResult[]> {
    const { send, timeoutMs, timedOut } = this.#plan
    if (timeoutMs === undefined) return send(items, state, this.#abort.signal)
    const late = new AbortController()
    const look = setInterval(
      () => {
        if (Atomics.load(state, BEGUN) === 0) return
        const tookMs = (monotonicMs() - Atomics.load(state, BEGUN_AT)) & 0x7fff_ffff
        if (tookMs > timeoutMs) late.abort(timedOut(timeoutMs))
      },
      Math.max(10, timeoutMs / 10),
    )
    try {
      return await send(items, state, AbortSignal.any([this.#abort.signal, late.signal]))
    } finally {
      clearInterval(look)
    }
  }
}

const OF_ITEM = ['OFFLOAD_COPY', 'OFFLOAD_TIMEOUT', 'OFFLOAD_MEMORY', 'OFFLOAD_EXIT', 'OFFLOAD_CRASHED'] as const

/** Whether a single item caused the error, and not the map as a whole. */
function isOfItem(error: unknown): boolean {
  return OF_ITEM.some((code) => isPikoError(error, code))
}

/** Returns the result of an item in the form of `Promise.allSettled`. */
export function settledOf(result: BatchResult): PromiseSettledResult<unknown> {
  return 'value' in result
    ? { status: 'fulfilled', value: result.value }
    : { status: 'rejected', reason: reasonOf(result) }
}

export function reasonOf(result: Exclude<BatchResult, { readonly value: unknown }>): unknown {
  return 'thrown' in result ? result.thrown : reviveError(result.error)
}
