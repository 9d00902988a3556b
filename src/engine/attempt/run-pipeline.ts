// Long because it contains each step from a claim to its outcome, and all calls that a handler can make.
import { types } from 'node:util'
import { isObject } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import type { HeldLock, RunLockOptions } from '../../job/context.ts'
import type { Outcome, RatePlace } from '../../run/run.ts'
import { assertOutput, parseInput } from '../../job/schemas/run-input.ts'
import { fromJson } from '../../json/json.ts'
import type { ItemPolicy } from '../../job/items/item-policy.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import type { JobDefinition } from '../../job/spec.ts'
import type { FleetLimit } from '../../run/fleet-limit.ts'
import { withRunSignal } from '../../offload/signal.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { Borrowed, ResourcePool } from '../../resource/resource-pool.ts'
import type { SinkMap } from '../../sink/sink.ts'
import { WrittenRows } from '../../sink/written-rows.ts'
import type { RunSinks, SinkPool } from '../../sink/sink-pool.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import { storableOutput } from '../../json/storable.ts'
import type { Clock } from '../../clock.ts'
import type { Store } from '../../store/store.ts'
import type { Events } from '../../events.ts'
import type { AttemptItems, LiveAttempt } from './live-attempt.ts'
import { traced } from '../../tracing/tracing.ts'
import { listenToConfig } from './config-listener.ts'
import type { Cache, CacheDefinition } from '../../job/cached-value.ts'
import type { SharedDefinition, SharedHandle } from '../../job/shared-value.ts'
import type { Caches } from '../node/caches.ts'
import type { SharedValues } from '../node/shared-values.ts'
import type { Locks } from './locks.ts'
import type { RateGate } from '../claiming/rate-gate.ts'
import type { PrepareRun } from '../prepare-run.ts'
import { lazyLimits } from '../limits/lazy-limits.ts'
import { type RunActions, RunContext } from './run-context.ts'
import { RunLocks } from './run-locks.ts'
import type { RunProgress } from './run-progress.ts'
import { RunSteps, type StepParts, type StepStorage } from './steps/run-steps.ts'
import { StepWriter } from './steps/step-writer.ts'

export interface PipelineParts {
  readonly resources: Pick<ResourcePool, 'borrow'>
  readonly sinks: Pick<SinkPool, 'forRun'>
  readonly store: Pick<Store, 'commit'> & {
    readonly steps: StepStorage
    readonly rates: Pick<Store['rates'], 'reserve'>
    readonly database: Pick<Store['database'], 'sql' | 'maxValueBytes' | 'assertOutside'>
  }
  readonly locks: Pick<Locks, 'acquire'>
  readonly shared: Pick<SharedValues, 'handle'>
  readonly caches: Pick<Caches, 'forRun'>
  readonly clock: Clock
  readonly events: Events
  readonly prepare: PrepareRun
  readonly progress: Pick<RunProgress, 'report'>
  readonly rateGate: RateGate
  /** How to run items. Undefined: no job has items. */
  readonly items?: RootParts | undefined
  /** Aborts when a stop has waited long enough for a database that does not answer. */
  readonly abandoned: AbortSignal
}

/** Connects runs with their items. */
export interface RootParts {
  open(attempt: LiveAttempt, policy: ItemPolicy): Promise<AttemptItems>
  /** Calls `onIdle` when no item of the generation is queued or running. Returns a function that cancels the wait. */
  wait(fence: number, onIdle: () => void): () => void
  /** Returns the outcome of a run whose items have ended. Never rejects. */
  outcome(attempt: LiveAttempt, items: AttemptItems, success: Outcome): Promise<Outcome>
}

/** The outcome of a succeeded run without output. Shared by all of them, because thousands end per second. */
const DONE: Outcome = Object.freeze({ kind: 'success', output: undefined })
const NOTHING: Readonly<Record<string, unknown>> = Object.freeze({})
const NO_RESOURCES: ResourceMap = {}
const NOTHING_BORROWED: Borrowed = { values: NOTHING, release: async () => {} }
const NO_SINKS: RunSinks = { writers: {}, flush: async () => {}, deliver: async () => {}, discard: async () => {} }

/**
 * The steps from a claim to its outcome: config → resources → sinks → handler → flush the sinks → give back the resources.
 *
 * If a job has no resources and no sinks, the only promise is the handler's own.
 */
export class RunPipeline implements RunActions {
  readonly #parts: PipelineParts
  readonly #steps: StepParts
  readonly #limit: (signal: AbortSignal) => FleetLimit

  constructor(parts: PipelineParts) {
    this.#parts = parts
    const { store, clock, abandoned } = parts
    this.#limit = lazyLimits(parts)
    const maxValueBytes = (): number => store.database.maxValueBytes
    this.#steps = {
      store: store.steps,
      clock,
      maxValueBytes,
      abandoned,
      writer: new StepWriter(store.steps, abandoned, clock),
    }
  }

  /** Runs an attempt, and returns its outcome. Never throws or rejects. */
  run(attempt: LiveAttempt): Outcome | Promise<Outcome> {
    const { job, claim } = attempt
    let config: unknown
    try {
      config = this.#parts.prepare.configOf(job, claim.config)
      const version = this.#parts.prepare.versionOf(job.id)
      if (version !== undefined) attempt.configVersion = version
      attempt.input = parseInput(job, claim.input)
    } catch (error) {
      return { kind: 'failure', error: toError(error), isPermanent: true }
    }
    const { items } = this.#parts
    return items && job.policy.items
      ? this.#withItems(attempt, items, job.policy.items, config)
      : this.#handled(attempt, config)
  }

  #handled(attempt: LiveAttempt, config: unknown): Outcome | Promise<Outcome> {
    if (!isPlain(attempt.job)) return this.#whole(attempt, config)
    return this.#isInTime(attempt) ? this.#plain(attempt, config) : this.#plainLate(attempt, config)
  }

  /** Calls the handler, unless an earlier attempt has already added all items. */
  async #withItems(attempt: LiveAttempt, parts: RootParts, policy: ItemPolicy, config: unknown): Promise<Outcome> {
    try {
      attempt.items = await parts.open(attempt, policy)
      const { seeded } = attempt.items
      if (seeded) {
        attempt.isHandled = true
        return { kind: 'success', output: fromJson(seeded.output) }
      }
      const outcome = await this.#handled(attempt, config)
      if (outcome.kind === 'success') await attempt.items.end(outcome.output)
      return outcome
    } catch (thrown) {
      // The run returns to the queue, and this attempt is not counted.
      if (databaseFault(thrown) === 'outage') return { kind: 'interrupted' }
      return outcomeOf(attempt, toError(thrown))
    }
  }

  /** Whether the job's rate limit lets the run begin now. This is the last check, right before the handler is called. */
  #isInTime({ claim: { place } }: LiveAttempt): boolean {
    return place === undefined || this.#parts.rateGate.isOpen(place)
  }

  async #plainLate(attempt: LiveAttempt, config: unknown): Promise<Outcome> {
    try {
      return await this.#pass(
        attempt,
        () => this.#plain(attempt, config),
        () => withoutTurn(attempt),
      )
    } catch (thrown) {
      return outcomeOf(attempt, toError(thrown))
    }
  }

  #pass<T>(attempt: LiveAttempt, begin: () => T, leave: () => T): Promise<Awaited<T>> {
    return this.#parts.rateGate.pass(attempt, attempt.claim.place as RatePlace, begin, leave)
  }

  #plain(attempt: LiveAttempt, config: unknown): Outcome | Promise<Outcome> {
    let returned: unknown
    try {
      returned = this.#call(attempt, config, NOTHING_BORROWED, NO_SINKS)
    } catch (thrown) {
      return this.#plainFailure(attempt, thrown)
    }
    return isObject(returned) ? this.#plainLater(attempt, returned) : this.#plainEnd(attempt, returned)
  }

  /**
   * Awaits the object that the handler returned. If its `then` throws, the run fails. For an ordinary promise, no other promise and no
   * `async` function waits for it, because thousands of handlers may be running.
   */
  #plainLater(attempt: LiveAttempt, returned: object): Promise<Outcome> {
    return (isOrdinaryPromise(returned) ? returned : awaited(returned)).then(
      (output) => this.#plainEnd(attempt, output),
      (thrown: unknown) => this.#plainFailure(attempt, thrown),
    )
  }

  #plainFailure(attempt: LiveAttempt, thrown: unknown): Promise<Outcome> {
    attempt.isHandled = true
    return this.#end(attempt, () => Promise.reject(toError(thrown)), NOTHING_BORROWED, NO_SINKS)
  }

  #plainEnd(attempt: LiveAttempt, output: unknown): Outcome | Promise<Outcome> {
    attempt.isHandled = true
    const isDone =
      output === undefined &&
      !attempt.job.spec.output &&
      attempt.commit === 'none' &&
      !attempt.locks &&
      !attempt.steps &&
      !attempt.abortReason
    return isDone ? DONE : this.#end(attempt, () => output, NOTHING_BORROWED, NO_SINKS)
  }

  async #whole(attempt: LiveAttempt, config: unknown): Promise<Outcome> {
    const { job, claim, signal, log } = attempt
    const { runId, jobId, window } = claim
    const { items } = attempt
    // The handler and all items of a run write the rows of its window, over all attempts. So they share one fence.
    const fence = items?.fence ?? claim.fence
    const { resources, sinks: sinkPool, store } = this.#parts
    const scope = { runId, jobId, attempt: claim.attempt, fence, signal, log }
    let borrowed = NOTHING_BORROWED
    try {
      const map = (job.spec.resources as ResourceMap | undefined) ?? NO_RESOURCES
      borrowed = await traced(
        'resource',
        () => ({ 'piko.job.id': jobId, 'piko.resources': Object.keys(map).join(', ') }),
        () => resources.borrow(map, { ...scope, config, window, limit: this.#limit(signal) }),
      )
      const sinks = await sinkPool.forRun(
        (job.spec.sinks as SinkMap | undefined) ?? {},
        {
          ...{ ...scope, window },
          sql: store.database.sql,
          ...(items && { isShared: true }),
          ...(attempt.itemId === undefined
            ? window && { written: (attempt.written = new WrittenRows(window, fence)) }
            : { itemId: attempt.itemId, ...(attempt.isDead && { isDead: true }) }),
        },
        items && ((): boolean => items.hasItems),
      )
      attempt.sinks = sinks
      attempt.mark('ready', this.#parts.clock.now())
    } catch (thrown) {
      await returnAfter(attempt, borrowed, toError(thrown))
      return outcomeOf(attempt, toError(thrown))
    }
    const { sinks } = attempt
    const begin = (): Promise<Outcome> =>
      this.#end(attempt, () => this.#call(attempt, config, borrowed, sinks), borrowed, sinks)
    if (this.#isInTime(attempt)) return begin()
    const leave = async (error: Error): Promise<void> => {
      await sinks.discard()
      await returnAfter(attempt, borrowed, error)
    }
    try {
      return await this.#pass(attempt, begin, async () => {
        await leave(new PikoError('STOPPED', 'the run goes back to the queue: its job has reached its rate limit'))
        return withoutTurn(attempt)
      })
    } catch (thrown) {
      await leave(toError(thrown))
      return outcomeOf(attempt, toError(thrown))
    }
  }

  #call(attempt: LiveAttempt, config: unknown, { values }: Borrowed, { writers }: RunSinks): unknown {
    const context = new RunContext(attempt, config, values, writers, this)
    try {
      return withRunSignal(context, () => attempt.job.handler(context, values))
    } finally {
      if (attempt.place) this.#parts.rateGate.begun(attempt)
    }
  }

  /** Awaits `handled`, which calls the handler or returns its output, and then runs the remaining steps up to the outcome. */
  async #end(attempt: LiveAttempt, handled: () => unknown, borrowed: Borrowed, sinks: RunSinks): Promise<Outcome> {
    try {
      try {
        const returned = await withSteps(attempt, handled, this.#parts.clock)
        // The handler may have returned before its commit ended.
        if (attempt.commit !== 'none') await attempt.committing
        attempt.throwIfAborted()
        // The output is checked before it is written together with those of other runs. So an output that can't be stored fails only this
        // run.
        const output = storableOutput(returned, attempt.job.id, this.#parts.store.database.maxValueBytes)
        // After a commit, the output is the result of the commit, which has already been checked.
        if (attempt.commit === 'none') assertOutput(attempt.job, output)
        await sinks.flush()
        if (attempt.written) attempt.tables = await attempt.written.collect()
        if (attempt.marks) attempt.mark('flushed', this.#parts.clock.now())
        attempt.throwIfAborted()
        await borrowed.release({ ok: true })
        return { kind: 'success', output }
      } catch (error) {
        await sinks.discard()
        if (attempt.commit !== 'done') throw error
        attempt.log.error({ err: error }, 'the handler failed after ctx.commit; the run has succeeded')
        await borrowed.release({ ok: true })
        return { kind: 'success', output: undefined }
      }
    } catch (thrown) {
      await returnAfter(attempt, borrowed, toError(thrown))
      return outcomeOf(attempt, toError(thrown))
    } finally {
      await attempt.locks?.release(attempt.log)
    }
  }

  lock(attempt: LiveAttempt, name: string, options: RunLockOptions | undefined): Promise<HeldLock> {
    attempt.locks ??= new RunLocks(this.#parts.locks, attempt.signal)
    return attempt.locks.acquire(name, options)
  }

  shared<T, I>(attempt: LiveAttempt, definition: SharedDefinition<T, I>): SharedHandle<T, I> {
    return this.#parts.shared.handle(definition, attempt.signal)
  }

  cache<V>(attempt: LiveAttempt, definition: CacheDefinition<V>): Cache<V> {
    return this.#parts.caches.forRun(definition, attempt.signal)
  }

  limit(attempt: LiveAttempt): FleetLimit {
    return this.#limit(attempt.signal)
  }

  items(attempt: LiveAttempt): AttemptItems {
    if (attempt.items) return attempt.items
    const { id } = attempt.job
    throw new PikoError(
      'USAGE',
      `job "${id}" has no items; declare them: defineJob({ id: '${id}', items: { … } }, …)`,
      {
        details: { jobId: id },
      },
    )
  }

  steps(attempt: LiveAttempt): RunSteps {
    return (attempt.steps ??= new RunSteps(attempt, this.#steps))
  }

  onConfigChange(attempt: LiveAttempt, fn: (config: unknown, version: number) => unknown): () => void {
    return listenToConfig(attempt, this.#parts.prepare, fn)
  }

  progress(attempt: LiveAttempt, done: number, total: number | undefined, message: string | undefined): void {
    this.#parts.progress.report(attempt, done, total, message)
  }

  async commit<T>(attempt: LiveAttempt, fn: (trx: SqlExecutor) => Promise<T>): Promise<T> {
    const { claim } = attempt
    if (attempt.items) {
      throw new PikoError(
        'USAGE',
        `run ${claim.runId} of job "${claim.jobId}" ends when its items have ended, so it can't end with ctx.commit; commit in an item instead`,
      )
    }
    if (attempt.commit !== 'none') {
      throw new PikoError(
        'USAGE',
        `run ${claim.runId} of job "${claim.jobId}" called ctx.commit twice; the first call already ends the run`,
      )
    }
    attempt.commit = 'begun'
    const committing = this.#commitOnce(attempt, fn)
    attempt.committing = committing
    return committing
  }

  /** Checks the output inside the transaction, so an output that can't be stored rolls everything back. */
  async #checked<T>(job: JobDefinition, result: Promise<T>): Promise<T> {
    const value = await result
    assertOutput(job, storableOutput(value, job.id, this.#parts.store.database.maxValueBytes))
    return value
  }

  async #commitOnce<T>(attempt: LiveAttempt, fn: (trx: SqlExecutor) => Promise<T>): Promise<T> {
    const { claim, job, nodeId } = attempt
    const begin = (trx: SqlExecutor): Promise<T> => {
      attempt.throwIfAborted()
      attempt.commit = 'begun'
      return job.spec.output ? this.#checked(job, fn(trx)) : fn(trx)
    }
    const isWanted = (): void => {
      attempt.throwIfAborted()
      attempt.commit = 'sent'
    }
    try {
      attempt.throwIfAborted()
      const { clock } = this.#parts
      attempt.mark('handled', clock.now())
      await attempt.sinks?.flush()
      const tables = (await attempt.written?.collect()) ?? []
      if (attempt.sinks) attempt.mark('flushed', clock.now())
      const { signal, configVersion } = attempt
      const phases = attempt.phasesText({ to: 'succeeded' }, clock)
      const rules = { isWanted, tables, signal, configVersion, phases, giveUp: this.#parts.abandoned }
      const value = await this.#parts.store.commit(nodeId, claim, begin, rules)
      attempt.commit = 'done'
      return value
    } finally {
      if (attempt.commit !== 'done') attempt.commit = 'none'
    }
  }
}

/** Resolves with the handler's result when all its steps have ended, including those that it did not await. */
async function withSteps(attempt: LiveAttempt, handled: () => unknown, clock: Clock): Promise<unknown> {
  try {
    return await handled()
  } finally {
    attempt.isHandled = true
    // If there was a commit, the end of the handler's part is already recorded.
    if (attempt.marks && attempt.commit === 'none') attempt.mark('handled', clock.now())
    if (attempt.steps) await attempt.steps.idle()
  }
}

/**
 * Returns the outcome of a run whose handler was not called. The run keeps its due time, so it comes first again among the runs of its job.
 */
function withoutTurn({ claim }: LiveAttempt): Outcome {
  return { kind: 'interrupted', at: claim.runAt }
}

/** Returns the outcome of a failed attempt. After an abort, the reason of the abort decides and not the handler's error. */
export function outcomeOf({ abortReason, waitMs }: LiveAttempt, error: Error): Outcome {
  if (!abortReason) return { kind: 'failure', error }
  switch (abortReason instanceof PikoError ? abortReason.code : undefined) {
    case 'RUN_TIMEOUT':
      return { kind: 'timeout', error: abortReason }
    case 'STEP_WAITING':
      return { kind: 'waiting', afterMs: waitMs ?? 0 }
    case 'STOPPED':
    case 'LEASE_LOST':
      return { kind: 'interrupted' }
    default:
      return { kind: 'cancelled', error: abortReason }
  }
}

/** Whether `then` of a value is that of all promises, so that calling it can't run code of a user. */
function isOrdinaryPromise(value: object): value is Promise<unknown> {
  return (
    types.isPromise(value) &&
    Object.getPrototypeOf(value) === Promise.prototype &&
    !Object.hasOwn(value, 'then') &&
    !Object.hasOwn(value, 'constructor')
  )
}

async function awaited(value: object): Promise<unknown> {
  return value
}

function isPlain({ spec }: JobDefinition): boolean {
  return spec.resources === undefined && spec.sinks === undefined
}

/** Gives back the resources of a failed run. If this fails, the error is only logged, so the run keeps its own error. */
async function returnAfter(attempt: LiveAttempt, borrowed: Borrowed, error: Error): Promise<void> {
  try {
    await borrowed.release({ ok: false, error })
  } catch (failure) {
    if (failure !== error) attempt.log.error({ err: failure }, 'returning the resources of a failed run also failed')
  }
}
