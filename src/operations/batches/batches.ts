import { counted } from '../../counted.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, PikoError } from '../../errors.ts'
import { type BatchDone, doneRunBy } from '../../engine/planning/batch-end.ts'
import { cancelRuns } from '../../engine/planning/batch-driver.ts'
import { changing, refusedChange } from '../../engine/refused-changes.ts'
import { clearly } from '../../engine/refused-runs.ts'
import type { JobDefinition } from '../../job/spec.ts'
import type { JobRef, TypesOf } from '../../job/job-types.ts'
import { storableInput } from '../../job/schemas/run-input.ts'
import { mapInTurns } from '../../loop-turn.ts'
import { isBatchEnd, durationsOf, FailureGroups } from '../../run/batch.ts'
import type { BatchRow } from '../../store/batches/batch-row.ts'
import type { BatchFilter } from '../../store/batches/batch-store.ts'
import { beingCancelled } from '../../store/batches/reopen-batches.ts'
import { Tally } from '../../store/batches/tally.ts'
import type { NewRun } from '../../store/runs/new-run.ts'
import type { ReplayResult } from '../../store/runs/replay-store.ts'
import type { Refused } from '../../store/statements/each-apart.ts'
import type { Store } from '../../store/store.ts'
import { instantOf } from '../../time/instant.ts'
import { optionsOf, requestOf } from '../call-options.ts'
import { eachItem } from '../each-item.ts'
import { jobIdOf } from '../job-id.ts'
import type { Reach } from '../reach.ts'
import { assertStorable } from '../runs/run-request.ts'
import {
  assertBatch,
  type BatchItem,
  type BatchItemOf,
  type BatchOptions,
  type BatchReplay,
  type BatchWait,
  digestOf,
} from './batch-request.ts'
import { type BatchReport, type BatchStatus, batchStatus } from './batch-status.ts'

/** A created batch. Its calls are those of `app.batches`, without the id. */
export interface Batch {
  readonly id: number
  readonly jobId: string
  readonly key: string | undefined
  show(): Promise<BatchReport>
  cancel(): Promise<BatchStatus>
  replay(options?: BatchReplay): Promise<ReplayResult>
  wait(options?: BatchWait): Promise<BatchStatus>
}

type BatchReach = Pick<Reach, 'store' | 'registry' | 'prepare' | 'pollIntervalMs' | 'changed'>

/** The pause between two counts is at least this many times the duration of the last count, up to `MAX_PAUSE_MS`. */
const COUNTING = 20
const MAX_PAUSE_MS = 5_000

/** `app.batches`: many runs of one job as one object. */
export class Batches {
  readonly #reach: () => BatchReach

  constructor(reach: () => BatchReach) {
    this.#reach = reach
  }

  /**
   * Stores many runs of one job as one object. All items are checked before anything is stored. The runs are stored in slices of up to
   * 1,000, and may begin immediately. If the process dies in between, the batch stays `creating`: a call with the same key stores the rest,
   * and `onDone` does not run before that.
   *
   * @throws PikoError `BATCH_CONFLICT` if the job has a batch with this key that was created with other items or options;
   * `BATCH_CANCELLED` if the batch was cancelled before all its items were stored; `JOB_UNKNOWN`, `CONFIG_INVALID`, `INPUT_INVALID`,
   * `JOB_INVALID`, `USAGE`; `WINDOW_UNKNOWN` for a job with windows; `RUN_UNSTORABLE` or `CHANGE_REFUSED` if the database refuses the batch
   * @example
   * await app.batches.create(shipOrder, orders.map((order) => ({ input: { id: order.id } })), { key: 'ship', onDone: reportOrders })
   */
  async create<const J extends JobRef>(
    job: J,
    items: readonly BatchItemOf<TypesOf<J>>[],
    options?: BatchOptions,
  ): Promise<Batch>
  async create(asked: JobRef, items: readonly BatchItem[], given: BatchOptions = {}): Promise<Batch> {
    const { store, registry, changed } = this.#reach()
    const jobId = jobIdOf('app.batches.create', asked)
    const options = optionsOf('batches.create', given)
    assertBatch(items, options)
    assertNoWindows(registry.get(jobId), 'a batch')
    const onDone = options.onDone === undefined ? undefined : jobIdOf('onDone of app.batches.create', options.onDone)
    const { key, priority } = options
    const total = items.length
    if (onDone !== undefined) this.#assertDone(onDone, { jobId, key: key ?? null, total })
    const runs = await eachItem('app.batches.create', items, (item) => this.#newRun(jobId, item, priority))
    const digest = await digestOf(runs, items, { onDone, priority })
    const opened = await changing(`a batch of job "${jobId}"`, 'piko_batch', () =>
      store.batches.open({ jobId, key, digest, total, onDone }),
    )
    if (opened.digest !== digest) throw conflict(opened, digest, total)
    if (opened.state === 'creating') {
      const onStored = (stored: readonly NewRun[]): void => changed.runsQueued(stored.length)
      const batch = await clearly(jobId, total, () => store.batches.storeItems(opened, runs, onStored))
      changed.batch(batch)
      if (batch.stored < total) throw incomplete(batch)
    } else if (opened.stored < total) throw incomplete(opened)
    return this.#handle(opened)
  }

  #newRun(jobId: string, given: BatchItem, priorityOfAll: number | undefined): NewRun {
    const { registry, prepare, store } = this.#reach()
    const item = requestOf('batches.create', given)
    const priority = item.priority ?? priorityOfAll
    if (priority !== undefined) assertStorable({ priority })
    const job = registry.get(jobId)
    return prepare.keyed(job, {
      ...{ jobId, kind: 'manual' },
      priority: priority ?? job.policy.priority,
      runAt: item.runAt === undefined ? undefined : instantOf('runAt', item.runAt),
      config: prepare.storable(job, item.config),
      input: storableInput(job, item.input, store.database.maxValueBytes),
    })
  }

  /** Checks the `onDone` job with an input of the form that it will get, so that a wrong job is refused now and not at the end. */
  #assertDone(onDone: string, about: Pick<BatchDone, 'jobId' | 'key' | 'total'>): void {
    const { registry, prepare, store } = this.#reach()
    const job = registry.get(onDone)
    assertNoWindows(job, 'the onDone run of a batch')
    const sample: BatchDone = {
      batchId: 1,
      ...about,
      state: 'succeeded',
      succeeded: about.total,
      failed: 0,
      cancelled: 0,
    }
    const input = storableInput(job, sample, store.database.maxValueBytes)
    prepare.storable(job, undefined)
    prepare.keyed(job, { jobId: onDone, kind: 'manual', priority: job.policy.priority, input })
  }

  #handle({ id, jobId, key }: BatchRow): Batch {
    return {
      ...{ id, jobId, key },
      show: () => this.show(id),
      cancel: () => this.cancel(id),
      replay: (options) => this.replay(id, options),
      wait: (options) => this.wait(id, options),
    }
  }

  /**
   * Lists batches with their progress, newest first.
   *
   * @param filter.limit default 100
   */
  async list(filter: BatchFilter = {}): Promise<BatchStatus[]> {
    const { store } = this.#reach()
    const rows = await store.batches.list(optionsOf('batches.list', filter))
    const now = await store.batches.now()
    const found: BatchStatus[] = []
    for (const row of rows) found.push(batchStatus(row, await store.batches.counts(row.id), now))
    return found
  }

  /**
   * Returns one batch with its progress and its report: durations, and failed runs grouped by error. Reads all its ended runs, page by
   * page. The counts are those of the runs that it has read.
   *
   * @throws PikoError `BATCH_UNKNOWN`
   */
  async show(id: number): Promise<BatchReport> {
    const { store } = this.#reach()
    const row = await rowOf(store, id)
    const tally = new Tally()
    const failures = new FailureGroups()
    const durations: number[] = []
    for await (const runs of store.batches.ended(id, tally)) {
      await mapInTurns(runs, (run) => {
        if (run.state === 'failed') failures.add(run)
        if (run.state !== 'cancelled' && run.durationMs !== undefined) durations.push(run.durationMs)
      })
    }
    const status = batchStatus(row, tally.counts, await store.batches.now())
    return { ...status, durations: durationsOf(durations), failures: failures.list }
  }

  /**
   * Cancels a batch: cancels its queued runs, asks running runs to stop, and stores no more. Has no effect on a batch that has ended.
   *
   * @throws PikoError `BATCH_UNKNOWN`; `CHANGE_REFUSED` if the database refuses to cancel some runs
   */
  async cancel(id: number): Promise<BatchStatus> {
    const { store, changed } = this.#reach()
    await rowOf(store, id)
    const isCancelled = await changing(`the cancel of batch ${id}`, 'piko_batch', () => store.batches.cancel(id))
    if (isCancelled) {
      const refused: Refused[] = []
      await cancelRuns(store, id, (run) => refused.push(run))
      changed.runsCancelled()
      changed.batch(await rowOf(store, id))
      await this.#settle(id)
      const refusal = refusedChange('cancelled', refused, 'piko_run')
      if (refusal) throw refusal
    }
    return this.#status(id)
  }

  /**
   * Returns the failed (or cancelled) runs of a batch to the queue, as if they had never run. The batch is `running` again until they have
   * ended. `onDone` does not run a second time.
   *
   * @returns how many runs were queued; with `dryRun` how many would be queued
   * @throws PikoError `BATCH_UNKNOWN`; `BATCH_CANCELLED` while the batch is being cancelled; `CHANGE_REFUSED` if the database refuses the
   * change
   */
  async replay(id: number, options: BatchReplay = {}): Promise<ReplayResult> {
    const { store, changed } = this.#reach()
    const { state = 'failed', dryRun = false } = optionsOf('batches.replay', options)
    const row = await rowOf(store, id)
    if (row.state === 'cancelling') throw beingCancelled(row)
    let count = 0
    let superseded = 0
    const cancelling: PikoError[] = []
    for await (const ids of store.batches.runsIn(id, state)) {
      const filter = { ids, state }
      const part = dryRun
        ? await store.replays.preview(filter)
        : await changing(`the replay of batch ${id}`, 'piko_run, piko_batch and piko_attempt', () =>
            store.replays.replay(filter, undefined, { onCancelling: (error) => void cancelling.push(error) }),
          )
      count += part.count
      superseded += part.superseded
      if (!dryRun && part.count > 0) changed.runsQueued(part.count)
    }
    if (!dryRun && count > 0) changed.batch(await rowOf(store, id))
    for (const error of cancelling) throw error
    return { count, superseded }
  }

  /**
   * Resolves when a batch has ended, whether it succeeded or not.
   *
   * @throws PikoError `BATCH_UNKNOWN`
   * @throws the reason of `signal`, or an `AbortError` with this reason as its cause
   */
  async wait(id: number, options: BatchWait = {}): Promise<BatchStatus> {
    const { signal, onProgress } = optionsOf('batches.wait', options)
    for (;;) {
      const { store, pollIntervalMs } = this.#reach()
      signal?.throwIfAborted()
      await this.#settle(id)
      const began = performance.now()
      const row = await rowOf(store, id)
      const isOver = isBatchEnd(row.state)
      if (isOver || onProgress) {
        const status = await this.#status(id)
        onProgress?.(status)
        if (isOver) return status
      }
      // Counting a million runs takes a while. The pause makes sure that the database also has time for other work.
      const countedMs = onProgress ? (performance.now() - began) * COUNTING : 0
      const pauseMs = Math.max(pollIntervalMs, Math.min(countedMs, MAX_PAUSE_MS))
      await sleep(pauseMs, undefined, signal ? { signal } : {})
    }
  }

  /** Ends the batch if all its runs have ended. If this process does not know the `onDone` job, a node does this instead. */
  async #settle(id: number): Promise<void> {
    const { store, registry, prepare, changed } = this.#reach()
    const { onDone } = await rowOf(store, id)
    if (onDone !== undefined && !registry.find(onDone)) return
    for (let isMore = true; isMore;) {
      const step = await store.batches.settle(id, doneRunBy(registry, prepare))
      isMore = step.isMore
      if (step.ended) changed.batch(await rowOf(store, id))
      if (step.isDoneStored) changed.runsQueued(1)
    }
  }

  async #status(id: number): Promise<BatchStatus> {
    const { store } = this.#reach()
    const row = await rowOf(store, id)
    return batchStatus(row, await store.batches.counts(id), await store.batches.now())
  }
}

/** @throws PikoError `WINDOW_UNKNOWN` for a job with windows, whose runs are named by their windows and not by items */
function assertNoWindows({ id, policy }: JobDefinition, what: string): void {
  if (!policy.windows || !policy.schedule) return
  throw new PikoError(
    'WINDOW_UNKNOWN',
    `job "${id}" runs by window, and ${what} has no window; run its windows by app.backfills.create or piko backfills create, or use a job without windows`,
    { details: { jobId: id } },
  )
}

async function rowOf({ batches }: Pick<Store, 'batches'>, id: number): Promise<BatchRow> {
  const row = await batches.find(id)
  if (row) return row
  throw new PikoError('BATCH_UNKNOWN', `there is no batch ${describe(id)}; piko batches list shows them`, {
    details: { batchId: id },
  })
}

function incomplete({ id, jobId, key, state, stored, total }: BatchRow): PikoError {
  return new PikoError(
    'BATCH_CANCELLED',
    `batch ${id} of job "${jobId}" was cancelled when ${stored} of its ${counted(total, 'item')} were stored, so the others have no runs; create another batch of the items from item ${stored} on${key === undefined ? '' : ', with another key'} (piko batches show ${id} shows what became of the first ${stored})`,
    { details: { batchId: id, jobId, key, state, stored, total } },
  )
}

function conflict({ id, jobId, key, digest, total }: BatchRow, asked: string, items: number): PikoError {
  return new PikoError(
    'BATCH_CONFLICT',
    `batch ${id} of job "${jobId}" has the key ${describe(key)} and was created with other items or options: it has ${counted(total, 'item')} and the digest ${digest.slice(0, 12)}…, and this request has ${counted(items, 'item')} and the digest ${asked.slice(0, 12)}…; use another key, or the same items and options`,
    { details: { batchId: id, jobId, key, digest, asked } },
  )
}
