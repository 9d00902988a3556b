import { messageOf } from '../errors-read.ts'
import { describe, PikoError, toError } from '../errors.ts'
import { loopTurn } from '../loop-turn.ts'
import { checkRows } from './check-rows.ts'
import type { Route, Routes } from './routes.ts'
import { rowBytes } from './row-bytes.ts'
import type { RowInputOf, RowModel, Sink, SinkBatch, SinkScope, SinkWriter } from './sink.ts'
import { WatchedWrite } from './watched-write.ts'

/** More rows of one write are checked in several turns of the event loop. */
const MAX_ROWS_A_TURN = 1_000
/** Rows of such a write that are checked before the clock is looked at. */
const SLICE = 100

/** A sink of the process, with data about its class. */
export interface SinkTarget {
  readonly name: string
  readonly sink: Sink
  readonly routes: Routes
  readonly batchSize: number
  readonly batchBytes: number
}

interface Buffer {
  readonly route: Route
  rows: unknown[]
  bytes: number
  /** The index of the next batch. */
  index: number
}

/**
 * One run's writer for one sink: checks rows, groups them by model and delivers full batches, one at a time. Memory holds at most the batch
 * in delivery and one batch per model, each limited by rows and by bytes.
 *
 * writing → `flush()` → over, or → `discard()` → discarded; an abort of the run's signal ends deliveries in any state.
 */
export class BufferedSink implements SinkWriter {
  readonly #target: SinkTarget
  readonly #scope: SinkScope
  readonly #buffers = new Map<RowModel, Buffer>()
  #state: 'writing' | 'over' | 'discarded' = 'writing'
  /** The pending writes, in the order of their calls; never rejects. */
  #turn: Promise<void> = Promise.resolve()
  #turns = 0
  /** The running delivery; never rejects. */
  #delivery: Promise<void> | undefined
  #failure: PikoError | undefined
  /** Errors of refused writes that no caller has looked at: nothing else reports those lost rows. */
  readonly #unseen = new Set<Error>()
  #flushed: Promise<void> | undefined
  #isFlushed = false

  constructor(target: SinkTarget, scope: SinkScope) {
    this.#target = target
    this.#scope = scope
  }

  write<M extends RowModel>(model: M, rows: RowInputOf<M> | readonly RowInputOf<M>[]): Promise<void> {
    try {
      const list: readonly unknown[] = Array.isArray(rows) ? rows : [rows]
      if (list.length > MAX_ROWS_A_TURN) return this.#watched(this.#acceptMany(model, list))
      return this.#accept(model, list) ?? Promise.resolve()
    } catch (error) {
      const refusal = toError(error)
      this.#unseen.add(refusal)
      if (this.#isFlushed) setImmediate(() => this.#tellIfUnseen(refusal))
      return new WatchedWrite(Promise.reject(refusal), () => this.#unseen.delete(refusal))
    }
  }

  /**
   * Delivers the remaining rows after the pending writes. Clears the window of a model that got no row.
   *
   * @throws PikoError `SINK_FAILED` if any delivery of the run failed
   * @throws the error of a refused write that nobody awaited
   * @throws the reason of the run's signal once it has aborted
   */
  flush(): Promise<void> {
    if (this.#state === 'writing') this.#state = 'over'
    return (this.#flushed ??= this.#inTurn(() => this.#flush()))
  }

  /** Drops the undelivered rows and waits for the running delivery; ignores its error. */
  async discard(): Promise<void> {
    this.#state = 'discarded'
    this.#buffers.clear()
    await this.#delivery
  }

  /** Returns undefined if the rows are already buffered. */
  #accept(model: RowModel, rows: readonly unknown[]): Promise<void> | undefined {
    const route = this.#openRoute(model)
    const checked = checkRows(this.#target.name, route, rows)
    if (checked.length === 0) return undefined
    const buffer = this.#bufferOf(route)
    const sizes = this.#sizesOf(route, checked)
    const bytes = sizes.reduce((sum, size) => sum + size, buffer.bytes)
    const { batchSize, batchBytes } = this.#target
    // Most writes only add to a batch and wait for nothing.
    if (this.#turns === 0 && buffer.rows.length + checked.length < batchSize && bytes < batchBytes) {
      for (const row of checked) buffer.rows.push(row)
      buffer.bytes = bytes
      return undefined
    }
    return this.#inTurn(() => this.#add(buffer, checked, sizes))
  }

  /** Checks the rows in slices, so that the event loop has its turns. Keeps the list as it is now: the caller goes on between them. */
  #acceptMany(model: RowModel, given: readonly unknown[]): Promise<void> {
    const route = this.#openRoute(model)
    const rows = given.slice()
    return this.#inTurn(async () => {
      const checked: unknown[] = []
      const sizes: number[] = []
      for (let from = 0; from < rows.length; from += SLICE) {
        if (loopTurn.isDue(false)) await loopTurn.next()
        this.#assertUsable()
        const slice = checkRows(this.#target.name, route, rows.slice(from, from + SLICE), from)
        for (const row of slice) checked.push(row)
        for (const size of this.#sizesOf(route, slice, from)) sizes.push(size)
      }
      await this.#add(this.#bufferOf(route), checked, sizes)
    })
  }

  /** A write whose refusal comes later: it fails the run if nobody looks at it. */
  #watched(outcome: Promise<void>): Promise<void> {
    let isSeen = false
    let refusal: Error | undefined
    outcome.catch((thrown: unknown) => {
      refusal = toError(thrown)
      if (!isSeen) this.#unseen.add(refusal)
    })
    return new WatchedWrite(outcome, () => {
      isSeen = true
      if (refusal) this.#unseen.delete(refusal)
    })
  }

  /** @throws PikoError if the attempt is over, a delivery has failed, or the model is unknown */
  #openRoute(model: RowModel): Route {
    if (this.#state === 'over') throw this.#isOver()
    this.#assertUsable()
    return this.#routeOf(model)
  }

  /** @param from the index of the first row in its write */
  #sizesOf({ modelName }: Route, rows: readonly unknown[], from = 0): number[] {
    const { name, batchBytes } = this.#target
    return rows.map((row, index) => {
      const size = rowBytes(row)
      if (size <= batchBytes) return size
      throw new PikoError(
        'SINK_ROW_INVALID',
        `sink ${name}: row ${from + index} of ${modelName} holds about ${size} bytes, more than a batch may (${batchBytes}); raise batchBytes of the sink, or store the data elsewhere and write a reference`,
        { details: { sink: name, model: modelName, index: from + index, bytes: size } },
      )
    })
  }

  async #add(buffer: Buffer, rows: readonly unknown[], sizes: readonly number[]): Promise<void> {
    const { batchSize, batchBytes } = this.#target
    for (const [index, row] of rows.entries()) {
      const size = sizes[index] ?? 0
      this.#assertUsable()
      if (buffer.rows.length > 0 && buffer.bytes + size > batchBytes) await this.#startDelivery(buffer)
      buffer.rows.push(row)
      buffer.bytes += size
      if (buffer.rows.length >= batchSize || buffer.bytes >= batchBytes) await this.#startDelivery(buffer)
    }
  }

  async #flush(): Promise<void> {
    this.#assertUsable()
    this.#assertAllSeen()
    for (const buffer of this.#buffers.values()) if (buffer.rows.length > 0) await this.#startDelivery(buffer)
    await this.#delivery
    this.#assertUsable()
    this.#assertAllSeen()
    await this.#clear()
    this.#isFlushed = true
  }

  async #clear(): Promise<void> {
    const { sink, routes } = this.#target
    if (this.#scope.window === undefined || !sink.clear) return
    try {
      for (const model of routes.keys()) if (!this.#buffers.has(model)) await sink.clear(this.#scope, model)
    } catch (error) {
      throw (this.#failure = this.#failed('could not clear its window', error))
    }
  }

  /** The run has succeeded without this write, so it is too late to fail it. */
  #tellIfUnseen(refusal: Error): void {
    if (this.#unseen.has(refusal)) this.#scope.log.error({ err: refusal }, 'rows were written too late and are lost')
  }

  #assertAllSeen(): void {
    const [first] = this.#unseen
    if (first) throw first
  }

  /** Waits for the previous delivery, not for this one. */
  async #startDelivery(buffer: Buffer): Promise<void> {
    await this.#delivery
    this.#assertUsable()
    const { rows, route, index } = buffer
    buffer.rows = []
    buffer.bytes = 0
    buffer.index++
    this.#delivery = this.#deliver(route, rows, index)
  }

  async #deliver({ modelName, method }: Route, rows: unknown[], index: number): Promise<void> {
    const { jobId, runId, window } = this.#scope
    const part = window ? window.start.toISOString() : `run:${runId}`
    const batch: SinkBatch = { ...this.#scope, index, key: `${jobId}/${part}/${modelName}/${index}` }
    const { sink } = this.#target
    try {
      await (sink as unknown as Record<string | symbol, (rows: unknown[], batch: SinkBatch) => unknown>)[method]?.(
        rows,
        batch,
      )
    } catch (error) {
      this.#failure = this.#failed(`failed to deliver batch ${index} of ${modelName} (${rows.length} rows)`, error)
      this.#buffers.clear()
    } finally {
      this.#delivery = undefined
    }
  }

  #assertUsable(): void {
    if (this.#failure) throw this.#failure
    if (this.#scope.signal.aborted) throw toError(this.#scope.signal.reason)
    if (this.#state === 'discarded') throw this.#isOver()
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turns++
    const done = this.#turn.then(work).finally(() => this.#turns--)
    // This also prevents an unawaited write from ending the process: the run reports every error from here.
    this.#turn = done.catch(() => {})
    return done
  }

  #bufferOf(route: Route): Buffer {
    const buffer = this.#buffers.get(route.model) ?? { route, rows: [], bytes: 0, index: 0 }
    this.#buffers.set(route.model, buffer)
    return buffer
  }

  #routeOf(model: RowModel): Route {
    const { routes, name } = this.#target
    const route = routes.get(model)
    if (route) return route
    const known = [...routes.values()].map(({ modelName }) => modelName).join(', ') || 'no model at all'
    const given = typeof model === 'function' ? model.name : 'this schema'
    throw new PikoError(
      'SINK_MODEL_UNKNOWN',
      `sink ${name} has no @on for ${given}; it takes ${known}. Pass the same class or schema object as to @on, not a copy`,
      { details: { sink: name, model: describe(given) } },
    )
  }

  #isOver(): PikoError {
    const { runId, attempt } = this.#scope
    return new PikoError(
      'STOPPED',
      `sink ${this.#target.name}: attempt ${attempt} of run ${runId} is over; await every write in the handler`,
    )
  }

  #failed(what: string, thrown: unknown): PikoError {
    const cause = toError(thrown)
    const { name } = this.#target
    return new PikoError('SINK_FAILED', `sink ${name} ${what}: ${messageOf(cause)}`, { cause, details: { sink: name } })
  }
}
