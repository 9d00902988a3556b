import { describe, PikoError } from '../../errors.ts'
import type { JobRegistry } from '../../job/registry.ts'
import { type Run, TERMINAL_STATES } from '../../run/run.ts'
import { Service } from '../../service/service.ts'
import { BrokenRow } from '../../store/values/broken-row.ts'
import { mapInTurns } from '../../loop-turn.ts'
import { halved } from '../../store/statements/halved.ts'
import type { RunStore } from '../../store/runs/run-store.ts'
import { storableInput } from '../../job/schemas/run-input.ts'
import type { Store } from '../../store/store.ts'
import { instantOf } from '../../time/instant.ts'
import type { Window } from '../../time/window.ts'
import type { PrepareRun } from '../../engine/prepare-run.ts'
import { Batcher } from '../../engine/loop/batcher.ts'
import { optionsOf, requestOf } from '../call-options.ts'
import { eachItem } from '../each-item.ts'
import { clearly, refusedRuns } from '../../engine/refused-runs.ts'
import type { RunWaiter } from './run-waiter.ts'
import type { NewRun } from '../../store/runs/new-run.ts'
import type { Unique } from '../../store/runs/unique-run.ts'
import { RunFailedError } from './run-failed-error.ts'
import { assertStorable, type EnqueueItem, type EnqueueOptions, type RunOptions, uniqueOf } from './run-request.ts'
import { windowOf } from '../window-request.ts'

/** This node's slots, for runs that can start without waiting in the queue. See `Dispatcher`. */
export interface RunSlots {
  reserve(run: NewRun): string | undefined
  release(): void
  begin(runId: number, nodeId: string, run: NewRun): void
}

export interface EnqueueParts {
  readonly registry: JobRegistry
  readonly store: Store
  readonly waiter: RunWaiter
  readonly prepare: PrepareRun
  /** Receives the ids of stored runs, before `onEnqueued`. */
  readonly onStored?: ((ids: readonly number[]) => void) | undefined
  /** Receives the due times of the stored runs that this node has not begun itself. */
  readonly onEnqueued: (runAts: readonly Date[]) => void
  /** This node's slots; undefined if this node executes no runs. */
  readonly slots: RunSlots | undefined
}

/** Requests runs: checks each request, stores it, and optionally waits until the run has ended. */
export class Enqueue extends Service {
  readonly #registry: JobRegistry
  readonly #runs: RunStore
  readonly #stores: Pick<Store, 'jobs' | 'windows'>
  readonly #waiter: RunWaiter
  readonly #prepare: PrepareRun
  readonly #batcher: Batcher<NewRun, number | Error>
  readonly #reads: Batcher<number, Run | BrokenRow | undefined>
  readonly #slots: RunSlots | undefined
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #onEnqueued: (runAts: readonly Date[]) => void
  readonly #onStored: EnqueueParts['onStored']
  readonly #enqueueIn: Store['enqueueIn']
  readonly #assertOutside: (what: string) => void
  readonly #database: Pick<Store['database'], 'maxValueBytes'>

  constructor(parts: EnqueueParts) {
    super({ name: 'enqueue' })
    this.#slots = parts.slots
    this.#registry = parts.registry
    this.#runs = parts.store.runs
    this.#stores = parts.store
    this.#enqueueIn = parts.store.enqueueIn
    this.#assertOutside = parts.store.database.assertOutside
    this.#database = parts.store.database
    this.#waiter = parts.waiter
    this.#prepare = parts.prepare
    this.#onEnqueued = parts.onEnqueued
    this.#onStored = parts.onStored
    this.#batcher = new Batcher((runs) => this.#enqueueEach(runs))
    this.#reads = new Batcher(async (ids) => {
      const { runs, broken } = await this.#runs.findEach(ids)
      const found = new Map([...runs, ...broken].map((one) => [one.id, one]))
      return ids.map((id) => found.get(id))
    })
  }

  /**
   * Queues a run. With `wait`, also waits for its end.
   *
   * @returns the stored run; with `wait` the succeeded run
   * @throws PikoError `JOB_UNKNOWN`, `JOB_INVALID`, `CONFIG_INVALID`, `INPUT_INVALID`, `WINDOW_UNKNOWN`, `WINDOW_BUSY`, `DURATION_INVALID`,
   * `RUN_UNSTORABLE`, `USAGE`; with `wait` also {@link RunFailedError}
   */
  async run(jobId: string, options: RunOptions = {}): Promise<Run> {
    this.#assertOutside('app.run')
    const run = this.#newRun(jobId, options)
    const window = await windowOf(this.#stores, this.#registry.get(jobId), options.window)
    if (window && run.unique) {
      throw new PikoError('USAGE', `idempotencyKey ${describe(run.unique.key)} has no effect on a window; leave it out`)
    }
    const runId = window
      ? await this.#enqueueWindow(this.#keyed({ ...run, window }))
      : await this.#store(this.#keyed(run))
    if (!options.wait) return this.#find(runId)
    // A call with a key may return an earlier run that has already ended. `waitFor` also finds such a run.
    return succeeded(
      await (run.unique ? this.waitFor(runId, options.signal) : this.#waiter.wait(runId, options.signal)),
    )
  }

  /**
   * Resolves with the run when it has succeeded.
   *
   * @throws {@link RunFailedError}
   */
  async succeeded(runId: number, signal?: AbortSignal): Promise<Run> {
    return succeeded(await this.waitFor(runId, signal))
  }

  /**
   * Stores a run and returns its id, without reading the row back.
   *
   * @throws PikoError `JOB_UNKNOWN`, `JOB_INVALID`, `CONFIG_INVALID`, `INPUT_INVALID`, `DURATION_INVALID`, `RUN_UNSTORABLE`, `USAGE`;
   * `WINDOW_UNKNOWN` for a job with windows
   */
  async enqueue(jobId: string, given: EnqueueOptions = {}): Promise<number> {
    const options = requestOf('enqueue', given)
    const { trx } = options
    const run = this.#keyed(this.#newRun(jobId, options))
    const job = this.#registry.get(jobId)
    // Only for a job with windows, because a promise per request would cost a tenth of the time of many small requests.
    if (job.policy.windows) await windowOf(this.#stores, job, undefined)
    if (trx === undefined) return this.#store(run)
    const [id] = await clearly(jobId, 1, () => this.#enqueueIn(trx, [run]))
    return id as number
  }

  /**
   * Stores many runs of a job, all or none, and returns their ids in order. If a run, or an earlier item of this call, already has the
   * idempotency key of an item, the item gets the id of that run.
   *
   * @throws PikoError as {@link enqueue} does, before anything is stored
   */
  async enqueueMany(
    jobId: string,
    items: readonly EnqueueItem[],
    options: Pick<EnqueueOptions, 'trx'> = {},
  ): Promise<number[]> {
    const { trx } = optionsOf('enqueueMany', options)
    const runs = await eachItem('app.enqueueMany', items, (item) =>
      this.#keyed(this.#newRun(jobId, requestOf('enqueueMany', item))),
    )
    await windowOf(this.#stores, this.#registry.get(jobId), undefined)
    if (trx !== undefined) return clearly(jobId, runs.length, () => this.#enqueueIn(trx, runs))
    this.#assertOutside('app.enqueueMany without trx')
    return clearly(jobId, runs.length, async () => {
      if (!runs.some(({ unique }) => unique)) return this.#enqueue(runs)
      const ids = await this.#runs.enqueueUniqueMany(jobId, runs)
      this.#onStored?.(ids)
      this.#onEnqueued(runs.map(dueAt))
      return ids
    })
  }

  /** Resolves with the run when it has ended, whether it succeeded or not. */
  async waitFor(runId: number, signal?: AbortSignal): Promise<Run> {
    signal?.throwIfAborted()
    const run = await this.#find(runId)
    return TERMINAL_STATES.has(run.state) ? run : this.#waiter.wait(runId, signal)
  }

  /** @throws PikoError `USAGE` if the run belongs to another job */
  async waitForJob(jobId: string, runId: number, signal?: AbortSignal): Promise<Run> {
    const run = await this.#find(runId)
    if (run.jobId === jobId) return this.waitFor(runId, signal)
    throw new PikoError('USAGE', `run ${runId} belongs to job "${run.jobId}"; expected a run of job "${jobId}"`, {
      details: { runId, jobId: run.jobId },
    })
  }

  /** Waits until requests in progress are stored, before the store closes. */
  protected override onStop(): Promise<void> {
    return this.#batcher.idle()
  }

  #newRun(jobId: string, options: RunOptions): NewRun {
    const job = this.#registry.get(jobId)
    const config = this.#prepare.storable(job, options.config)
    const input = storableInput(job, options.input, this.#database.maxValueBytes)
    assertStorable(options)
    return {
      jobId,
      kind: 'manual',
      priority: options.priority ?? job.policy.priority,
      runAt: options.runAt === undefined ? undefined : instantOf('runAt', options.runAt),
      config,
      input,
      unique: uniqueOf(options.idempotencyKey),
    }
  }

  #keyed<R extends NewRun>(run: R): R {
    return this.#prepare.keyed(this.#registry.get(run.jobId), run)
  }

  #store(run: NewRun): Promise<number> {
    this.#assertOutside('app.enqueue without trx')
    const { unique } = run
    return unique ? this.#storeUnique(run, unique) : this.#storeSoon(run)
  }

  /** Stores a run together with those that other callers request in the same turn of the event loop. */
  #storeSoon(run: NewRun): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#batcher.push(run, (stored) => (typeof stored === 'number' ? resolve(stored) : reject(stored)), reject)
    })
  }

  async #storeUnique(run: NewRun, unique: Unique): Promise<number> {
    const id = await clearly(run.jobId, 1, () =>
      this.#inTurn(JSON.stringify([run.jobId, unique.key]), () => this.#runs.enqueueUnique({ ...run, unique })),
    )
    this.#onStored?.([id])
    this.#onEnqueued([dueAt(run)])
    return id
  }

  /** Stores one request per key at a time. Otherwise calls of the same process could deadlock each other in the database. */
  async #inTurn<T>(key: string, store: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key)
    const stored = (async () => {
      await before?.catch(() => {})
      return store()
    })()
    this.#turns.set(key, stored)
    try {
      return await stored
    } finally {
      if (this.#turns.get(key) === stored) this.#turns.delete(key)
    }
  }

  /** Stores requests that many callers made at the same time. If the database refuses one of them, only that one fails. */
  async #enqueueEach(runs: readonly NewRun[]): Promise<(number | Error)[]> {
    const stored = await halved<NewRun, (number | Error)[]>(
      runs,
      (some) => this.#enqueue(some),
      ({ jobId }, refusal) => [refusedRuns(jobId, 1, refusal)],
    )
    return stored.flat()
  }

  /** Stores runs. For runs that get a free slot of this node, stores them as claimed by it, and begins them afterwards. */
  async #enqueue(runs: readonly NewRun[]): Promise<number[]> {
    const claimed: { readonly run: NewRun; readonly index: number; readonly by: string }[] = []
    let ids: number[]
    try {
      const placed = await mapInTurns(runs, (run, index) => {
        const by = this.#slots?.reserve(run)
        if (by === undefined) return run
        claimed.push({ run, index, by })
        return { ...run, claimedBy: by }
      })
      ids = await this.#runs.enqueue(placed)
    } catch (error) {
      for (const _ of claimed) this.#slots?.release()
      throw error
    }
    this.#onStored?.(ids)
    for (const { run, index, by } of claimed) this.#slots?.begin(ids[index] as number, by, run)
    const begun = new Set(claimed.map(({ index }) => index))
    const queued = begun.size === 0 ? runs : runs.filter((_run, index) => !begun.has(index))
    if (queued.length > 0) this.#onEnqueued(queued.map(dueAt))
    return ids
  }

  async #enqueueWindow(run: NewRun & { readonly window: Window }): Promise<number> {
    const runId = await clearly(run.jobId, 1, () => this.#stores.windows.enqueue(run))
    this.#onStored?.([runId])
    this.#onEnqueued([dueAt(run)])
    return runId
  }

  async #find(runId: number): Promise<Run> {
    const run = await this.#reads.add(runId)
    if (run instanceof BrokenRow) throw run
    if (!run) throw new PikoError('RUN_UNKNOWN', `there is no run ${describe(runId)}`, { details: { runId } })
    return run
  }
}

function succeeded(run: Run): Run {
  if (run.state === 'succeeded') return run
  throw new RunFailedError(run)
}

const LONG_AGO = new Date(0)

function dueAt(run: NewRun): Date {
  return run.runAt ?? LONG_AGO
}
