import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { describe, PikoError } from '../errors.ts'
import { type JobRegistry } from '../job/registry.ts'
import { isPriority, type JobDefinition, type WindowPolicy } from '../job/spec.ts'
import { type BackfillRow } from '../store/backfills/backfill-row.ts'
import { type BackfillFilter } from '../store/backfills/backfill-store.ts'
import { isToRun } from '../store/backfills/backfill-windows.ts'
import { type ConfigVersion } from '../store/jobs/config-store.ts'
import { type Store } from '../store/store.ts'
import { BACKFILL_ONLY, BACKFILL_ORDERS, type BackfillOrder, type BackfillState } from '../ledger/backfill.ts'
import { type LedgerWindow } from '../store/windows/window-store.ts'
import { instantOf } from '../time/instant.ts'
import { type Timeline, type Window } from '../time/window.ts'
import { optionsOf } from './call-options.ts'
import { type BackfillStatus, statusOf } from './backfill-status.ts'
import { timelineOf } from '../engine/planning/plan-job.ts'
import { storableConfig } from '../job/run-config.ts'
import { sweep } from '../engine/planning/backfill-sweep.ts'
import { type BackfillRequest } from './backfill-request.ts'

/** A window that a backfill would run. */
export interface BackfillWindow extends Window {
  /** What the ledger says of it; undefined: it does not have it. */
  readonly state: LedgerWindow['state'] | undefined
}

/** A backfill that exists. */
export interface Backfill {
  readonly id: number
  readonly jobId: string
  /** What has become of it. */
  status(): Promise<BackfillStatus>
  /** No further run starts, on any node; those under way go on to their ends. */
  pause(): Promise<BackfillStatus>
  resume(): Promise<BackfillStatus>
  /** Cancels its queued runs, asks those under way to end, and makes no more. */
  cancel(): Promise<BackfillStatus>
  /** Resolves when it has ended, whatever its end. A signal ends the waiting, not the backfill. */
  wait(options?: {
    readonly signal?: AbortSignal
    readonly onProgress?: (status: BackfillStatus) => void
  }): Promise<BackfillStatus>
}

/** Of the time of waiting for the end, counting takes one part of so many. */
const COUNTING = 20
const BEHIND_LIVE_WORK = 10_000
const LAST_PRIORITY = 32_767
const MOST_PARALLEL = 10_000
/** Windows that are looked at before other work has its turn; small enough to be garbage soon. */
const SLICE = 100

/** What people do with backfills: make, watch, pause, resume, cancel. */
export class BackfillControl {
  readonly #store: Store
  readonly #registry: JobRegistry
  readonly #savedConfig: (jobId: string) => ConfigVersion | undefined
  readonly #pollMs: number
  readonly #onChanged: (backfill: BackfillRow) => void

  /** @param onChanged there is something to do for the node that leads */
  constructor(
    parts: {
      readonly store: Store
      readonly registry: JobRegistry
      readonly savedConfig: (jobId: string) => ConfigVersion | undefined
      readonly pollMs: number
    },
    onChanged: (backfill: BackfillRow) => void,
  ) {
    this.#store = parts.store
    this.#registry = parts.registry
    this.#savedConfig = parts.savedConfig
    this.#pollMs = parts.pollMs
    this.#onChanged = onChanged
  }

  /** @throws PikoError `JOB_UNKNOWN`, `WINDOW_UNKNOWN`, `CONFIG_INVALID`, `USAGE` */
  async create(jobId: string, request: BackfillRequest): Promise<Backfill> {
    this.#store.database.assertOutside('app.backfill')
    const job = this.#registry.get(jobId)
    const { windows, order, only, parallel, priority, config } = this.#checked(job, request)
    const { timeline, from, to } = await this.#range(job, windows, request)
    const { total, first, last } = await count(this.#slices(jobId, timeline, from, to, 'oldest'))
    if (!first || !last) throw emptyRange(job, windows, request)
    const bounds = { from: first.start, to: last.end }
    const id = await this.#store.backfills.create({
      ...{ jobId, order, only, parallel, priority, total, config },
      ...bounds,
    })
    await this.#changed(id)
    return this.#handle(id, jobId)
  }

  /** The windows that a backfill would run now, in its order. @throws PikoError as {@link create} does */
  async *preview(jobId: string, request: BackfillRequest): AsyncGenerator<BackfillWindow> {
    const job = this.#registry.get(jobId)
    const { windows, order, only } = this.#checked(job, request)
    const { timeline, from, to } = await this.#range(job, windows, request)
    let found = false
    for await (const slice of this.#slices(jobId, timeline, from, to, order)) {
      found = true
      const states = await this.#store.windows.states(jobId, slice)
      for (const window of slice) {
        const state = states.get(window.start.getTime())
        if (isToRun(only, state)) yield { ...window, state: state === 'pending' ? 'queued' : state }
      }
      await nextTurn()
    }
    if (!found) throw emptyRange(job, windows, request)
  }

  /** @throws PikoError `BACKFILL_UNKNOWN` */
  async get(id: number): Promise<Backfill> {
    return this.#handle(id, (await this.#row(id)).jobId)
  }

  async list(filter: BackfillFilter): Promise<BackfillStatus[]> {
    const rows = await this.#store.backfills.list(filter)
    return Promise.all(rows.map(async (row) => statusOf(row, await this.#store.backfills.counts(row.id))))
  }

  #handle(id: number, jobId: string): Backfill {
    return {
      id,
      jobId,
      status: () => this.#status(id),
      pause: () => this.#change(id, 'pause', ['running'], 'paused'),
      resume: () => this.#change(id, 'resume', ['paused'], 'running'),
      cancel: async () => {
        const status = await this.#change(id, 'cancel', ['running', 'paused'], 'cancelling')
        if (status.state !== 'cancelling') return status
        await sweep(this.#store, id)
        return this.#status(id)
      },
      wait: async (options = {}) => {
        const { signal, onProgress } = optionsOf('backfill.wait', options)
        for (;;) {
          signal?.throwIfAborted()
          const began = performance.now()
          if (onProgress) onProgress(await this.#status(id))
          if (ENDS.has((await this.#row(id)).state)) return this.#ended(id, onProgress)
          // Counting a million windows takes a while: it must not be all that the database does.
          const pauseMs = Math.max(this.#pollMs, (performance.now() - began) * COUNTING)
          await sleep(pauseMs, undefined, signal ? { signal } : {})
        }
      },
    }
  }

  async #ended(id: number, onProgress?: (status: BackfillStatus) => void): Promise<BackfillStatus> {
    const status = await this.#status(id)
    onProgress?.(status)
    return status
  }

  async #status(id: number): Promise<BackfillStatus> {
    return statusOf(await this.#row(id), await this.#store.backfills.counts(id))
  }

  async #row(id: number): Promise<BackfillRow> {
    const row = await this.#store.backfills.find(id)
    if (row) return row
    throw new PikoError('BACKFILL_UNKNOWN', `there is no backfill ${describe(id)}; piko backfill list shows them`, {
      details: { backfillId: id },
    })
  }

  /** Twice the same changes nothing; what has ended can't be changed. */
  async #change(id: number, verb: string, from: readonly BackfillState[], to: BackfillState): Promise<BackfillStatus> {
    this.#store.database.assertOutside(`backfill.${verb}`)
    const { state } = await this.#row(id)
    if (!(await this.#store.backfills.change(id, from, to)) && state !== to) {
      const now = (await this.#row(id)).state
      const isSame = now === to || (to === 'cancelling' && now === 'cancelled')
      if (!isSame) {
        throw new PikoError('USAGE', `backfill ${id} is ${now}; ${verb} needs one that is ${from.join(' or ')}`, {
          details: { backfillId: id, state: now },
        })
      }
    }
    await this.#changed(id)
    return this.#status(id)
  }

  async #changed(id: number): Promise<void> {
    this.#onChanged(await this.#row(id))
  }

  #checked(job: JobDefinition, request: BackfillRequest) {
    const { windows } = job.policy
    if (!windows) {
      throw new PikoError('WINDOW_UNKNOWN', `job "${job.id}" has no windows; a backfill needs its option windows`, {
        details: { jobId: job.id },
      })
    }
    const { order = 'oldest', only = 'missing', parallel = windows.parallel } = request
    const priority = request.priority ?? Math.min(LAST_PRIORITY, job.policy.priority + BEHIND_LIVE_WORK)
    if (!BACKFILL_ORDERS.includes(order)) throw usage('order', order, BACKFILL_ORDERS.join(' or '))
    if (!BACKFILL_ONLY.includes(only)) throw usage('only', only, BACKFILL_ONLY.join(', '))
    if (!Number.isSafeInteger(parallel) || parallel < 1 || parallel > MOST_PARALLEL)
      throw usage('parallel', parallel, `a whole number from 1 to ${MOST_PARALLEL}`)
    if (!isPriority(priority)) throw usage('priority', priority, 'a whole number from -32768 to 32767')
    const config = storableConfig(job, request.config, this.#savedConfig(job.id)?.config)
    return { windows, order, only, parallel, priority, config }
  }

  /**
   * The windows of a range, many at a time, so that a million of them never exist at once: those of the ledger as they are, the others
   * around them.
   */
  async *#slices(jobId: string, free: Timeline, from: Date, to: Date, order: BackfillOrder): AsyncGenerator<Window[]> {
    const isOldest = order === 'oldest'
    const isInRange = (window: Window | undefined): window is Window =>
      window !== undefined && window.start >= from && window.end <= to
    let at: Date | undefined = isOldest ? from : to
    while (at) {
      const { windows, until } = await this.#store.windows.stored(jobId, at, isOldest ? 'after' : 'before')
      const timeline = free.around(windows)
      const isKnown = (window: Window): boolean => !until || (isOldest ? window.end <= until : window.start >= until)
      let next: Window | undefined = isOldest ? timeline.firstFrom(at) : timeline.latestBefore(at)
      while (isInRange(next) && isKnown(next)) {
        const slice: Window[] = []
        while (isInRange(next) && isKnown(next) && slice.length < SLICE) {
          slice.push(next)
          next = isOldest ? timeline.windowFrom(next.end) : timeline.latestBefore(next.start)
        }
        yield slice
      }
      at = isInRange(next) ? until : undefined
    }
  }

  async #range(job: JobDefinition, windows: WindowPolicy, request: BackfillRequest) {
    const from = instantOf('from of a backfill', request.from)
    const to = instantOf('to of a backfill', request.to)
    if (from >= to) throw usage('to', to.toISOString(), `an instant after from, ${from.toISOString()}`)
    const timeline = timelineOf(job, windows, await this.#store.jobs.generations(job.id))
    const { now } = await this.#store.plans.agenda()
    return { timeline, from, to: to < now ? to : now }
  }
}

const ENDS: ReadonlySet<BackfillState> = new Set(['succeeded', 'failed', 'cancelled'])

async function count(
  slices: AsyncIterable<Window[]>,
): Promise<{ total: number; first: Window | undefined; last: Window | undefined }> {
  let total = 0
  let first: Window | undefined
  let last: Window | undefined
  for await (const slice of slices) {
    first ??= slice[0]
    last = slice.at(-1)
    total += slice.length
    await nextTurn()
  }
  return { total, first, last }
}

function emptyRange(job: JobDefinition, windows: WindowPolicy, { from, to }: BackfillRequest): PikoError {
  const end = windows.end ? ` and end at ${windows.end.toISOString()}` : ''
  return new PikoError(
    'WINDOW_UNKNOWN',
    `no window of job "${job.id}" that is over lies within ${describe(from)} to ${describe(to)}; its windows begin at ` +
      `${windows.start.toISOString()}${end}`,
    { details: { jobId: job.id, from, to } },
  )
}

function usage(option: string, value: unknown, expected: string): PikoError {
  return new PikoError('USAGE', `${option} of a backfill is ${describe(value)}; expected ${expected}`, {
    details: { option, value },
  })
}
