import { counted } from '../../counted.ts'
import { PikoError } from '../../errors.ts'
import type { Route } from '../routes.ts'
import type { SinkBatch, SinkScope } from '../sink.ts'
import type { SinkTarget } from '../sink-target.ts'
import { callSink, clearWindow } from './call-sink.ts'
import { isOutage, isStale } from './outage.ts'
import { refusedRows } from './refused-rows.ts'
import { type Aside, type Part, sift } from './sift.ts'
import { tried } from './tried.ts'

/** Rows of one model, ready for delivery. */
export interface ReadyBatch {
  readonly route: Route
  readonly rows: readonly unknown[]
  readonly bytes: number
  readonly number: number
}

/** Whether rows of a route have already been delivered in this attempt. */
export interface RouteProgress {
  hasDelivered: boolean
}

/** Delivers the batches of one attempt according to the rules of its sink: retries, dead letters and spill. */
export class BatchDelivery {
  readonly #target: SinkTarget
  readonly #scope: SinkScope
  readonly #stop = new AbortController()
  #signal: AbortSignal | undefined
  #dead = 0
  #spilled = 0

  constructor(target: SinkTarget, scope: SinkScope) {
    this.#target = target
    this.#scope = scope
  }

  /** How many rows of this attempt were stored on disk instead of at the target. */
  get spilledRows(): number {
    return this.#spilled
  }

  /** Called when the attempt is over or has failed: deliveries are not tried again. */
  stop(): void {
    this.#stop.abort()
  }

  /** Delivers a batch. @throws the error of the sink, of the dead letters or of the spill */
  async deliver(ready: ReadyBatch, progress: RouteProgress): Promise<void> {
    const { deadLetters } = this.#target
    const send = (part: Part, policyMayHelp: (error: Error) => boolean): Promise<void> =>
      this.#send(ready, part, progress, policyMayHelp)
    if (!deadLetters) {
      await send({ rows: ready.rows, suffix: '' }, () => true)
      return
    }
    let isWhole = true
    const asides = await sift(ready.rows, {
      send: (part) => {
        // An unknown error is retried only for the first delivery of the whole batch. After that, the rows of the batch are assumed to be
        // the cause.
        const mayHelp = isWhole
          ? (error: Error) => refusedRows(error, part.rows.length) === undefined
          : (error: Error) => this.#isOutage(error)
        isWhole = false
        return send(part, mayHelp)
      },
      isOutage: (error) => this.#isOutage(error),
      admit: (aside) => this.#admit(ready, aside),
    })
    if (asides.length === 0) return
    const batch = this.#batchOf(ready, '', progress)
    await deadLetters.add({ sink: this.#target.name, route: ready.route.modelName, batch }, asides)
    this.#target.counts.dead += asides.length
  }

  /** Clears the window of a route that got no rows. */
  async clear(route: Route): Promise<void> {
    const { spill } = this.#target
    const batch = this.#batchOf({ route, number: 0 }, '/clear', { hasDelivered: false })
    const store = (): Promise<void> | undefined =>
      spill?.append({ ...this.#source(route, batch), kind: 'clear', rows: [] }, this.#signalOf())
    if (spill?.isActive) {
      await store()
      return
    }
    try {
      await this.#tried(
        () => clearWindow(this.#target, route, this.#scope),
        () => true,
      )
    } catch (error) {
      if (!spill || !this.#isSpillable(error)) throw error
      await store()
    }
  }

  async #send(
    ready: ReadyBatch,
    { rows, suffix }: Part,
    progress: RouteProgress,
    mayHelp: (error: Error) => boolean,
  ): Promise<void> {
    const { spill } = this.#target
    const { route, bytes } = ready
    const batch = this.#batchOf(ready, suffix, progress)
    if (!spill?.isActive) {
      try {
        await this.#tried(() => callSink(this.#target, route, rows, batch, bytes), mayHelp)
        progress.hasDelivered = true
        return
      } catch (error) {
        if (!spill || !this.#isSpillable(error)) throw error
        spill.outage(error)
      }
    }
    await spill.append({ ...this.#source(route, batch), kind: 'rows', rows }, this.#signalOf())
    progress.hasDelivered = true
    this.#spilled += rows.length
    this.#target.counts.spilledRows += rows.length
  }

  #tried(fn: () => Promise<void>, mayHelp: (error: Error) => boolean): Promise<void> {
    const { policy, counts } = this.#target
    if (!policy.retry) return fn()
    return tried(fn, {
      policy: policy.retry,
      signal: this.#signalOf(),
      mayHelp: (error) => !isStale(error) && mayHelp(error),
      onRetry: () => counts.retries++,
    })
  }

  #isSpillable(error: unknown): error is Error {
    return !this.#signalOf().aborted && this.#isOutage(error)
  }

  #isOutage(error: unknown): boolean {
    return isOutage(error, this.#target.policy.spill?.isOutage)
  }

  #signalOf(): AbortSignal {
    return (this.#signal ??= AbortSignal.any([this.#scope.signal, this.#stop.signal]))
  }

  #source(route: Route, batch: SinkBatch) {
    return { sink: this.#target.name, route: route.modelName, batch }
  }

  #batchOf(
    { route, number }: Pick<ReadyBatch, 'route' | 'number'>,
    suffix: string,
    progress: RouteProgress,
  ): SinkBatch {
    const { jobId, runId, window, itemId, isDead } = this.#scope
    const whole = window ? window.start.toISOString() : `run:${runId}`
    const place = itemId === undefined ? whole : `${whole}/item:${itemId}${isDead ? '/dead' : ''}`
    const index = progress.hasDelivered ? Math.max(1, number) : 0
    return { ...this.#scope, index, key: `${jobId}/${place}/${route.modelName}/${number}${suffix}` }
  }

  #admit({ route }: ReadyBatch, { reason }: Aside): void {
    const { name, policy } = this.#target
    const limit = policy.tolerate ?? 0
    this.#dead++
    if (this.#dead <= limit) return
    throw new PikoError(
      'SINK_FAILED',
      `the target refused more than ${counted(limit, 'row')} in this attempt; the last one, of ${route.modelName}, with: ${reason}. ` +
        'Fix the rows or the target, or raise deadLetters.tolerate of the sink',
      { details: { sink: name, tolerate: limit } },
    )
  }
}
