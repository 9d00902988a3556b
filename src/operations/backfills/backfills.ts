import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { describe, PikoError } from '../../errors.ts'
import { sweep } from '../../engine/planning/backfill-sweep.ts'
import { changing } from '../../engine/refused-changes.ts'
import type { JobRef, TypesOf } from '../../job/job-types.ts'
import { storableConfig } from '../../job/schemas/run-config.ts'
import { isPriority, type JobDefinition } from '../../job/spec.ts'
import { BACKFILL_ONLY, BACKFILL_ORDERS, type BackfillState } from '../../ledger/backfill.ts'
import type { BackfillRow } from '../../store/backfills/backfill-row.ts'
import type { BackfillFilter } from '../../store/backfills/backfill-store.ts'
import { isToRun } from '../../store/backfills/backfill-windows.ts'
import type { Store } from '../../store/store.ts'
import type { LedgerWindow } from '../../store/windows/window-store.ts'
import type { Window } from '../../time/window.ts'
import { BackfillRange, wrongBackfillOption } from './backfill-range.ts'
import type { BackfillRequest, BackfillRequestOf } from './backfill-request.ts'
import { jobIdOf } from '../job-id.ts'
import { type BackfillStatus, statusOf } from './backfill-status.ts'
import { optionsOf } from '../call-options.ts'
import type { BackfillWait } from '../operation-options.ts'
import type { Reach } from '../reach.ts'

/** A window that a backfill would run, as a preview shows it. */
export interface BackfillWindow extends Window {
  /** The state of the window in the ledger; undefined if the window is not in the ledger. */
  readonly state: LedgerWindow['state'] | undefined
}

/** A created backfill. Its calls are those of `app.backfills`, without the id. */
export interface Backfill {
  readonly id: number
  readonly jobId: string
  status(): Promise<BackfillStatus>
  pause(): Promise<BackfillStatus>
  resume(): Promise<BackfillStatus>
  cancel(): Promise<BackfillStatus>
  wait(options?: BackfillWait): Promise<BackfillStatus>
}

/** The pause between two counts is at least this many times the duration of the last count. */
const COUNTING = 20
const BEHIND_LIVE_WORK = 10_000
const LAST_PRIORITY = 32_767
const MAX_PARALLEL = 10_000
const ENDS: ReadonlySet<BackfillState> = new Set(['succeeded', 'failed', 'cancelled'])

type BackfillReach = Pick<Reach, 'store' | 'registry' | 'configs' | 'pollIntervalMs' | 'changed'>

/** `app.backfills`: runs ranges of windows in the background, on all nodes and across restarts. */
export class Backfills {
  readonly #reach: () => BackfillReach

  constructor(reach: () => BackfillReach) {
    this.#reach = reach
  }

  /**
   * Creates a backfill, which runs the windows of a range: those that are missing, those that failed, or all. It works in the background,
   * after ordinary runs, on all nodes and across restarts.
   *
   * @throws PikoError `JOB_UNKNOWN`, `CONFIG_INVALID`, `USAGE`, `CHANGE_REFUSED`; `WINDOW_UNKNOWN` for a job or a range without windows
   * @example
   * const range = { from: '2025-01-01T00:00:00Z', to: '2026-01-01T00:00:00Z' }
   * const backfill = await app.backfills.create('sync_orders', { ...range, parallel: 8 })
   * await backfill.wait({ onProgress: ({ done, total }) => console.log(`${done}/${total}`) })
   */
  create<const J extends JobRef>(job: J, request: BackfillRequestOf<TypesOf<J>>): Promise<Backfill>
  async create(asked: JobRef, request: BackfillRequest): Promise<Backfill> {
    const jobId = jobIdOf('app.backfills.create', asked)
    const reach = this.#reach()
    const { store, registry } = reach
    const job = registry.get(jobId)
    const given = optionsOf('backfills.create', request)
    const { windows, order, only, parallel, priority, config } = checked(reach, job, given)
    const { total, from, to } = await (await BackfillRange.of(store, job, windows, given)).count()
    const id = await changing(`a backfill of job "${jobId}"`, 'piko_backfill', () =>
      store.backfills.create({ jobId, order, only, parallel, priority, total, config, from, to }),
    )
    reach.changed.backfill(await rowOf(store, id))
    return {
      id,
      jobId,
      status: () => this.show(id),
      pause: () => this.pause(id),
      resume: () => this.resume(id),
      cancel: () => this.cancel(id),
      wait: (options) => this.wait(id, options),
    }
  }

  /**
   * Yields the exact windows that `create` would run now, in the same order, one by one, because there may be millions. Changes nothing.
   *
   * @throws PikoError as {@link create} does
   */
  preview<const J extends JobRef>(job: J, request: BackfillRequestOf<TypesOf<J>>): AsyncIterable<BackfillWindow>
  preview(asked: JobRef, request: BackfillRequest): AsyncIterable<BackfillWindow> {
    const reach = this.#reach()
    return previewed(
      reach,
      reach.registry.get(jobIdOf('app.backfills.preview', asked)),
      optionsOf('backfills.preview', request),
    )
  }

  /**
   * Lists backfills with their progress, newest first.
   *
   * @param filter.limit default 100
   */
  async list(filter: BackfillFilter = {}): Promise<BackfillStatus[]> {
    const { store } = this.#reach()
    const rows = await store.backfills.list(optionsOf('backfills.list', filter))
    return Promise.all(rows.map(async (row) => statusOf(row, await store.backfills.counts(row.id))))
  }

  /**
   * Returns one backfill with its progress and rate.
   *
   * @throws PikoError `BACKFILL_UNKNOWN`
   */
  async show(id: number): Promise<BackfillStatus> {
    const { store } = this.#reach()
    return statusOf(await rowOf(store, id), await store.backfills.counts(id))
  }

  /**
   * Pauses a backfill: no further run starts, on any node. Running runs continue. Has no effect on a paused backfill.
   *
   * @throws PikoError `BACKFILL_UNKNOWN`, `CHANGE_REFUSED`; `USAGE` if it is being cancelled or has ended
   */
  async pause(id: number): Promise<BackfillStatus> {
    return this.#change(id, 'pause', ['running'], 'paused')
  }

  /**
   * Resumes a paused backfill where it stopped. Has no effect on a running backfill.
   *
   * @throws PikoError `BACKFILL_UNKNOWN`, `CHANGE_REFUSED`; `USAGE` if it is being cancelled or has ended
   */
  async resume(id: number): Promise<BackfillStatus> {
    return this.#change(id, 'resume', ['paused'], 'running')
  }

  /**
   * Cancels a backfill: cancels its queued runs, asks running runs to stop, and creates no more. Has no effect on a backfill that is being
   * cancelled or was cancelled.
   *
   * @throws PikoError `BACKFILL_UNKNOWN`, `CHANGE_REFUSED`; `USAGE` if it has ended in another state
   */
  async cancel(id: number): Promise<BackfillStatus> {
    const status = await this.#change(id, 'cancel', ['running', 'paused'], 'cancelling')
    if (status.state !== 'cancelling') return status
    await sweep(this.#reach().store, id)
    return this.show(id)
  }

  /**
   * Resolves when a backfill has ended, whether it succeeded or not.
   *
   * @throws PikoError `BACKFILL_UNKNOWN`
   * @throws the reason of `signal`, or an `AbortError` with this reason as its cause
   */
  async wait(id: number, options: BackfillWait = {}): Promise<BackfillStatus> {
    const { signal, onProgress } = optionsOf('backfills.wait', options)
    for (;;) {
      const { store, pollIntervalMs } = this.#reach()
      signal?.throwIfAborted()
      const began = performance.now()
      if (onProgress) onProgress(await this.show(id))
      if (ENDS.has((await rowOf(store, id)).state)) {
        const status = await this.show(id)
        onProgress?.(status)
        return status
      }
      // Counting a million windows takes a while. The pause makes sure that the database also has time for other work.
      const pauseMs = Math.max(pollIntervalMs, (performance.now() - began) * COUNTING)
      await sleep(pauseMs, undefined, signal ? { signal } : {})
    }
  }

  /** Changes the state of a backfill. Repeating a change has no effect. Refuses a change that the current state does not allow. */
  async #change(id: number, verb: string, from: readonly BackfillState[], to: BackfillState): Promise<BackfillStatus> {
    const { store, changed } = this.#reach()
    const { state } = await rowOf(store, id)
    const change = () => store.backfills.change(id, from, to)
    if (!(await changing(`the ${verb} of backfill ${id}`, 'piko_backfill', change)) && state !== to) {
      const now = (await rowOf(store, id)).state
      const isSame = now === to || (to === 'cancelling' && now === 'cancelled')
      if (!isSame) {
        throw new PikoError('USAGE', `backfill ${id} is ${now}; ${verb} needs one that is ${from.join(' or ')}`, {
          details: { backfillId: id, state: now },
        })
      }
    }
    changed.backfill(await rowOf(store, id))
    return this.show(id)
  }
}

async function* previewed(
  reach: BackfillReach,
  job: JobDefinition,
  request: BackfillRequest,
): AsyncGenerator<BackfillWindow> {
  const { store } = reach
  const { windows, order, only } = checked(reach, job, request)
  const range = await BackfillRange.of(store, job, windows, request)
  let isEmpty = true
  for await (const slice of range.slices(order)) {
    isEmpty = false
    const states = await store.windows.states(job.id, slice)
    for (const window of slice) {
      const state = states.get(window.start.getTime())
      if (isToRun(only, state)) yield { ...window, state: state === 'pending' ? 'queued' : state }
    }
    await nextTurn()
  }
  if (isEmpty) throw await range.noWindow()
}

function checked({ configs }: BackfillReach, job: JobDefinition, request: BackfillRequest) {
  const { windows } = job.policy
  if (!windows) {
    throw new PikoError(
      'WINDOW_UNKNOWN',
      `job "${job.id}" has no windows, so it can't be backfilled; set its option windows`,
      {
        details: { jobId: job.id },
      },
    )
  }
  const { order = 'oldest', only = 'missing', parallel = windows.parallel } = request
  const priority = request.priority ?? Math.min(LAST_PRIORITY, job.policy.priority + BEHIND_LIVE_WORK)
  if (!BACKFILL_ORDERS.includes(order)) throw wrongBackfillOption('order', order, BACKFILL_ORDERS.join(' or '))
  if (!BACKFILL_ONLY.includes(only)) throw wrongBackfillOption('only', only, BACKFILL_ONLY.join(', '))
  if (!Number.isSafeInteger(parallel) || parallel < 1 || parallel > MAX_PARALLEL)
    throw wrongBackfillOption('parallel', parallel, `a whole number from 1 to ${MAX_PARALLEL}`)
  if (!isPriority(priority)) throw wrongBackfillOption('priority', priority, 'a whole number from -32768 to 32767')
  const config = storableConfig(job, request.config, configs.inForce(job.id)?.config)
  return { windows, order, only, parallel, priority, config }
}

async function rowOf({ backfills }: Store, id: number): Promise<BackfillRow> {
  const row = await backfills.find(id)
  if (row) return row
  throw new PikoError('BACKFILL_UNKNOWN', `there is no backfill ${describe(id)}; piko backfills list shows them`, {
    details: { backfillId: id },
  })
}
