// Long because it is one state machine: accepting, batching, lingering, flushing.
import { counted } from '../counted.ts'
import { messageOf } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'
import { loopTurn } from '../loop-turn.ts'
import { checkRows } from './check-rows.ts'
import { BatchDelivery } from './delivery/batch-delivery.ts'
import { LaneChoice, Lanes } from './lanes.ts'
import type { Route } from './routes.ts'
import { rowBytes } from './row-bytes.ts'
import type { RowModel, SinkScope, SinkWriter } from './sink.ts'
import type { SinkTarget } from './sink-target.ts'
import { WatchedWrite } from './watched-write.ts'

/** If a write has more rows than this, the rows are checked in several turns of the event loop. */
const MAX_ROWS_A_TURN = 1_000
/** During a write with many rows, the clock is read again after this many rows. */
const SLICE = 100
/**
 * How often writes yield to the event loop during a delivery. Otherwise the target would have to wait while rows of the next batch are
 * checked.
 */
const TURN_EVERY_MS = 2

/** The rows of one route in the current attempt. */
interface RouteState {
  readonly route: Route
  /** The batches that are not full yet, by lane. With one writer or without a key, there is only one, in lane 0. */
  readonly buffers: Map<number, Buffer>
  /** The number of the next batch. */
  next: number
  hasDelivered: boolean
  /** The delivery of the first batch. The other deliveries wait for it, because it deletes the rows of earlier attempts. */
  first: Promise<void> | undefined
}

interface Buffer {
  readonly state: RouteState
  readonly lane: number
  rows: unknown[]
  bytes: number
  /** When the oldest row of the buffer was written. */
  since: number
}

/** The checked rows of one write. */
interface Accepted {
  readonly rows: unknown[]
  readonly sizes: number[]
  readonly lanes: number[]
}

/**
 * One run's writer for one sink: checks rows, groups them by route (and by key, for several writers) and delivers full batches. For each
 * writer, at most one batch is in delivery. For each route, at most one batch is being filled; with a key, one for each route and writer.
 * Memory holds no other batches. Each batch is limited by rows and by bytes.
 *
 * writing → `flush()` → over, or → `discard()` → discarded; an abort of the run's signal ends deliveries in any state.
 */
export class BufferedSink implements SinkWriter {
  readonly #target: SinkTarget
  readonly #scope: SinkScope
  readonly #hasOtherWriters: () => boolean
  readonly #states = new Map<Route, RouteState>()
  readonly #lanes: Lanes
  readonly #laneOf: LaneChoice | undefined
  readonly #delivery: BatchDelivery
  #lingering: NodeJS.Timeout | undefined
  #state: 'writing' | 'over' | 'discarded' = 'writing'
  /** The pending writes, in the order of the calls; never rejects. */
  #turn: Promise<void> = Promise.resolve()
  #turns = 0
  #failure: PikoError | undefined
  /** Errors of refused writes that no caller has handled. Without them, nothing would report that their rows are lost. */
  readonly #unseen = new Set<Error>()
  #flushed: Promise<number> | undefined
  #isFlushed = false

  /** @param hasOtherWriters whether other writers also write rows of the window. Then the end of this attempt must not clear the window */
  constructor(target: SinkTarget, scope: SinkScope, hasOtherWriters = (): boolean => scope.itemId !== undefined) {
    this.#target = target
    this.#scope = scope
    this.#hasOtherWriters = hasOtherWriters
    const { name, policy } = target
    this.#lanes = new Lanes(policy.writers)
    this.#laneOf = policy.key && policy.writers > 1 ? new LaneChoice(name, policy.key, policy.writers) : undefined
    this.#delivery = new BatchDelivery(target, scope)
  }

  write(to: RowModel | string, rows: unknown): Promise<void> {
    try {
      const list: readonly unknown[] = Array.isArray(rows) ? rows : [rows]
      if (list.length > MAX_ROWS_A_TURN) return this.#watched(this.#acceptMany(to, list))
      return this.#accept(to, list) ?? (this.#isHolding() ? loopTurn.next() : Promise.resolve())
    } catch (error) {
      const refusal = toError(error)
      this.#unseen.add(refusal)
      if (this.#isFlushed) setImmediate(() => this.#tellIfUnseen(refusal))
      return new WatchedWrite(Promise.reject(refusal), () => this.#unseen.delete(refusal))
    }
  }

  /**
   * Delivers the remaining rows after the pending writes. Clears the window of a route that delivered no row.
   *
   * @returns how many rows of this attempt were stored on this host's disk instead of at the target
   * @throws PikoError `SINK_FAILED` or `SINK_SPILL_FULL` if any delivery of the attempt failed, or its window could not be cleared
   * @throws the error of a refused write that was not awaited
   * @throws the reason of the run's signal when it has aborted
   */
  flush(): Promise<number> {
    if (this.#state === 'writing') this.#state = 'over'
    return (this.#flushed ??= this.#inTurn(() => this.#flush()))
  }

  /** Delivers the rows written so far. More rows may be written afterwards. @throws as {@link flush} does */
  deliver(): Promise<void> {
    return this.#inTurn(async () => {
      this.#assertUsable()
      for (const buffer of this.#buffers()) if (buffer.rows.length > 0) await this.#startDelivery(buffer)
      await this.#lanes.idle()
      this.#assertUsable()
    })
  }

  /** Drops the rows that were not delivered, and waits for the running deliveries. Ignores their errors. */
  async discard(): Promise<void> {
    this.#state = 'discarded'
    this.#dropBuffers()
    this.#delivery.stop()
    await this.#lanes.idle()
  }

  /** Checks and buffers rows. Returns undefined if this needs no wait, otherwise the promise of the write. */
  #accept(to: RowModel | string, rows: readonly unknown[]): Promise<void> | undefined {
    const state = this.#openRoute(to)
    const accepted = this.#checked(state.route, rows)
    if (accepted.rows.length === 0) return undefined
    const { policy } = this.#target
    // The fast path: most writes only add rows to a batch that is not full afterwards.
    if (this.#turns === 0 && !this.#laneOf) {
      const buffer = this.#bufferOf(state, 0)
      const bytes = accepted.sizes.reduce((sum, size) => sum + size, buffer.bytes)
      if (buffer.rows.length + accepted.rows.length < policy.batchSize && bytes < policy.batchBytes) {
        if (policy.lingerMs !== undefined && buffer.rows.length === 0) this.#linger(buffer, policy.lingerMs)
        for (const row of accepted.rows) buffer.rows.push(row)
        buffer.bytes = bytes
        return undefined
      }
    }
    return this.#inTurn(() => this.#add(state, accepted))
  }

  /**
   * Checks the rows in slices, with turns of the event loop in between. Copies the list first, because the caller may change it in the
   * meantime.
   */
  #acceptMany(to: RowModel | string, given: readonly unknown[]): Promise<void> {
    const state = this.#openRoute(to)
    const rows = given.slice()
    return this.#inTurn(async () => {
      const all: Accepted = { rows: [], sizes: [], lanes: [] }
      for (let from = 0; from < rows.length; from += SLICE) {
        if (loopTurn.isDue(false) || this.#isHolding()) await loopTurn.next()
        this.#assertUsable()
        const slice = this.#checked(state.route, rows.slice(from, from + SLICE), from)
        for (const row of slice.rows) all.rows.push(row)
        for (const size of slice.sizes) all.sizes.push(size)
        for (const lane of slice.lanes) all.lanes.push(lane)
      }
      await this.#add(state, all)
    })
  }

  /** Whether a delivery in progress has waited too long for a turn of the event loop. */
  #isHolding(): boolean {
    return !this.#lanes.isIdle && loopTurn.hasHeld(TURN_EVERY_MS)
  }

  /** Checks rows, and finds the lane and the size of each. @param from the index of the first row in its write */
  #checked(route: Route, given: readonly unknown[], from = 0): Accepted {
    const rows = checkRows(this.#target.name, route, given, from)
    const choice = this.#laneOf
    const lanes = choice ? rows.map((row, index) => choice.of(route, row, from + index)) : []
    return { rows, lanes, sizes: this.#sizesOf(route, rows, from) }
  }

  /** Returns the promise of a write that may be refused later. If no caller handles the refusal, it fails the run. */
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

  /** Returns the state of a route. @throws PikoError if the attempt is over, a delivery has failed, or the route is unknown */
  #openRoute(to: RowModel | string): RouteState {
    if (this.#state === 'over') throw this.#isOver()
    this.#assertUsable()
    return this.#stateOf(this.#target.routes.find(this.#target.name, to))
  }

  /** Returns the size of each row. @param from the index of the first row in its write */
  #sizesOf({ modelName }: Route, rows: readonly unknown[], from = 0): number[] {
    const { name, policy } = this.#target
    const { batchBytes } = policy
    return rows.map((row, index) => {
      const size = rowBytes(row)
      if (size <= batchBytes) return size
      throw new PikoError(
        'SINK_ROW_INVALID',
        `sink ${name}: row ${from + index} of ${modelName} holds about ${size} bytes, more than a batch may hold (${batchBytes}); raise batchBytes of the sink, or store the data elsewhere and write a reference`,
        { details: { sink: name, model: modelName, index: from + index, bytes: size } },
      )
    })
  }

  async #add(state: RouteState, { rows, sizes, lanes }: Accepted): Promise<void> {
    const { batchSize, batchBytes, lingerMs } = this.#target.policy
    for (const [index, row] of rows.entries()) {
      const size = sizes[index] ?? 0
      this.#assertUsable()
      const buffer = this.#bufferOf(state, lanes[index] ?? 0)
      if (buffer.rows.length > 0 && buffer.bytes + size > batchBytes) await this.#startDelivery(buffer)
      if (lingerMs !== undefined && buffer.rows.length === 0) this.#linger(buffer, lingerMs)
      buffer.rows.push(row)
      buffer.bytes += size
      if (buffer.rows.length >= batchSize || buffer.bytes >= batchBytes) await this.#startDelivery(buffer)
    }
  }

  async #flush(): Promise<number> {
    this.#assertUsable()
    this.#assertAllSeen()
    clearTimeout(this.#lingering)
    for (const buffer of this.#buffers()) if (buffer.rows.length > 0) await this.#startDelivery(buffer)
    await this.#lanes.idle()
    this.#assertUsable()
    this.#assertAllSeen()
    await this.#clear()
    this.#isFlushed = true
    return this.#delivery.spilledRows
  }

  async #clear(): Promise<void> {
    const { sink, routes } = this.#target
    if (this.#scope.window === undefined || this.#hasOtherWriters() || !sink.clear) return
    try {
      for (const route of routes.values()) if (!this.#states.get(route)?.hasDelivered) await this.#delivery.clear(route)
    } catch (error) {
      throw (this.#failure = this.#failed('could not clear its window', error))
    }
  }

  /** Delivers the batch later, even if it is not full then. */
  #linger(buffer: Buffer, lingerMs: number): void {
    buffer.since = performance.now()
    this.#wakeIn(lingerMs, lingerMs)
  }

  /** Sets the timer for old batches, if none is set. One timer is enough, because it is set for the oldest rows. */
  #wakeIn(ms: number, lingerMs: number): void {
    this.#lingering ??= setTimeout(() => {
      this.#lingering = undefined
      if (this.#state !== 'writing') return
      // This error is ignored here, because the next write or the flush reports it.
      this.#inTurn(() => this.#deliverOld(lingerMs)).catch(() => {})
    }, ms).unref()
  }

  async #deliverOld(lingerMs: number): Promise<void> {
    let oldest = Infinity
    for (const buffer of this.#buffers()) {
      if (buffer.rows.length === 0) continue
      // A timer may fire a millisecond early.
      if (performance.now() - buffer.since >= lingerMs - 1) await this.#startDelivery(buffer)
      else oldest = Math.min(oldest, buffer.since)
    }
    if (oldest < Infinity) this.#wakeIn(Math.max(1, lingerMs - (performance.now() - oldest)), lingerMs)
  }

  /** Logs the refusal if no caller has handled it. It can't fail the run any more, because the run's rows are already delivered. */
  #tellIfUnseen(refusal: Error): void {
    if (this.#unseen.has(refusal))
      this.#scope.log.error(
        { err: refusal },
        'a sink refused rows that were written after its flush; the rows are lost',
      )
  }

  #assertAllSeen(): void {
    const [first] = this.#unseen
    if (first) throw first
  }

  /** Starts a delivery when the previous one of its lane has ended. Does not wait until the new one ends. */
  async #startDelivery(buffer: Buffer): Promise<void> {
    const { state } = buffer
    const lane = await this.#lanes.free(this.#laneOf && buffer.lane)
    while (!state.hasDelivered && state.first) await state.first
    this.#assertUsable()
    const { rows, bytes } = buffer
    if (rows.length === 0) return
    buffer.rows = []
    buffer.bytes = 0
    const number = state.next++
    const delivery = this.#lanes.start(lane, () => this.#deliver(state, rows, bytes, number))
    if (!state.hasDelivered) state.first = delivery
  }

  async #deliver(state: RouteState, rows: unknown[], bytes: number, number: number): Promise<void> {
    const { route } = state
    try {
      await this.#delivery.deliver({ route, rows, bytes, number }, state)
    } catch (error) {
      const what = `failed to deliver batch ${number} of ${route.modelName} (${counted(rows.length, 'row')})`
      this.#failure ??= this.#failed(what, error)
      this.#dropBuffers()
      // Retrying other batches would only delay the failure of the run.
      this.#delivery.stop()
    } finally {
      state.first = undefined
    }
  }

  #assertUsable(): void {
    if (this.#failure) throw this.#failure
    if (this.#scope.signal.aborted) throw toError(this.#scope.signal.reason)
    if (this.#state === 'discarded') throw this.#isOver()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#turns++
    const done = this.#turn.then(work).finally(() => this.#turns--)
    // This handles the error of a write that no code awaits; otherwise Node would end the process. The run reports the error when it ends.
    this.#turn = done.then(
      () => {},
      () => {},
    )
    return done
  }

  #stateOf(route: Route): RouteState {
    const state = this.#states.get(route) ?? {
      route,
      buffers: new Map(),
      next: 0,
      hasDelivered: false,
      first: undefined,
    }
    this.#states.set(route, state)
    return state
  }

  #bufferOf(state: RouteState, lane: number): Buffer {
    const buffer = state.buffers.get(lane) ?? { state, lane, rows: [], bytes: 0, since: 0 }
    state.buffers.set(lane, buffer)
    return buffer
  }

  #buffers(): Buffer[] {
    return [...this.#states.values()].flatMap(({ buffers }) => [...buffers.values()])
  }

  #dropBuffers(): void {
    clearTimeout(this.#lingering)
    for (const { buffers } of this.#states.values()) buffers.clear()
  }

  #isOver(): PikoError {
    const { runId, attempt } = this.#scope
    return new PikoError(
      'STOPPED',
      `sink ${this.#target.name}: attempt ${attempt} of run ${runId} is over; await every write in the handler`,
    )
  }

  /** Wraps an error as `SINK_FAILED`. Keeps the code `SINK_SPILL_FULL`, so that callers can recognize it. */
  #failed(what: string, thrown: unknown): PikoError {
    const cause = toError(thrown)
    const { name } = this.#target
    const code = isPikoError(cause, 'SINK_SPILL_FULL') ? cause.code : 'SINK_FAILED'
    return new PikoError(code, `sink ${name} ${what}: ${messageOf(cause)}`, { cause, details: { sink: name } })
  }
}
